"""From sums to a bank: stopped trainings, resumes, and calibration by held-out volumes."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scans import save_scans
from helpers.training import checkpoint_document, prepare_pair, train_quickly
from safetensors.numpy import load_file

from napari_mrisr.bank.calibration import detail_of
from napari_mrisr.bank.model import load_bank
from napari_mrisr.bank.predictors import predict_from
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.volume import Region
from napari_mrisr.errors import Cancelled
from napari_mrisr.kernels import cpu_samples
from napari_mrisr.methods import get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.training import Watch, finish, train
from napari_mrisr.training.events import VolumeAdded, VolumeStarted
from napari_mrisr.training.presets import TrainParameters


class StopAt:
    """Stops a training when a volume starts or was added."""

    def __init__(self, kind, stage, volume):
        self.wanted = kind, stage, volume
        self.watch = Watch(self.see)

    def see(self, event):
        if isinstance(event, VolumeStarted):
            key = VolumeStarted, event.stage, event.volume
        elif isinstance(event, VolumeAdded):
            key = VolumeAdded, event.stage, event.volumes
        else:
            return
        if key == self.wanted:
            self.watch.stop.cancel()


def gain(bank, pair):
    whole = Region.whole(pair.truth.shape)
    errors = [
        np.mean((pair.truth - image)[pair.mask] ** 2)
        for image in (
            get_method("tricubic", bank.scale).compute(pair.lr, whole),
            Hashed(bank).compute(pair.lr, whole),
        )
    ]
    return 10 * np.log10(errors[0] / errors[1])


@pytest.mark.parametrize(
    ("kind", "stage", "volume", "stages", "text"),
    [
        (VolumeAdded, 1, 1, 1, "stopped after 1 of 3 volumes in stage 1 of 2"),
        (VolumeAdded, 1, 2, 1, "stopped after 2 of 3 volumes in stage 1 of 2"),
        (VolumeStarted, 1, 3, 1, "stopped after 2 of 3 volumes in stage 1 of 2"),
        # A stage with no volume is left out.
        (VolumeStarted, 2, 1, 1, "stopped after 3 of 3 volumes in stage 1 of 2"),
        (VolumeAdded, 2, 1, 2, "stopped after 1 of 3 volumes in stage 2 of 2"),
        (VolumeStarted, 2, 3, 2, "stopped after 2 of 3 volumes in stage 2 of 2"),
    ],
)
def test_stop_keeps_a_usable_bank(scans, tmp_path, kind, stage, volume, stages, text):
    out = tmp_path / "a.safetensors"
    report = train(scans[:3], out, TrainParameters(), watch=StopAt(kind, stage, volume).watch)
    assert report.stopped == text
    bank = load_bank(out)
    assert bank.provenance["stopped"] == text
    assert f"  {text}\n" in bank.describe()
    assert len(bank.stages) == stages
    first = volume if kind is VolumeAdded else volume - 1
    count = first if stage == 1 else 3
    assert [v["name"] for v in bank.provenance["volumes"]] == [p.name for p in scans[:count]]
    # Not half a volume more: the sums are those of whole ones.
    supports = [int(s.support.sum()) for s in bank.stages]
    equations = load_file(f"{out}.equations.safetensors")
    assert supports == [int(equations[f"stage{n}.count"].sum()) for n in range(stages)]
    assert gain(bank, prepare_pair(scans[3], TrainParameters())) > 0.4


def test_stopped_first_stage_equals_a_training_on_its_volumes(scans, tmp_path):
    """A stop within volume 3 leaves the first stage of a training on two volumes."""
    out, two = tmp_path / "a.safetensors", tmp_path / "two.safetensors"
    train(scans[:3], out, TrainParameters(), watch=StopAt(VolumeStarted, 1, 3).watch)
    train(scans[:2], two, TrainParameters())
    ours, theirs = load_bank(out).stages[0], load_bank(two).stages[0]
    np.testing.assert_array_equal(ours.support, theirs.support)
    np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-6)


def test_stopped_bank_contains_whole_volumes_only(scans, tmp_path, monkeypatch):
    out, one = tmp_path / "a.safetensors", tmp_path / "one.safetensors"
    watch, calls = Watch(), []
    train(scans[:1], one, TrainParameters())
    gather = cpu_samples.gather

    def counted(source, base, element, offsets, centered, out):
        gather(source, base, element, offsets, centered, out)
        if offsets.shape[1] == 8:  # targets of the cell stage
            calls.append(1)
        if len(calls) == whole + 3:
            watch.stop.cancel()

    monkeypatch.setattr(cpu_samples, "gather", counted)
    whole = 10**9
    train(scans[:1], tmp_path / "count.safetensors", TrainParameters(), threads=1)
    whole = len(calls)
    assert whole > 9
    calls.clear()
    report = train(scans[:2], out, TrainParameters(), watch=watch, threads=1)
    assert report.stopped == "stopped after 1 of 2 volumes in stage 1 of 2"
    ours, theirs = load_bank(out).stages[0], load_bank(one).stages[0]
    np.testing.assert_array_equal(ours.support, theirs.support)
    np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-6)


@pytest.mark.parametrize(("kind", "stage", "volume"), [(VolumeStarted, 1, 2), (VolumeAdded, 2, 1)])
def test_stop_and_resume_with_more_volumes_equals_one_training(
    scans, tmp_path, kind, stage, volume
):
    """Counts are equal, filters equal to 1e-5."""
    once, later = tmp_path / "once.safetensors", tmp_path / "later.safetensors"
    train(scans[:4], once, TrainParameters())
    train(scans[:2], later, TrainParameters(), watch=StopAt(kind, stage, volume).watch)
    report = train(scans[2:4], later, TrainParameters(), resume=True)
    assert report.stopped == ""
    assert "stopped" not in report.bank.provenance
    assert checkpoint_document(later)["done"] == [4, 4]
    a, b = load_bank(once), load_bank(later)
    assert a.provenance["volumes"] == b.provenance["volumes"]
    for ours, theirs in zip(a.stages, b.stages, strict=True):
        assert ours.spec == theirs.spec
        np.testing.assert_array_equal(ours.support, theirs.support)
        np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-5)


def test_stop_before_the_first_volume_is_a_cancel(scans, tmp_path):
    out = tmp_path / "a.safetensors"
    with pytest.raises(Cancelled, match="before the first volume"):
        train(scans[:2], out, TrainParameters(), watch=StopAt(VolumeStarted, 1, 1).watch)
    watch = Watch(stop=CancelToken())
    watch.stop.cancel()
    with pytest.raises(Cancelled):
        train(scans[:2], out, TrainParameters(), watch=watch)
    assert list(tmp_path.iterdir()) == []


def test_stopped_resume_keeps_a_bank_with_more_stages(scans, tmp_path):
    """While the first stage adds volumes there is one stage; the bank has two."""
    out = tmp_path / "a.safetensors"
    train(scans[:2], out, TrainParameters())
    before = out.read_bytes()
    watch = StopAt(VolumeAdded, 1, 3).watch
    report = train(scans[2:4], out, TrainParameters(), resume=True, watch=watch)
    assert report.stopped == (
        "stopped after 3 of 4 volumes in stage 1 of 2; "
        "the existing bank has more stages and is kept"
    )
    assert out.read_bytes() == before
    assert len(report.bank.stages) == 2
    assert checkpoint_document(out)["done"] == [3, 0]


def test_no_thread_and_no_partial_file_is_left(scans, tmp_path):
    import threading

    train(scans[:2], tmp_path / "a.safetensors", TrainParameters(), watch=Watch())
    out = tmp_path / "b.safetensors"
    train(scans[:2], out, TrainParameters(), watch=StopAt(VolumeStarted, 1, 2).watch)
    assert [t.name for t in threading.enumerate() if t.name.startswith("mrisr")] == []
    assert {p.name for p in tmp_path.iterdir()} == {
        f"{n}.safetensors{end}" for n in "ab" for end in ("", ".equations.safetensors")
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train banks of four scans, of two of them, and of one."""
    folder = tmp_path_factory.mktemp("calibrating")
    scans = save_scans(folder)
    with pytest.MonkeyPatch.context() as patch:
        train_quickly(patch)
        seen, sums = [], []
        original = finish.CalibrationSums.add

        def add(self, bucket, strength, detail, error):
            if self not in sums:
                sums.append(self)
            seen.append((sums.index(self), error))
            original(self, bucket, strength, detail, error)

        patch.setattr(finish.CalibrationSums, "add", add)
        train(scans, folder / "four.safetensors", TrainParameters())
        errors = {
            i: np.sort(np.concatenate([e for n, e in seen if n == i])) for i in range(len(scans))
        }
        train(scans[1::2], folder / "odd.safetensors", TrainParameters())
        train(scans[:1], folder / "one.safetensors", TrainParameters())
    return folder, scans, errors


