"""Maps: the engine's own buckets, voxel by voxel, and the oracle's."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.bank.hashing import FEATURES
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.volume import Region
from napari_mrisr.errors import Cancelled, ParameterError
from napari_mrisr.inspection import bin_map, bucket_map, feature_map, orientation_map, stage_input
from napari_mrisr.inspection.maps import cut_names
from napari_mrisr.kernels import reference
from napari_mrisr.operators.gradients import tensor_box


@pytest.fixture(params=[0, 1], ids=["cells", "voxels"])
def source(request):
    return stage_input(patterns.noise(), patterns.planted_bank(), request.param)


def test_buckets_are_those_of_the_engine(source):
    found = bucket_map(source, threads=2)
    whole = Region.whole(source.shape)
    spec = source.stage.spec.hash
    expected, _ = spec.hash_box(source.image, (0, 0, 0), source.shape, whole)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype.kind == "u"
    assert len(np.unique(found)) > 20


def test_buckets_are_those_of_the_oracle(source):
    region = Region((4, 5, 6), (10, 9, 13))
    spec = source.stage.spec.hash
    tensor, smooth = tensor_box(source.image, (0, 0, 0), source.shape, region, spec.window)
    expected, _ = reference.hash_voxels(tensor, smooth, region.start, spec.code)
    found = bucket_map(source)[region.slices]
    # Rounding may move a voxel that lies on a cut.
    assert (found == expected).mean() > 0.99


def test_bins_put_together_make_the_bucket(source):
    spec = source.stage.spec.hash
    buckets = bucket_map(source)
    total = np.zeros(source.shape, int)
    for name, radix in zip((*FEATURES, "phase"), spec.radices, strict=True):
        if radix > 1:
            bins = bin_map(buckets, spec, name)
            assert bins[buckets < spec.filter_count].max() < radix
            assert (bins[buckets == spec.filter_count] == radix).all()
            total = total * radix + bins
    filtered = buckets < spec.filter_count
    np.testing.assert_array_equal(total[filtered], buckets[filtered])


def test_features_lie_in_the_ranges_of_their_bins(source):
    spec = source.stage.spec.hash
    buckets = bucket_map(source)
    for name in spec.cuts:
        values, bins = feature_map(source, name, threads=2), bin_map(buckets, spec, name)
        expected = np.searchsorted(spec.cuts[name], values, side="right")
        near = np.min(np.abs(values[..., None] - np.array(spec.cuts[name])), axis=-1) < 1e-4
        wrong = (bins != expected) & (buckets < spec.filter_count) & ~near
        assert not wrong.any()


def test_bins_of_what_is_not_cut():
    spec = patterns.planted_bank().stages[0].spec.hash
    assert cut_names(spec) == ["elevation", "azimuth", "strength", "coherence", "curvature"]
    with pytest.raises(ParameterError, match="not cut into bins"):
        bin_map(np.zeros(3, int), spec, "asymmetry")
    with pytest.raises(ParameterError, match="choose from"):
        feature_map(stage_input(patterns.noise(), patterns.planted_bank(), 0), "hue")


def test_orientation_of_a_plane_and_of_nothing():
    source = stage_input(patterns.plane((0.03, 0.0, 0.04)), patterns.planted_bank(), 0)
    color = orientation_map(source)
    assert color.shape == (*patterns.SHAPE, 3)
    np.testing.assert_allclose(color[patterns.CENTER], [0.6 * 255, 0, 0.8 * 255], atol=1)
    flat = patterns.as_volume(np.full(patterns.SHAPE, 0.5) + 1e-5 * np.arange(patterns.SHAPE[2]))
    assert not orientation_map(stage_input(flat, patterns.planted_bank(), 0)).any()


def test_cancelled_maps():
    token = CancelToken()
    token.cancel()
    source = stage_input(patterns.noise(), patterns.planted_bank(), 0)
    with pytest.raises(Cancelled):
        bucket_map(source, progress=Progress(token))
