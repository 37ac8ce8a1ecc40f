"""History of a training from its events, the texts of the dock, and names of banks."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.bank.folder import bank_folder
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import OutputError
from napari_mrisr.training.events import (
    CalibrationStarted,
    GainMeasured,
    TrainingStarted,
    VolumeAdded,
    VolumeStarted,
)
from napari_mrisr.viewer.train import model as texts
from napari_mrisr.viewer.train.model import TrainingHistory, bank_path


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def history():
    clock = Clock()
    history = TrainingHistory(clock=clock)
    history.add(TrainingStarted(2, 3, (3, 3), 80.0))
    for n in (1, 2):
        history.add(VolumeStarted(1, n))
        clock.now += 10
        support = np.array([0, 5, 5, 40, 2_000_000]) * n
        history.add(VolumeAdded(1, n, support, 1_500_000.0, 21.4, 1 - 0.2 * n))
        history.add(GainMeasured(1, n, (0.4 * n, 0.8 * n), 150_000))
    return history


def test_stages_lie_next_to_each_other(history):
    assert history.mean_gains == [[(1.0, pytest.approx(0.6)), (2.0, pytest.approx(1.2))]]
    history.add(GainMeasured(2, 1, (1.5, 1.7), 150_000))
    assert history.mean_gains[1] == [(4.0, pytest.approx(1.6))]
    assert history.last_gain_db == pytest.approx(1.6)
    assert history.gains_per_volume[0] == [(1.0, 0.4), (2.0, 0.8)]


def test_time_left_follows_the_pace_so_far(history):
    # 20 s for 40 %: 30 s are left, and 4 s later 26.
    assert history.eta_s == pytest.approx(30.0)
    history.clock.now += 4
    assert history.eta_s == pytest.approx(26.0)
    assert texts.stage_text(history) == "Stage 1 of 2, volume 2 of 3, about 26 s left"
    history.add(CalibrationStarted(3))
    assert texts.stage_text(history).startswith("Measuring expected errors")
    assert TrainingHistory().eta_s is None


def test_buckets_are_counted_by_samples(history):
    assert history.buckets_by_decade.tolist() == [1, 0, 3, 0, 0, 0, 0, 1]
    assert texts.support_title(history) == "Stage 1: 4 of 5 buckets used"
    assert texts.support_note(history) == "samples per bucket (median 10)"
    assert TrainingHistory().buckets_by_decade.sum() == 0


def test_resume_keeps_the_gains_of_finished_stages(history):
    history.add(GainMeasured(2, 1, (1.5, 1.7), 1))
    history.add(TrainingStarted(2, 4, (2, 4), 80.0))
    assert sorted(history.gains) == [(1, 1), (1, 2)]


def test_texts_state_numbers_with_units(history):
    assert texts.speed_text(history) == (
        "1.5 million samples/s, 21 GFLOP/s (matrix product of this machine: 80 GFLOP/s)"
    )
    assert texts._thousands(613_748) == "614,000"
    assert [texts._thousands(n) for n in (7, 950, 999_400, 999_600)] == [
        *("7", "950", "999,000"),
        "1.0 million",
    ]
    assert texts.gain_title(history) == "Validation gain: +1.20 dB over tricubic"
    assert "2 axial slabs" in texts.gain_note(history)
    assert "150,000 voxels" in texts.gain_tip(history)
    grids = [Grid((10, 20, 30), np.eye(4)), Grid((10, 20, 31), np.eye(4))]
    text = texts.plan_text(3, 1, grids, 1_200_000_000)
    assert text == (
        "3 volumes to train on, 1 to validate on\n"
        "largest 10 × 20 × 31 voxels\nneeds about 1.2 GB of memory"
    )


def test_warnings_about_thick_slices_and_few_volumes():
    thick = Grid((10, 20, 30), np.diag([1.0, 1.0, 4.0, 1.0]))
    even = Grid((10, 20, 30), np.diag([1.0, 1.3, 1.3, 1.0]))
    assert texts.warnings([even] * 3, 3, 1) == []
    found = texts.warnings([thick, even], 2, 0)
    assert [line.split()[0] for line in found] == ["One", "Only", "No"]
    assert "1 × 1 × 4 mm" in found[0]
    assert texts.warnings([], 0, 0) == []


def test_bank_names_that_are_no_file_names_are_refused(tmp_path):
    assert bank_path("mine") == bank_folder() / "mine.safetensors"
    assert bank_path(" mine.safetensors", tmp_path) == tmp_path / "mine.safetensors"
    assert bank_path("thick-2", suffix=".onnx") == bank_folder() / "thick-2.onnx"
    with pytest.raises(OutputError, match="bundled network"):
        bank_path("thick-slices.onnx", suffix=".onnx")
    for name in ("", "a/b", "..", ".hidden", "default-2x", "a.equations", 'x"y'):
        with pytest.raises(OutputError, match=r"^name: "):
            bank_path(name)