def test_bank_has_a_calibration_and_traits(trained):
    bank = load_bank(trained[0] / "four.safetensors")
    assert bank.calibration.volumes == 4
    ranges = bank.provenance["traits"]
    assert ranges["voxel_size"] == pytest.approx([2.0, 2.4])
    assert ranges["noise"][0] > 0


def test_held_out_filters_do_not_know_the_volume(trained):
    """A volume of the first half is judged by filters of volumes 2 and 4 alone.

    Their first stage is that of a training on 2 and 4. The second differs a little: its
    samples come from the first stage of all four.
    """
    folder, scans, errors = trained
    pair = prepare_pair(scans[0], TrainParameters())
    whole = Region.whole(pair.truth.shape)
    held_out = Hashed(load_bank(folder / "odd.safetensors")).compute(pair.lr, whole)
    known = Hashed(load_bank(folder / "four.safetensors")).compute(pair.lr, whole)
    found = np.sqrt(np.mean(errors[0] ** 2))
    by_held_out = np.sqrt(np.mean((held_out - pair.truth)[pair.mask] ** 2))
    by_known = np.sqrt(np.mean((known - pair.truth)[pair.mask] ** 2))
    assert errors[0].size == pair.mask.sum()
    assert found == pytest.approx(by_held_out, rel=0.02)
    assert found > by_known


