"""Trainings of networks, with a loop that counts; one with PyTorch, skipped without it."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from helpers.networks import CountingLoop, train_by_counting
from helpers.scans import save_scans

from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.errors import (
    BankError,
    Cancelled,
    MemoryEstimateError,
    OutputError,
    ParameterError,
    VolumeError,
)
from napari_mrisr.networks.file import load_network
from napari_mrisr.training import Watch
from napari_mrisr.training.events import NetworkMeasured, NetworkStarted, StepTaken
from napari_mrisr.training.networks.patches import HeldOut
from napari_mrisr.training.networks.run import (
    NetworkParameters,
    check_network_memory,
    drive,
    network_checkpoint,
    network_memory,
    train_network,
)
from napari_mrisr.training.sources import TrainingFile


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return save_scans(tmp_path_factory.mktemp("scans"))


@pytest.fixture
def loops(monkeypatch):
    return train_by_counting(monkeypatch)


def kernel_of(path) -> float:
    """The number of steps that a counted network says it had."""
    import onnx

    model = onnx.load_model_from_string(load_network(path).content)
    return float(onnx.numpy_helper.to_array(model.graph.initializer[0]).max())


def test_a_network_states_its_volumes_steps_and_gain(loops, scans, tmp_path):
    events = []
    parameters = NetworkParameters(6, license="CC0", names=False)
    watch = Watch(events.append, [TrainingFile(scans[2])])
    report = train_network(scans[:2], tmp_path / "mine.onnx", parameters, watch=watch)
    assert (report.name, report.steps, report.stopped) == ("mine", 6, "")
    assert events[0] == NetworkStarted(0, 6, 2, "CPU, counting")
    assert [e.step for e in events if isinstance(e, StepTaken)] == [1, 2, 3, 4, 5, 6]
    assert events[-1] == NetworkMeasured(6, {2.0: (2.006,), 4.0: (4.006,), 6.0: (6.006,)})
    assert report.gains_db == {2.0: 2.006, 4.0: 4.006, 6.0: 6.006}
    file = load_network(report.path)
    assert file.provenance["steps"] == 6
    assert file.provenance["gain_db"] == {"2": 2.006, "4": 4.006, "6": 6.006}
    volumes = file.provenance["volumes"]
    assert [v["name"] for v in volumes] == ["volume 1", "volume 2"]
    assert {v["license"] for v in volumes} == {"CC0"}
    assert len({v["sha256"] for v in volumes}) == 2
    assert b"T1w" not in file.content


def test_a_network_for_all_axes_measures_its_own_factors(loops, scans, tmp_path):
    watch = Watch(validation=[TrainingFile(scans[2])])
    parameters = NetworkParameters(2, "isotropic")
    report = train_network(scans[:1], tmp_path / "a.onnx", parameters, watch=watch)
    assert report.gains_db == {2.0: 2.002, 3.0: 3.002, 4.0: 4.002}
    with pytest.raises(BankError, match="thick-slices: a network for slices of any thickness"):
        start = NetworkParameters(2, "isotropic", "thick-slices")
        train_network(scans[:1], tmp_path / "b.onnx", start)
    with pytest.raises(ParameterError, match="choose thick-slices or isotropic"):
        NetworkParameters(2, "square")


def test_images_are_degraded_along_their_fine_axes(loops, scans, tmp_path):
    """Voxels of the phantoms are 1 x 1 x 1.2 mm."""
    train_network(scans[:1], tmp_path / "a.onnx", NetworkParameters(1))
    assert loops[0].images[0].axes == (0, 1)
    chosen = NetworkParameters(1, thick_axes=(("other*", "x"), ("sub-1*", "zy")))
    train_network(scans[:1], tmp_path / "b.onnx", chosen)
    assert loops[1].images[0].axes == (1, 2)


class Stopping(Progress):
    """Stop or cancel once a number of steps are done."""

    def __init__(self, token: CancelToken, after: int) -> None:
        super().__init__()
        self.other, self.after = token, after

    def show(self, state) -> None:
        if state.task == "training a network" and state.done == self.after:
            self.other.cancel()


def test_a_stop_keeps_a_usable_network_and_resume_continues(loops, scans, tmp_path):
    out, stop = tmp_path / "mine.onnx", CancelToken()
    parameters = NetworkParameters(9)
    watch = Watch(stop=stop)
    found = train_network(scans[:1], out, parameters, watch=watch, progress=Stopping(stop, 4))
    assert found.stopped == "stopped after 4 of 9 steps"
    assert kernel_of(out) == 4
    assert load_network(out).provenance["stopped"] == found.stopped
    events = []
    watch = Watch(events.append)
    found = train_network(scans[:1], out, parameters, resume=True, watch=watch)
    assert (found.steps, found.stopped) == (9, "")
    assert [e.step for e in events if isinstance(e, StepTaken)] == [5, 6, 7, 8, 9]
    assert kernel_of(out) == 9
    with pytest.raises(BankError, match="another training"):
        train_network(scans[:2], out, parameters, resume=True)


def test_a_cancel_keeps_a_usable_network_too(loops, scans, tmp_path):
    progress = Progress()
    cancelling = Stopping(progress.token, 3)
    cancelling.token = progress.token
    with pytest.raises(Cancelled, match="stopped after 3 of 9 steps"):
        train_network(scans[:1], tmp_path / "a.onnx", NetworkParameters(9), progress=cancelling)
    assert kernel_of(tmp_path / "a.onnx") == 3
    assert network_checkpoint(tmp_path / "a.onnx").is_file()


def test_a_stop_before_the_first_step_leaves_nothing(loops, scans, tmp_path):
    watch = Watch()
    watch.stop.cancel()
    with pytest.raises(Cancelled, match="before the first step"):
        train_network(scans[:1], tmp_path / "a.onnx", NetworkParameters(9), watch=watch)
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_are_written_on_the_way(tmp_path):
    saved = []
    loop = CountingLoop([], NetworkParameters(7), None)
    loop.save = lambda path, identity: saved.append(loop.step)
    drive(loop, [], tmp_path / "c", every=3)
    assert saved == [3, 6, 7]


@pytest.mark.parametrize("work", ["advance", "gain"])
def test_a_stop_within_a_step_or_a_validation_is_passed_on(tmp_path, work):
    """Steps and validations get the check, and what it raises ends the training."""
    loop = CountingLoop([], NetworkParameters(7), None)
    checks = []

    def check():
        checks.append(1)
        if stop:
            raise Cancelled("stopped")

    def long(*arguments):
        stop.append(1)
        arguments[-1]()

    stop = []
    setattr(loop, work, long)
    held = HeldOut("one", np.zeros((24, 9, 9), np.float32), np.ones((24, 9, 9), bool))
    with pytest.raises(Cancelled):
        drive(loop, [held], tmp_path / "c", check=check, every=3)
    assert loop.step == (0 if work == "advance" else 3)
    assert stop == [1]


def test_a_diverged_training_says_so_and_keeps_the_last_checkpoint(tmp_path):
    loop = CountingLoop([], NetworkParameters(7), None)
    count = loop.advance
    loop.advance = lambda check: float("nan") if count() < 0.2 else 1.0
    with pytest.raises(ParameterError, match="diverged at step 6; resume from the checkpoint"):
        drive(loop, [], tmp_path / "c", every=2)
    loop.load(tmp_path / "c")
    assert loop.step == 4


@pytest.mark.parametrize(
    ("out", "options", "error", "part"),
    [
        ("mine.safetensors", {}, OutputError, "end it with .onnx"),
        ("there.onnx", {}, BankError, "overwrite or resume it"),
        ("there.onnx", {"resume": True}, BankError, "checkpoint is missing"),
    ],
)
def test_the_file_is_checked_before_anything_is_read(loops, tmp_path, out, options, error, part):
    (tmp_path / "there.onnx").touch()
    with pytest.raises(error, match=part):
        train_network(["none.nii"], tmp_path / out, NetworkParameters(9), **options)


def test_empty_volumes_are_named(loops, scans, tmp_path):
    import nibabel as nib

    data = np.zeros((9, 8, 7), np.float32)
    data[4, 4, 4] = 1.0
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "dot.nii")
    with pytest.raises(VolumeError, match=r"dot\.nii: there is no head"):
        train_network([tmp_path / "dot.nii"], tmp_path / "a.onnx", NetworkParameters(9))
    with pytest.raises(VolumeError, match="no volumes"):
        train_network([], tmp_path / "a.onnx", NetworkParameters(9))


def test_missing_pytorch_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ParameterError, match=r"PyTorch.*pip install 'napari-mrisr\[train\]'"):
        train_network(["none.nii"], tmp_path / "a.onnx", NetworkParameters())


def test_memory_is_checked():
    assert 1e9 < network_memory([(160, 192, 192)] * 4) < 2e9
    with pytest.raises(MemoryEstimateError, match="fewer volumes"):
        check_network_memory(network_memory([(1000, 1000, 1000)] * 1000))


def test_a_network_of_pytorch_is_trained_resumed_and_trained_further(scans, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from napari_mrisr.training.networks import loop
    from napari_mrisr.training.networks.architecture import ThickSliceNetwork
    from napari_mrisr.training.networks.export import restore

    monkeypatch.setattr(loop, "ThickSliceNetwork", lambda order: ThickSliceNetwork(4, 1, order))
    options = {"threads": 1, "device": "cpu"}
    straight, stopped = tmp_path / "a.onnx", tmp_path / "b.onnx"
    train_network(scans[:2], straight, NetworkParameters(4), **options)
    watch = Watch()
    train_network(
        scans[:2],
        stopped,
        NetworkParameters(4),
        watch=watch,
        progress=Stopping(watch.stop, 2),
        **options,
    )
    assert load_network(stopped).content != load_network(straight).content
    train_network(scans[:2], stopped, NetworkParameters(4), resume=True, **options)
    a, b = (
        restore(load_network(path), "thick-slices").state_dict() for path in (straight, stopped)
    )
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=0)
    further = NetworkParameters(1, start=str(straight))
    train_network(scans[2:3], tmp_path / "c.onnx", further, **options)
    file = load_network(tmp_path / "c.onnx")
    assert file.provenance["start"]["name"] == "a"
    assert len(file.provenance["start"]["provenance"]["volumes"]) == 2
