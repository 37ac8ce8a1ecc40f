"""Methods by name, our own and those of other packages."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from importlib import metadata
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.bank import model as filterbank
from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import BankError, ParameterError, ScaleError
from napari_mrisr.io.samples import phantom
from napari_mrisr.methods import (
    available_methods,
    available_scales,
    default_method,
    get_method,
    method_summary,
    pass_regions,
    registry,
)
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.run.upscale import run_method


@dataclass
class Point:
    """An entry point of some other package."""

    name: str

    def load(self):
        return lambda scale, bank: (self.name, scale, bank)


BUILT_IN = ["nearest", "linear", "tricubic", "quadratic", "lanczos", "zero-fill"]
BUILT_IN += ["back-projection", "tv", "plug-and-play", "unrolled", "hashed", "anchored"]
BUILT_IN += ["network"]


@pytest.fixture
def other_packages(monkeypatch):
    groups = {"napari_mrisr.methods": [Point("zoom"), Point("anisotropic"), Point("tricubic")]}
    monkeypatch.setattr(metadata, "entry_points", lambda group: groups.get(group, []))


def test_built_in_methods_come_first():
    assert available_methods()[: len(BUILT_IN)] == BUILT_IN


@pytest.mark.usefixtures("other_packages")
def test_methods_of_other_packages():
    assert available_methods() == [*BUILT_IN, "anisotropic", "zoom"]
    assert get_method("zoom", (1, 2, 3), "a bank") == ("zoom", (1, 2, 3), "a bank")


@pytest.mark.usefixtures("other_packages")
def test_nobody_replaces_a_built_in_method():
    assert get_method("tricubic", (2, 2, 2)).provenance() == {"method": "tricubic"}


@pytest.mark.usefixtures("other_packages")
def test_unknown_method_names_those_there_are():
    with pytest.raises(ParameterError) as caught:
        get_method("magic", (2, 2, 2))
    assert str(caught.value) == (
        f"method: 'magic'; choose from {', '.join(BUILT_IN)}, anisotropic, zoom"
    )


def test_hashed_by_path_and_by_scale(make_bank, tmp_path, monkeypatch):
    path = tmp_path / "mine.safetensors"
    make_bank((1, 1, 3)).save(path)
    method = get_method("hashed", (1, 1, 3), str(path))
    assert (method.name, method.scale) == ("hashed", (1, 1, 3))
    assert method.provenance() == {
        "method": "hashed",
        "bank": "mine",
        "bank_preset": "default",
        "degradation_assumed": "standard",
        "data_consistency": "with the measured voxels",
    }
    with pytest.raises(BankError, match="made for scale 1x1x3, not 2"):
        get_method("hashed", (2, 2, 2), str(path))
    monkeypatch.setattr(filterbank, "bundled_banks", lambda: ["default-3x"])
    with pytest.raises(ScaleError, match="no filter bank for 2x; use one of 3x"):
        get_method("hashed", (2, 2, 2))
    assert available_scales("hashed") == [(3, 3, 3)]


def test_interpolation_takes_any_scale():
    assert available_scales("tricubic") is None
    assert get_method("nearest", (7, 1, 8)).scale == (7, 1, 8)


def test_regions_of_the_passes_grow_backwards():
    region, shape = Region((40, 0, 41), (42, 9, 42)), (90, 80, 70)
    assert pass_regions(get_method("tricubic", (2, 2, 2)), region, shape) == [region]
    method = get_method("hashed", (2, 2, 2))
    regions = pass_regions(method, region, shape)
    assert len(regions) == method.passes
    assert regions[-1] == region
    for number, (before, after) in enumerate(itertools.pairwise(regions), start=1):
        assert before == method.needs(number, after, shape)


def test_every_method_has_a_summary_of_one_line(monkeypatch):
    assert method_summary("tricubic") == "cubic B-spline interpolation"
    assert all(method_summary(name) for name in ("nearest", "quadratic", "hashed"))
    assert method_summary("no such method") == ""

    def make(scale, bank=None):
        """Copy of another method.

        More about it.
        """

    point = SimpleNamespace(name="other", load=lambda: make)
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: [point])
    assert method_summary("other") == "Copy of another method"


@pytest.mark.parametrize(
    ("scale", "bank", "method"),
    [
        ((2, 2, 2), None, "hashed"),
        ((1, 1, 4), None, "network"),
        ((3.7, 1, 1), None, "network"),
        ((1, 2, 4), None, "hashed"),
        ((1, 1, 4), "thick-4x", "hashed"),
        ((2, 2, 2), "mine.onnx", "network"),
    ],
)
def test_the_default_method_follows_scale_and_bank(scale, bank, method):
    assert default_method(scale, bank) == method


# Every method, at factors that divide and that do not, along each axis.
RUNS = [
    ("nearest", (1, 2.6, 1)),
    ("tricubic", (3.3, 1, 1)),
    ("quadratic", (1, 1, 3)),
    ("hashed", (2, 2, 2)),
    ("hashed", (1, 1, 4)),
    ("hashed", (1, 2.7, 1)),
    ("anchored", (2, 2, 2)),
    ("anchored", (3.5, 3.1, 4)),
    ("network", (1, 1, 4)),
    ("network", (3.3, 1, 1)),
    ("network", (2, 2, 2)),
    ("network", (3, 3, 3)),
]


def noisy_scan(scale, shape=(17, 14, 11), seed=4):
    """Smooth structures with slices as thick as the scale says."""
    data = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 1.0, mode="mirror")
    data = 800.0 * (data - data.min()) / np.ptp(data)
    return Volume(data.astype(np.float32), Grid(shape, np.diag([*scale, 1.0])))


@pytest.mark.parametrize(("name", "scale"), RUNS)
def test_any_region_is_that_of_the_whole_run(name, scale, rng):
    volume = noisy_scan(scale)
    method, lr = get_method(name, scale), volume.normalized()
    whole = run_method(method, volume, threads=2).data
    for _ in range(4):
        ends = [np.sort(rng.choice(n + 1, 2, replace=False)) for n in whole.shape]
        region = Region(tuple(int(a) for a, _ in ends), tuple(int(b) for _, b in ends))
        found = lr.window.from_unit(method.compute(lr, region))
        np.testing.assert_array_equal(found, whole[region.slices])


@pytest.mark.parametrize(("name", "scale"), RUNS)
def test_intensities_of_any_unit_give_the_same_result(name, scale):
    volume, method = noisy_scan(scale), get_method(name, scale)
    scaled = replace(volume, data=0.037 * volume.data)
    one, other = (run_method(method, v, threads=2).data for v in (volume, scaled))
    # A voxel at the edge of a bucket may change its filter.
    assert (np.abs(other - 0.037 * one) < 0.037 * 0.05).mean() > 0.99


@pytest.mark.parametrize("axis", [0, 2])
def test_learned_methods_lose_nothing_in_the_outermost_slices(axis):
    """Slices cut out of a head's middle, so that the edges lie in tissue."""
    scale = tuple(4 if a == axis else 1 for a in range(3))
    volume = phantom()
    box = [slice(n // 2 - 24, n // 2 + 24) for n in volume.grid.shape]
    data = np.ascontiguousarray(volume.data[tuple(box)])
    truth = Volume(data, Grid(data.shape, np.eye(4)))
    low = degrade(truth, scale, "slice-profile:boxcar:1")
    errors = {}
    for name in ("tricubic", "hashed", "network"):
        difference = run_method(get_method(name, scale), low, threads=2).data - truth.data
        outer = np.moveaxis(difference, axis, 0)[[0, 1, 2, 3, -4, -3, -2, -1]]
        errors[name] = float(np.square(outer).mean())
    assert errors["hashed"] < errors["tricubic"]
    assert errors["network"] < errors["tricubic"]