def test_calibration_expects_the_measured_errors(trained):
    """Expected and measured errors are of the same size in every volume."""
    folder, scans, errors = trained
    bank = load_bank(folder / "four.safetensors")
    for number, path in enumerate(scans):
        pair = prepare_pair(path, TrainParameters())
        shape = pair.truth.shape
        image = Hashed(bank).run(pair.lr, Region.whole(shape), len(bank.stages) - 1)
        at = predict_from(
            bank, image, (0, 0, 0), shape, detail_of(pair.lr.data), Region.whole(shape)
        )
        expected = bank.calibration.expected_error(at.bucket, at.strength, at.detail, np.nan)
        ratio = np.mean(expected[pair.mask] ** 2) / np.mean(errors[number] ** 2)
        assert 0.5 < ratio < 2.0


def test_one_volume_gives_no_calibration(trained):
    bank = load_bank(trained[0] / "one.safetensors")
    assert bank.calibration is None
    assert bank.provenance["traits"]["voxel_size"] == pytest.approx([2.0, 2.4])


def test_resume_keeps_the_halves(trained, monkeypatch, tmp_path):
    """Two volumes and two later have the calibration of all four at once."""
    folder, scans, _ = trained
    out = tmp_path / "later.safetensors"
    train(scans[:2], out, TrainParameters())
    train(scans, out, TrainParameters(), resume=True)
    ours, theirs = load_bank(out).calibration, load_bank(folder / "four.safetensors").calibration
    np.testing.assert_array_equal(ours.samples.sum(), theirs.samples.sum())
    np.testing.assert_allclose(ours.squared_error, theirs.squared_error, rtol=1e-2)
