"""Training gains, adds up, resumes after a cancel, and learns nothing it should not see."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.training import checkpoint_document, prepare_pair
from safetensors.numpy import load_file

from napari_mrisr.bank.model import load_bank
from napari_mrisr.core.axes import permute_volume
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.volume import Region
from napari_mrisr.errors import BankError, Cancelled, MrisrError, ParameterError, VolumeError
from napari_mrisr.io import read_volume
from napari_mrisr.methods import get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.training import cost, run, train
from napari_mrisr.training.presets import TrainParameters
from napari_mrisr.training.sources import VolumeSource


def sums(bank_path):
    tensors = load_file(f"{bank_path}.equations.safetensors")
    # Which half a volume belongs to depends on the order.
    return {name: tensors[name] for name in sorted(tensors) if ".half." not in name}


def assert_same_training(a, b):
    """Compare counts exactly, filters to 1e-5."""
    first, second = sums(a), sums(b)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        if name.endswith("count"):
            np.testing.assert_array_equal(tensor, second[name])
        else:
            scale = np.abs(tensor).max()
            np.testing.assert_allclose(tensor / scale, second[name] / scale, atol=1e-6)
    for ours, theirs in zip(load_bank(a).stages, load_bank(b).stages, strict=True):
        assert ours.spec == theirs.spec
        np.testing.assert_array_equal(ours.support, theirs.support)
        np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-5)


def psnr(truth, image, mask):
    return -10 * np.log10(np.mean((truth[mask] - image[mask]) ** 2))


# It learns


@pytest.mark.parametrize("scale", [(2, 2, 2), (1, 1, 2)])
def test_three_volumes_gain_over_tricubic_on_a_fourth(scans, tmp_path, scale):
    parameters = TrainParameters(scale)
    report = train(scans[:3], tmp_path / "a.safetensors", parameters)
    pair = prepare_pair(scans[3], parameters)
    whole = Region.whole(pair.truth.shape)
    base = get_method("tricubic", scale).compute(pair.lr, whole)
    start = psnr(pair.truth, base, pair.mask)
    after = [
        psnr(pair.truth, Hashed(report.bank).run(pair.lr, whole, stages), pair.mask)
        for stages in (1, 2)
    ]
    assert after[0] > start + 0.5
    assert after[1] > after[0]
    # The saved bank is the trained one.
    bank = load_bank(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(bank.stages[1].weights, report.bank.stages[1].weights)


def test_a_volume_along_two_axes_trains_as_two_volumes(scans, tmp_path):
    volume = read_volume(scans[0])
    orders = {"x": (1, 2, 0), "y": (0, 2, 1)}
    turned = [
        VolumeSource(name, lambda order=order: permute_volume(volume, order))
        for name, order in orders.items()
    ]
    along = TrainParameters((1, 1, 2), thick_axes=(("*", "xy"),))
    found = train([scans[0]], tmp_path / "a.safetensors", along).bank
    alone = TrainParameters((1, 1, 2), thick_axes=(("*", "z"),))
    expected = train(turned, tmp_path / "b.safetensors", alone).bank
    assert found.provenance["thick_axes"] == ["*=xy"]
    for a, b in zip(found.stages, expected.stages, strict=True):
        np.testing.assert_array_equal(a.support, b.support)
        np.testing.assert_allclose(a.weights, b.weights, atol=1e-4)


def test_bank_records_its_volumes_and_errors(scans, tmp_path):
    parameters = TrainParameters(licenses={"sub-1_T1w.nii.gz": "CC0"})
    report = train(scans[:2], tmp_path / "mine.safetensors", parameters)
    bank = report.bank
    assert (bank.name, bank.scale, bank.degradation) == ("mine", (2, 2, 2), "standard")
    assert bank.preset == "default"
    names = [(v["name"], v["license"]) for v in bank.provenance["volumes"]]
    assert names == [("sub-1_T1w.nii.gz", "CC0"), ("sub-2_T1w.nii.gz", "")]
    assert "gain on them" in bank.describe()
    for stage in bank.stages:
        used = stage.support > 0
        assert used.sum() > 8
        assert (stage.error[used] <= stage.start_error[used] * 1.001).all()
        assert np.isnan(stage.error[~used]).all()
        assert len(stage.support) == stage.spec.hash.bucket_count


def test_sharpened_targets_sharpen_the_result_and_are_recorded(scans, tmp_path):
    """The measured gain stays that over the truth, from which the results now differ."""
    parameters = TrainParameters(sharpen=(1.0, 1.5))
    sharp = train(scans[:2], tmp_path / "sharp.safetensors", parameters).bank
    plain = train(scans[:2], tmp_path / "plain.safetensors", TrainParameters()).bank
    assert sharp.provenance["sharpen"] == "amount 1, sigma 1.5 voxels"
    assert "targets sharpened: amount 1, sigma 1.5 voxels" in sharp.describe()
    assert "sharpen" not in plain.provenance
    pair = prepare_pair(scans[3], parameters)
    np.testing.assert_array_equal(pair.truth, prepare_pair(scans[3], TrainParameters()).truth)
    whole = Region.whole(pair.truth.shape)
    results = [Hashed(bank).compute(pair.lr, whole) for bank in (sharp, plain)]
    details = [np.abs(np.gradient(image)).mean() for image in results]
    assert details[0] > 1.1 * details[1]


def test_report_contains_rates(scans, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "measure_sgemm", cost.measure_sgemm)
    report = train(scans[:1], tmp_path / "a.safetensors", TrainParameters())
    support = sum(int(s.support.sum()) for s in report.bank.stages)
    assert report.samples == support > 5000
    assert report.samples_per_s > 0
    assert report.seconds > 0
    assert 0 < report.gflops < 3 * report.sgemm_gflops
    assert report.sgemm_gflops > 1


def test_paper_preset_cuts_at_terciles_and_has_neither_ridge_nor_calibration(scans, tmp_path):
    report = train(scans[:2], tmp_path / "p.safetensors", TrainParameters(preset="paper"))
    (stage,) = report.bank.stages
    cuts = stage.spec.hash.cuts
    assert set(cuts) == {"elevation", "strength", "coherence"}
    # Terciles: a third of the samples in each bin.
    support = stage.support.reshape(2, 3, 3)
    for axis in (1, 2):
        shares = support.sum(axis=(0, 3 - axis)) / support.sum()
        np.testing.assert_allclose(shares, 1 / 3, atol=0.03)
    assert sums(tmp_path / "p.safetensors")["stage0.gram"].dtype == np.float32
    assert np.isnan(stage.start_error).all()
    assert report.bank.calibration is None
    # Filters replace the voxel: they pass a constant.
    np.testing.assert_allclose(stage.weights.sum(axis=1)[stage.support > 3000], 1.0, atol=0.05)


# It adds up


def test_volumes_added_later_equal_one_training(scans, tmp_path):
    once, later = tmp_path / "once.safetensors", tmp_path / "later.safetensors"
    train(scans[:3], once, TrainParameters())
    train(scans[:2], later, TrainParameters())
    first = load_bank(later)
    report = train(scans[2:3], later, TrainParameters(), resume=True)
    assert_same_training(once, later)
    assert [v["name"] for v in report.bank.provenance["volumes"]] == [p.name for p in scans[:3]]
    assert np.abs(first.stages[0].weights - report.bank.stages[0].weights).max() > 1e-3


def test_the_order_of_the_volumes_does_not_matter(scans, tmp_path):
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    train(scans[:3], one, TrainParameters())
    train([scans[i] for i in (2, 0, 1)], two, TrainParameters())
    assert_same_training(one, two)


def test_the_same_file_twice_counts_once(scans, tmp_path):
    path = tmp_path / "a.safetensors"
    copy = tmp_path / "copy.nii.gz"
    copy.write_bytes(scans[0].read_bytes())
    report = train([scans[0], copy, scans[0]], path, TrainParameters())
    assert len(report.bank.provenance["volumes"]) == 1
    again = train([copy], path, TrainParameters(), resume=True)
    assert again.samples == 0
    assert again.samples_per_s == 0.0


def test_resume_without_new_volumes_changes_nothing(scans, tmp_path):
    path = tmp_path / "a.safetensors"
    train(scans[:2], path, TrainParameters())
    before = load_bank(path)
    report = train(scans[:2], path, TrainParameters(), resume=True)
    for ours, theirs in zip(report.bank.stages, before.stages, strict=True):
        np.testing.assert_array_equal(ours.weights, theirs.weights)


# Cancel


class CancelAt(Progress):
    """Progress that cancels after a number of steps."""

    def __init__(self, at):
        super().__init__()
        self.at, self.seen = at, []

    def show(self, state):
        self.seen.append((state.done, state.total))
        if state.done == self.at:
            self.token.cancel()


class CountingToken(CancelToken):
    """Token that is cancelled at its n-th check."""

    def __init__(self, n):
        super().__init__()
        self.left = n

    def check(self):
        self.left -= 1
        if self.left <= 0:
            self.cancel()
        super().check()


def test_progress_counts_volumes_and_stages(scans, tmp_path):
    progress = CancelAt(None)
    train(scans[:2], tmp_path / "a.safetensors", TrainParameters(), progress=progress)
    assert progress.seen == [(n, 6) for n in range(7)]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_cancel_keeps_finished_volumes_and_resume_completes(scans, tmp_path, at):
    once, other = tmp_path / "once.safetensors", tmp_path / "other.safetensors"
    train(scans[:2], once, TrainParameters())
    with pytest.raises(Cancelled):
        train(scans[:2], other, TrainParameters(), progress=CancelAt(at))
    assert not other.exists()
    assert checkpoint_document(other)["done"] == {1: [1, 0], 2: [2, 0], 3: [2, 1]}[at]
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {
        "once.safetensors",
        "once.safetensors.equations.safetensors",
        "other.safetensors.equations.safetensors",
    }
    progress = CancelAt(None)
    train(scans[:2], other, TrainParameters(), resume=True, progress=progress)
    assert progress.seen[-1] == (6 - at, 6 - at)  # only what was missing, and held-out errors
    assert_same_training(once, other)


@pytest.mark.parametrize("checks", [3, 20, 40])
def test_cancel_within_a_volume_leaves_whole_volumes(scans, tmp_path, checks):
    once, other = tmp_path / "once.safetensors", tmp_path / "other.safetensors"
    train(scans[:2], once, TrainParameters())
    with pytest.raises(Cancelled):
        train(scans[:2], other, TrainParameters(), progress=Progress(CountingToken(checks)))
    assert not other.exists()
    train(scans[:2], other, TrainParameters(), resume=True)
    assert_same_training(once, other)


# What is refused


def test_existing_bank_is_kept_without_overwrite(scans, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"mine")
    with pytest.raises(BankError, match="exists; overwrite or resume it"):
        train(scans[:1], path, TrainParameters())
    assert path.read_bytes() == b"mine"
    train(scans[:1], path, TrainParameters(), overwrite=True)
    assert load_bank(path).stages


def test_no_volumes_and_missing_files_are_refused(tmp_path):
    with pytest.raises(VolumeError, match="train: no volumes; name files or a folder"):
        train([], tmp_path / "a.safetensors", TrainParameters())
    missing = tmp_path / "missing.nii.gz"
    with pytest.raises(VolumeError, match=r"missing\.nii\.gz: cannot be read \(No such file"):
        train([missing], tmp_path / "a.safetensors", TrainParameters())
    assert list(tmp_path.iterdir()) == []


def test_unknown_preset_and_degradation_are_refused(scans, tmp_path, monkeypatch):
    monkeypatch.undo()
    for parameters in (TrainParameters(preset="best"), TrainParameters(degradation="blur")):
        with pytest.raises(ParameterError, match="choose from"):
            train(scans[:1], tmp_path / "a.safetensors", parameters)


def test_volume_that_changed_is_refused(scans, tmp_path):
    """Later stages read old volumes again; another file under the name is refused."""
    moved = tmp_path / "moving.nii.gz"
    moved.write_bytes(scans[0].read_bytes())
    out = tmp_path / "bank.safetensors"
    train([moved], out, TrainParameters())
    moved.write_bytes(scans[1].read_bytes())
    with pytest.raises(VolumeError, match=r"moving\.nii\.gz: has changed since .*; restore it"):
        train([scans[2]], out, TrainParameters(), resume=True)


def test_sums_that_do_not_fit_are_refused_before_the_start(scans, tmp_path, monkeypatch):
    import psutil

    little = type("Memory", (), {"available": 2**10})()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: little)
    out = tmp_path / "bank.safetensors"
    with pytest.raises(MrisrError, match=r"memory: preset paper .* needs .* GB, 0\.0 GB"):
        train(scans[:1], out, TrainParameters(preset="paper"))
    assert list(tmp_path.iterdir()) == []
