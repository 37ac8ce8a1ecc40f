"""Stage input: equal to the image inside a run, bit for bit."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Region
from napari_mrisr.errors import Cancelled, MemoryEstimateError, ParameterError
from napari_mrisr.inspection import source as module
from napari_mrisr.inspection import stage_input
from napari_mrisr.inspection.source import over_blocks
from napari_mrisr.methods.hashed import Hashed


def test_input_of_a_cell_stage_is_the_scan():
    volume = patterns.noise()
    found = stage_input(volume, patterns.planted_bank(), 0)
    np.testing.assert_array_equal(found.image, volume.data)
    assert found.grid is volume.grid


@pytest.mark.parametrize("scale", [(2, 2, 2), (3, 3, 3)])
def test_input_of_a_later_stage_is_the_earlier_output(scale):
    volume = patterns.noise()
    bank = patterns.planted_bank(("cell", "voxel", "voxel"), scale=scale)
    whole = Region.whole(tuple(n * s for n, s in zip(patterns.SHAPE, scale, strict=True)))
    for number in (1, 2):
        found = stage_input(volume, bank, number, threads=2)
        # Nothing exceeds the clip, so a run of the first stages is the input of the next.
        assert volume.extrema[1] <= 1.0
        np.testing.assert_array_equal(found.image, Hashed(bank).run(volume, whole, number))
        assert found.grid.shape == whole.stop
        np.testing.assert_allclose(found.grid.affine, volume.grid.upsampled(scale).affine)


def test_an_earlier_input_is_reused(monkeypatch):
    volume, bank = patterns.noise(), patterns.planted_bank(("cell", "voxel", "voxel"))
    first = stage_input(volume, bank, 1)
    fresh = stage_input(volume, bank, 2).image
    passes = []
    whole = Hashed.compute_pass

    def watched(self, number, *rest):
        passes.append(number)
        return whole(self, number, *rest)

    monkeypatch.setattr(Hashed, "compute_pass", watched)
    np.testing.assert_array_equal(stage_input(volume, bank, 2, earlier=first).image, fresh)
    assert set(passes) == {2}
    passes.clear()
    assert stage_input(volume, bank, 1, earlier=first).image is first.image
    assert passes == []
    # One voxel differs: computed again.
    changed = patterns.as_volume(volume.data.copy())
    changed.data[3, 4, 5] += 0.01
    assert stage_input(changed, bank, 1, earlier=first).image is not first.image
    other = patterns.planted_bank(("cell", "voxel", "voxel"), seed=1)
    assert stage_input(volume, other, 1, earlier=first).image is not first.image


def test_a_missing_stage_is_refused():
    for number in (-1, 2):
        with pytest.raises(ParameterError, match="give 1 to 2"):
            stage_input(patterns.noise(), patterns.planted_bank(), number)


def test_too_large_volumes_are_refused_first(monkeypatch):
    import psutil

    class Little:
        available = 1000

    monkeypatch.setattr(psutil, "virtual_memory", lambda: Little())
    with pytest.raises(MemoryEstimateError, match="crop the volume"):
        stage_input(patterns.noise(), patterns.planted_bank(), 1)


def test_cancel_leaves_no_thread():
    class Impatient(Progress):
        def show(self, state):
            if state.done:
                self.token.cancel()

    done = []
    with pytest.raises(Cancelled):
        over_blocks(
            Grid((60, 30, 30), np.eye(4)), (1, 1, 1), done.append, "t", 1, Impatient()
        )  # fmt: skip
    assert 0 < len(done) < 20
    assert not [t for t in threading.enumerate() if t.name.startswith("mrisr")]


def test_blocks_cover_the_grid_once_and_errors_are_raised():
    counts = np.zeros((31, 7, 5), int)

    def count(region):
        counts[region.slices] += 1

    over_blocks(Grid(counts.shape, np.eye(4)), (2, 1, 1), count, "t", 2)
    assert (counts == 1).all()

    def fail(region):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        over_blocks(Grid(counts.shape, np.eye(4)), (1, 1, 1), fail, "t", 2)


def test_a_long_first_block_reports_compiling(monkeypatch):
    monkeypatch.setattr(module, "_COMPILING_AFTER_S", 0.01)
    said = []

    class Told(Progress):
        def message(self, text):
            said.append(text)
            go.set()

    go = threading.Event()
    over_blocks(Grid((1, 4, 4), np.eye(4)), (1, 1, 1), lambda _: go.wait(5), "t", 1, Told())
    assert len(said) == 1
    assert "compiling" in said[0]


def test_the_head_is_on_the_stage_grid():
    x, y, z = patterns.steps((32, 36, 40), (16, 18, 20))
    ball = patterns.as_volume((x**2 + y**2 + z**2 < 100) * 1.0)
    bank = patterns.planted_bank()
    small, large = (stage_input(ball, bank, n).head() for n in (0, 1))
    assert small[16, 18, 20]
    assert not small[0, 0, 0]
    np.testing.assert_array_equal(large, small.repeat(2, 0).repeat(2, 1).repeat(2, 2))
