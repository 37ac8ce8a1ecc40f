"""Training: adding the samples of one volume, and a whole training on it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from inputs import cube

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.training import train
from napari_mrisr.training.accumulate import add_samples
from napari_mrisr.training.normal_equations import NormalEquations
from napari_mrisr.training.presets import TrainParameters, get_preset
from napari_mrisr.training.sampling import find_samples, make_pair
from napari_mrisr.training.sources import VolumeSource

SIZE = 64
"""Voxels per axis of the high-resolution volume."""


class AddSamples:
    """One volume's samples into the sums of a stage of the preset ``default``."""

    params = (0, 1)
    param_names = ("stage",)
    timeout = 600

    def setup(self, stage: int) -> None:
        parameters = TrainParameters()
        preset = get_preset(parameters.preset, parameters.scale)
        plan, before = preset.stages[stage], FilterBank((2, 2, 2), "standard", preset.start, ())
        pair = make_pair(cube("head", SIZE), parameters)
        self.samples = find_samples(pair, plan, before, parameters)
        outputs = plan.spec.outputs(parameters.scale)
        self.sums = NormalEquations.empty(plan.spec.hash.filter_count, plan.spec.taps, outputs)
        add_samples(self.sums, self.samples)

    def time_add_samples(self, stage: int) -> None:
        add_samples(self.sums, self.samples)


class Train:
    """A bank of one volume, from reading it to saving the bank."""

    timeout = 600

    def setup(self) -> None:
        self.folder = TemporaryDirectory()
        self.source = VolumeSource("head", lambda: cube("head", SIZE))

    def teardown(self) -> None:
        self.folder.cleanup()

    def train(self) -> None:
        out = Path(self.folder.name, "bank.safetensors")
        train([self.source], out, TrainParameters(), overwrite=True, threads=1, device="cpu")

    def time_train(self) -> None:
        self.train()

    def peakmem_train(self) -> None:
        self.train()
