"""What is collected from events, and how it is said; names of banks; ticks."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.bank.folder import bank_folder
from napari_mrisr.core.volume import Grid
from napari_mrisr.errors import OutputError
from napari_mrisr.training.cost import MemoryNeed
from napari_mrisr.training.events import (
    CalibrationStarted,
    GainMeasured,
    TrainingStarted,
    VolumeAdded,
    VolumeStarted,
)
from napari_mrisr.viewer.train import texts
from napari_mrisr.viewer.train.charts import nice_ticks
from napari_mrisr.viewer.train.request import bank_path
from napari_mrisr.viewer.train.story import Story


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def story():
    clock = Clock()
    story = Story(clock=clock)
    story.add(TrainingStarted(2, 3, (3, 3), 80.0))
    for n in (1, 2):
        story.add(VolumeStarted(1, n))
        clock.now += 10
        support = np.array([0, 5, 5, 40, 2_000_000]) * n
        story.add(VolumeAdded(1, n, support, 1_500_000.0, 21.4, 1 - 0.2 * n))
        story.add(GainMeasured(1, n, (0.4 * n, 0.8 * n), 150_000))
    return story


def test_the_curve_lies_stage_beside_stage(story):
    assert story.curve == [[(1.0, pytest.approx(0.6)), (2.0, pytest.approx(1.2))]]
    story.add(GainMeasured(2, 1, (1.5, 1.7), 150_000))
    assert story.curve[1] == [(4.0, pytest.approx(1.6))]
    assert story.last_gain_db == pytest.approx(1.6)
    assert story.range_of_volumes[0] == [(1.0, 0.4), (2.0, 0.8)]


def test_time_left_is_at_the_pace_so_far(story):
    # 20 s for 40 %: 30 s are left, and 4 s later 26.
    assert story.eta_s == pytest.approx(30.0)
    story.clock.now += 4
    assert story.eta_s == pytest.approx(26.0)
    assert texts.stage_text(story) == "Stage 1 of 2, volume 2 of 3, about 26 s left"
    story.add(CalibrationStarted(3))
    assert texts.stage_text(story).startswith("Measuring the errors to expect")
    assert Story().eta_s is None


def test_buckets_by_samples(story):
    assert story.buckets_by_decade.tolist() == [1, 0, 3, 0, 0, 0, 0, 1]
    assert texts.support_title(story) == "Samples a bucket, stage 1: 4 of 5 used"
    assert texts.support_note(story) == "median 10 samples"
    assert Story().buckets_by_decade.sum() == 0


def test_a_resume_keeps_what_is_not_learned_anew(story):
    story.add(GainMeasured(2, 1, (1.5, 1.7), 1))
    story.add(TrainingStarted(2, 4, (2, 4), 80.0))
    assert sorted(story.gains) == [(1, 1), (1, 2)]


def test_texts(story):
    assert texts.speed_text(story) == (
        "1.5 million samples/s; 21 GFLOP/s, the symmetric half counted once "
        "(this machine's sgemm: 80)"
    )
    assert texts._thousands(613_748) == "614,000"
    assert [texts._thousands(n) for n in (7, 950, 999_400, 999_600)] == [
        *("7", "950", "999,000"),
        "1.0 million",
    ]
    assert texts.gain_title(story) == "Validation gain: +1.20 dB over tricubic"
    assert "2 axial slabs" in texts.gain_note(story)
    assert "150,000 voxels" in texts.gain_tip(story)
    grids = [Grid((10, 20, 30), np.eye(4)), Grid((10, 20, 31), np.eye(4))]
    text = texts.plan_text(3, 1, grids, MemoryNeed(10**9, 2 * 10**8, 0))
    assert text == (
        "3 volumes to train on, 1 to validate on\n"
        "largest 10 × 20 × 31 voxels\nabout 1.2 GB of memory"
    )


def test_warnings():
    thick = Grid((10, 20, 30), np.diag([1.0, 1.0, 4.0, 1.0]))
    even = Grid((10, 20, 30), np.diag([1.0, 1.3, 1.3, 1.0]))
    assert texts.warnings([even] * 3, 3, 1) == []
    found = texts.warnings([thick, even], 2, 0)
    assert [line.split()[0] for line in found] == ["One", "2", "No"]
    assert "1 × 1 × 4 mm" in found[0]
    assert texts.warnings([], 0, 0) == []


def test_names_of_banks(tmp_path):
    assert bank_path("mine") == bank_folder() / "mine.safetensors"
    assert bank_path(" mine.safetensors", tmp_path) == tmp_path / "mine.safetensors"
    for name in ("", "a/b", "..", ".hidden", "default-2x", "a.equations", 'x"y'):
        with pytest.raises(OutputError, match=r"^name: "):
            bank_path(name)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.5), (0.0, 1.83), (-0.7, 2.2), (0.0, 0.031)])
def test_ticks_are_round_and_hold_the_values(low, high):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 3 <= len(ticks) <= 8
    steps = np.diff(ticks)
    np.testing.assert_allclose(steps, steps[0])
    mantissa = steps[0] / 10.0 ** np.floor(np.log10(steps[0]) + 1e-9)
    assert min(abs(mantissa - m) for m in (1, 2, 2.5, 5)) < 1e-6
