"""Maps against the engine and the reference implementation; features of known patterns."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import patterns

from napari_mrisr.bank.hashing import FEATURES
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.volume import Region
from napari_mrisr.errors import Cancelled, ParameterError
from napari_mrisr.inspection import (
    bin_map,
    bucket_map,
    feature_map,
    feature_values,
    inspect_voxel,
    orientation_color,
    orientation_map,
    stage_input,
)
from napari_mrisr.inspection.maps import cut_names
from napari_mrisr.kernels import reference
from napari_mrisr.operators.gradients import tensor_box


@pytest.fixture(params=[0, 1], ids=["cells", "voxels"])
def source(request):
    return stage_input(patterns.noise(), patterns.planted_bank(), request.param)


def test_buckets_equal_the_engine(source):
    found = bucket_map(source, threads=2)
    whole = Region.whole(source.shape)
    spec = source.stage.spec.hash
    expected, _ = spec.hash_box(source.image, (0, 0, 0), source.shape, whole)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype.kind == "u"
    assert len(np.unique(found)) > 20


def test_buckets_equal_the_reference_implementation(source):
    region = Region((4, 5, 6), (10, 9, 13))
    spec = source.stage.spec.hash
    tensor, smooth = tensor_box(source.image, (0, 0, 0), source.shape, region, spec.window)
    expected, _ = reference.hash_voxels(tensor, smooth, region.start, spec.code)
    found = bucket_map(source)[region.slices]
    # Rounding may move a voxel that lies on a cut.
    assert (found == expected).mean() > 0.99


def test_bins_combine_to_the_bucket(source):
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


def test_features_without_bins_are_refused():
    spec = patterns.planted_bank().stages[0].spec.hash
    assert cut_names(spec) == ["elevation", "azimuth", "strength", "coherence", "curvature"]
    with pytest.raises(ParameterError, match="has no bins"):
        bin_map(np.zeros(3, int), spec, "asymmetry")
    with pytest.raises(ParameterError, match="choose from"):
        feature_map(stage_input(patterns.noise(), patterns.planted_bank(), 0), "hue")


def test_orientation_of_a_plane_and_of_a_flat_volume():
    source = stage_input(patterns.plane((0.03, 0.0, 0.04)), patterns.planted_bank(), 0)
    color = orientation_map(source)
    assert color.shape == (*patterns.SHAPE, 3)
    np.testing.assert_allclose(color[patterns.CENTER], [0.6 * 255, 0, 0.8 * 255], atol=1)
    flat = patterns.as_volume(np.full(patterns.SHAPE, 0.5) + 1e-5 * np.arange(patterns.SHAPE[2]))
    assert not orientation_map(stage_input(flat, patterns.planted_bank(), 0)).any()


def test_cancel_stops_a_map():
    token = CancelToken()
    token.cancel()
    source = stage_input(patterns.noise(), patterns.planted_bank(), 0)
    with pytest.raises(Cancelled):
        bucket_map(source, progress=Progress(token))


def features_of(volume, symmetry="cube"):
    cuts = patterns.PAPER_CUTS if symmetry == "none" else patterns.CUTS
    bank = patterns.planted_bank(("cell",), symmetry, cuts=cuts)
    return inspect_voxel(stage_input(volume, bank, 0), patterns.CENTER)


def test_plane():
    """The gradient (0.03, 0.02, 0.06) has length 0.07 and is steepest along z."""
    seen = features_of(patterns.plane((0.03, 0.02, 0.06)))
    values = seen.values
    assert values["elevation"] == pytest.approx(np.degrees(np.arccos(6 / 7)), abs=0.01)
    assert values["azimuth"] == pytest.approx(np.degrees(np.arctan(2 / 3)), abs=0.01)
    assert values["strength"] == pytest.approx(0.07, rel=1e-4)
    assert values["coherence"] == pytest.approx(1.0, abs=2e-3)
    assert values["asymmetry"] == pytest.approx(0.0, abs=1e-3)
    assert values["curvature"] == pytest.approx(0.0, abs=1e-3)
    np.testing.assert_allclose(np.abs(seen.direction), np.array([3, 2, 6]) / 7, atol=1e-4)
    np.testing.assert_allclose(seen.eigenvalues, [0.0049, 0, 0], atol=1e-7)
    assert seen.ranges["strength"] == (0.05, np.inf)
    assert seen.ranges["coherence"] == (0.5, 1.0)


@pytest.mark.parametrize("degrees", [10.0, 25.0, 40.0])
def test_edge_at_a_known_angle(degrees):
    """Central differences of a sine point to (sin kx, sin ky, sin kz)."""
    # arcsin, so that the sine has this angle.
    slope = 0.3 * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0.0])
    seen = features_of(patterns.edge(np.arcsin(slope)))
    assert seen.values["elevation"] == pytest.approx(degrees, abs=0.05)
    assert seen.values["azimuth"] == pytest.approx(0.0, abs=0.05)
    assert seen.values["coherence"] == pytest.approx(1.0, abs=5e-3)
    low, high = seen.ranges["elevation"]
    assert low <= degrees < high


@pytest.mark.parametrize(
    ("normal", "elevation", "azimuth"),
    [
        ((1, 1, 0), 90.0, 45.0),
        ((-1, 1, 0), 90.0, 135.0),
        ((1, -1, 0), 90.0, 135.0),
        ((0, 3, 4), np.degrees(np.arccos(0.8)), 90.0),
        ((0, 3, -4), 180.0 - np.degrees(np.arccos(0.8)), 90.0),
        ((0, -3, 4), 180.0 - np.degrees(np.arccos(0.8)), 90.0),
        ((2, 0, 0), 90.0, 0.0),
        ((-2, 0, 0), 90.0, 0.0),
    ],
)
def test_angles_of_the_paper(normal, elevation, azimuth):
    """A line has no sign: elevation to z, azimuth 0 to 180°."""
    seen = features_of(patterns.plane(np.array(normal) * 0.02), "none")
    assert seen.values["elevation"] == pytest.approx(elevation, abs=0.02)
    # 0 and 180 are the same line.
    assert (seen.values["azimuth"] - azimuth + 90) % 180 - 90 == pytest.approx(0, abs=0.02)


def test_angles_with_flip_symmetry():
    seen = features_of(patterns.plane((-0.03, 0.02, -0.06)), "flips")
    assert seen.values["elevation"] == pytest.approx(np.degrees(np.arccos(6 / 7)), abs=0.02)
    assert seen.values["azimuth"] == pytest.approx(np.degrees(np.arctan(2 / 3)), abs=0.02)


def test_line():
    """The gradient −0.008 (x, y) gives λ1 = λ2 = 0.008² Σwk², λ3 = 0, coherence 0."""
    seen = features_of(patterns.line())
    expected = 0.008**2 * patterns.window_variance()
    np.testing.assert_allclose(seen.eigenvalues, [expected, expected, 0], rtol=2e-3, atol=1e-8)
    assert seen.values["strength"] == pytest.approx(np.sqrt(expected), rel=1e-3)
    assert seen.values["coherence"] == pytest.approx(0.0, abs=2e-3)
    assert seen.direction[2] == pytest.approx(0.0, abs=1e-3)


def test_corner():
    """The gradient −0.004 (x, y, z) gives three equal eigenvalues, coherence −1/3."""
    seen = features_of(patterns.corner())
    expected = 0.004**2 * patterns.window_variance()
    np.testing.assert_allclose(seen.eigenvalues, np.full(3, expected), rtol=2e-3)
    assert seen.values["coherence"] == pytest.approx(-1 / 3, abs=2e-3)
    assert seen.ranges["coherence"] == (-1 / 3, -0.2)


def test_features_without_any_gradient():
    values = feature_values(np.array([0, 0, 0, 1, 0, 0, 0, 0], np.float32), "cube")
    assert values["coherence"] == 0.0
    assert values["strength"] == 0.0
    assert values["elevation"] == 0.0


def test_orientation_colors():
    """Colors are those of diffusion maps: red R–L, green A–P, blue S–I."""
    direction = np.array([[-1, 0, 0], [0, 1, 0], [0, 0, -1], [0.6, 0, 0.8]])
    full = orientation_color(direction, np.ones(4))
    np.testing.assert_array_equal(
        full, [[255, 0, 0], [0, 255, 0], [0, 0, 255], [153, 0, 204]]
    )  # fmt: skip
    dark = orientation_color(direction, np.array([-1 / 3, 0.0, 1 / 3, -0.5]))
    np.testing.assert_array_equal(dark, [[0, 0, 0], [0, 64, 0], [0, 0, 128], [0, 0, 0]])
