"""Stop keeps a usable bank, and resume goes on exactly."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.scans import save_scans
from helpers.training import small_preset
from safetensors import safe_open
from safetensors.numpy import load_file

from napari_mrisr import training
from napari_mrisr.bank.model import load_bank
from napari_mrisr.core.progress import CancelToken
from napari_mrisr.core.volume import Region
from napari_mrisr.errors import Cancelled
from napari_mrisr.kernels import cpu_gram
from napari_mrisr.methods import get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.training import Watch, accumulate, train
from napari_mrisr.training.events import VolumeAdded, VolumeBegan
from napari_mrisr.training.sampling import TrainParameters, prepare_pair


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return save_scans(tmp_path_factory.mktemp("scans"))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(training, "get_preset", small_preset)
    monkeypatch.setattr(training, "measure_sgemm", lambda: 100.0)


class StopAt:
    """Watches, and stops in the middle of a volume or after it."""

    def __init__(self, kind, stage, volume):
        self.wanted = kind, stage, volume
        self.watch = Watch(self.see)

    def see(self, event):
        if isinstance(event, VolumeBegan):
            key = VolumeBegan, event.stage, event.volume
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


def done(path):
    with safe_open(f"{path}.equations.safetensors", framework="numpy") as file:
        return json.loads(file.metadata()["napari_mrisr_training"])["done"]


@pytest.mark.parametrize(
    ("kind", "stage", "volume", "stages", "text"),
    [
        (VolumeAdded, 1, 1, 1, "stopped after 1 of 3 volumes in stage 1 of 2"),
        (VolumeAdded, 1, 2, 1, "stopped after 2 of 3 volumes in stage 1 of 2"),
        (VolumeBegan, 1, 3, 1, "stopped after 2 of 3 volumes in stage 1 of 2"),
        # A stage with no volume is left out.
        (VolumeBegan, 2, 1, 1, "stopped after 3 of 3 volumes in stage 1 of 2"),
        (VolumeAdded, 2, 1, 2, "stopped after 1 of 3 volumes in stage 2 of 2"),
        (VolumeBegan, 2, 3, 2, "stopped after 2 of 3 volumes in stage 2 of 2"),
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


def test_a_stopped_first_stage_is_the_training_on_its_volumes(scans, tmp_path):
    """In the middle of volume 3: as if there had been two, and one stage."""
    out, two = tmp_path / "a.safetensors", tmp_path / "two.safetensors"
    train(scans[:3], out, TrainParameters(), watch=StopAt(VolumeBegan, 1, 3).watch)
    train(scans[:2], two, TrainParameters())
    ours, theirs = load_bank(out).stages[0], load_bank(two).stages[0]
    np.testing.assert_array_equal(ours.support, theirs.support)
    np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-6)


def test_half_a_volume_is_not_in_a_stopped_bank(scans, tmp_path, monkeypatch):
    out, one = tmp_path / "a.safetensors", tmp_path / "one.safetensors"
    watch, calls = Watch(), []
    train(scans[:1], one, TrainParameters())
    add = cpu_gram.add_samples

    def counted(samples, ends, buckets, part, sums, space):
        add(samples, ends, buckets, part, sums, space)
        if samples.places.shape[1] == 8:  # the stage of cells
            calls.append(1)
        if len(calls) == whole + 3:
            watch.stop.cancel()

    monkeypatch.setattr(cpu_gram, "add_samples", counted)
    monkeypatch.setattr(accumulate, "_OPERATIONS", 1e5)
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


@pytest.mark.parametrize(("kind", "stage", "volume"), [(VolumeBegan, 1, 2), (VolumeAdded, 2, 1)])
def test_stop_and_resume_with_more_volumes_is_all_at_once(scans, tmp_path, kind, stage, volume):
    """Counts bit for bit, filters to 1e-5."""
    once, later = tmp_path / "once.safetensors", tmp_path / "later.safetensors"
    train(scans[:4], once, TrainParameters())
    train(scans[:2], later, TrainParameters(), watch=StopAt(kind, stage, volume).watch)
    report = train(scans[2:4], later, TrainParameters(), resume=True)
    assert report.stopped == ""
    assert "stopped" not in report.bank.provenance
    assert done(later) == [4, 4]
    a, b = load_bank(once), load_bank(later)
    assert a.provenance["volumes"] == b.provenance["volumes"]
    for ours, theirs in zip(a.stages, b.stages, strict=True):
        assert ours.spec == theirs.spec
        np.testing.assert_array_equal(ours.support, theirs.support)
        np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-5)


def test_stop_before_the_first_volume_is_a_cancel(scans, tmp_path):
    out = tmp_path / "a.safetensors"
    with pytest.raises(Cancelled, match="before the first volume"):
        train(scans[:2], out, TrainParameters(), watch=StopAt(VolumeBegan, 1, 1).watch)
    watch = Watch(stop=CancelToken())
    watch.stop.cancel()
    with pytest.raises(Cancelled):
        train(scans[:2], out, TrainParameters(), watch=watch)
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_resume_does_not_take_stages_away(scans, tmp_path):
    """While the first stage takes in more volumes there is but one stage; the bank has two."""
    out = tmp_path / "a.safetensors"
    train(scans[:2], out, TrainParameters())
    before = out.read_bytes()
    watch = StopAt(VolumeAdded, 1, 3).watch
    report = train(scans[2:4], out, TrainParameters(), resume=True, watch=watch)
    assert report.stopped == (
        "stopped after 3 of 4 volumes in stage 1 of 2; the bank there has more stages and is kept"
    )
    assert out.read_bytes() == before
    assert len(report.bank.stages) == 2
    assert done(out) == [3, 0]


def test_no_thread_is_left_and_no_partial_file(scans, tmp_path):
    import threading

    train(scans[:2], tmp_path / "a.safetensors", TrainParameters(), watch=Watch())
    out = tmp_path / "b.safetensors"
    train(scans[:2], out, TrainParameters(), watch=StopAt(VolumeBegan, 1, 2).watch)
    assert [t.name for t in threading.enumerate() if t.name.startswith("mrisr")] == []
    assert {p.name for p in tmp_path.iterdir()} == {
        f"{n}.safetensors{end}" for n in "ab" for end in ("", ".equations.safetensors")
    }
