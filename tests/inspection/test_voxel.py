"""One voxel: the map's bucket, and the engine's own output."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.core.volume import Region
from napari_mrisr.errors import ParameterError
from napari_mrisr.inspection import bucket_map, look, stage_input
from napari_mrisr.methods.hashed import Hashed

PLACES = [(11, 12, 13), (0, 0, 0), (22, 24, 26), (1, 20, 7)]


@pytest.mark.parametrize("number", [0, 1])
def test_every_voxel_is_as_in_the_map(number):
    source = stage_input(patterns.noise(), patterns.planted_bank(), number)
    buckets = bucket_map(source)
    spec = source.stage.spec.hash
    _, elements = spec.hash_box(source.image, (0, 0, 0), source.shape, Region.whole(source.shape))
    for place in PLACES:
        seen = look(source, place)
        assert seen.bucket == buckets[place]
        assert seen.element == elements[place]
        assert seen.intensity == source.image[place]
        assert seen.ranges == spec.decode(seen.bucket)
        for name, (low, high) in seen.ranges.items():
            if name in seen.values:
                assert low - 1e-4 <= seen.values[name] <= high + 1e-4


@pytest.mark.parametrize("place", PLACES)
def test_cell_results_are_what_the_stage_adds(place):
    volume, bank = patterns.noise(), patterns.planted_bank(("cell",))
    seen = look(stage_input(volume, bank, 0), place)
    method = Hashed(bank)
    block = Region(tuple(2 * i for i in place), tuple(2 * i + 2 for i in place))
    added = method.run(volume, block, 1) - method.run(volume, block, 0)
    np.testing.assert_allclose(seen.results, added, atol=2e-6)
    assert np.abs(added).max() > 1e-3


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_voxel_results_are_what_the_stage_makes(place, residual):
    volume = patterns.noise()
    bank = patterns.planted_bank(("voxel",), residual=residual)
    if not residual:
        bank.stages[0].weights[:, 13] += 1.0
    source = stage_input(volume, bank, 0)
    seen = look(source, place)
    at = Region(place, tuple(i + 1 for i in place))
    whole = Hashed(bank).run(volume, at, 1).item()
    made_of_it = seen.results.item() + (seen.intensity if residual else 0.0)
    assert whole == pytest.approx(max(made_of_it, float(volume.extrema[0])), abs=2e-6)


def test_the_patch_is_mirrored_at_the_edge():
    volume = patterns.noise()
    seen = look(stage_input(volume, patterns.planted_bank(), 0), (0, 12, 26))
    expected = np.pad(volume.data, 1, mode="reflect")[0:3, 12:15, 26:29]
    np.testing.assert_array_equal(seen.patch, expected)


def test_flat_voxels_have_no_filter():
    data = np.full(patterns.SHAPE, 0.5)
    data[:5] = 0.9
    seen = look(stage_input(patterns.as_volume(data), patterns.planted_bank(), 0), (18, 12, 13))
    assert seen.flat
    assert seen.ranges == {"flat": (0.0, 0.002)}
    assert not seen.results.any()


@pytest.mark.parametrize("place", [(-1, 0, 0), (0, 25, 0)])
def test_no_such_voxel(place):
    with pytest.raises(ParameterError, match="stay within"):
        look(stage_input(patterns.noise(), patterns.planted_bank(), 0), place)
