"""Buckets, their ranges, and the symmetries that make a patch canonical."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_mrisr.bank.hashing import FEATURES, SYMMETRIES, HashSpec
from napari_mrisr.bank.symmetries import (
    ELEMENTS,
    element_offsets,
    patch_offsets,
    phase_offsets,
    phase_table,
)
from napari_mrisr.core.volume import Region
from napari_mrisr.errors import BankError, MrisrError, ParameterError
from napari_mrisr.kernels import cpu_hash
from napari_mrisr.operators.gradients import Window

WINDOW = Window(1.2, 2)
CUTS = {
    "none": {"elevation": (45.0, 90.0, 135.0), "azimuth": (45.0, 90.0, 135.0)},
    "flips": {"elevation": (30.0, 60.0), "azimuth": (30.0, 60.0)},
    "cube": {"elevation": (15.0, 30.0), "azimuth": (22.5,)},
    "plane": {"elevation": (30.0, 60.0), "azimuth": (22.5,)},
}
COPIES = {
    "cube": range(48),
    "flips": range(8),
    "plane": [e for e, (permutation, _) in enumerate(ELEMENTS) if permutation[2] == 2],
}
REST = {"strength": (0.05,), "coherence": (0.1,), "asymmetry": (0.2,), "curvature": (-0.1, 0.1)}
SIZE = 21
CENTER = SIZE // 2


def spec_for(symmetry, **options):
    return HashSpec(WINDOW, {**CUTS[symmetry], **REST}, symmetry, **options)


def smooth_cube(seed):
    return ndimage.gaussian_filter(
        np.random.default_rng(seed).normal(size=(SIZE,) * 3), 1.5, mode="mirror"
    ).astype(np.float32)


def turned(volume, element):
    """The volume seen along an element's axes, by numpy's own transpose and flip."""
    permutation, signs = ELEMENTS[element]
    volume = np.transpose(volume, permutation)
    volume = np.flip(volume, [axis for axis in range(3) if signs[axis] < 0])
    return np.ascontiguousarray(volume)


def matrix_of(element):
    permutation, signs = ELEMENTS[element]
    matrix = np.zeros((3, 3), int)
    for axis in range(3):
        matrix[axis, permutation[axis]] = signs[axis]
    return matrix


def hash_center(spec, volume):
    """Bucket and element of the middle voxel."""
    at = Region((CENTER,) * 3, (CENTER + 1,) * 3)
    bucket, element = spec.hash_box(volume, (0, 0, 0), volume.shape, at)
    return int(bucket[0, 0, 0]), int(element[0, 0, 0])


def canonical_patch(volume, element, width=5):
    strides = tuple(s // volume.itemsize for s in volume.strides)
    return volume.ravel()[CENTER * sum(strides) + element_offsets((width,) * 3, strides)[element]]


def clear_of_cuts(spec, volume, margin=1e-3):
    """True if rounding cannot move the middle voxel over a cut or swap its axes."""
    from napari_mrisr.operators.gradients import tensor_box

    at = Region((CENTER,) * 3, (CENTER + 1,) * 3)
    tensor, smooth = tensor_box(volume, (0, 0, 0), volume.shape, at, spec.window)
    f = cpu_hash.voxel_features(tensor, smooth)[0, 0, 0].astype(np.float64)
    size = np.sort(np.abs(f[3:6]))
    roots = np.sqrt(f[:3])
    values = {
        "strength": roots[0],
        "coherence": (2 * roots[0] - roots.sum()) / roots.sum(),
        "asymmetry": f[6],
        "curvature": f[7],
        "elevation": np.degrees(np.arccos(size[2])),
        "azimuth": np.degrees(np.arctan(size[0] / size[1])),
    }
    ties = min(size[0], *np.diff(size), f[6])
    return ties > margin and all(
        abs(values[name] - cut) > margin for name, cuts in spec.cuts.items() for cut in cuts
    )


# Ranges and buckets


@pytest.mark.parametrize("symmetry", SYMMETRIES)
@pytest.mark.parametrize("flat", [0.0, 0.01])
def test_every_bucket_decodes_to_ranges_and_encodes_again(symmetry, flat):
    spec = spec_for(symmetry, phases=(2, 2, 2), flat=flat)
    seen = set()
    for bucket in range(spec.bucket_count):
        ranges = spec.decode(bucket)
        if bucket == spec.filter_count:
            assert ranges == {"flat": (0.0, flat)}
            continue
        number = 0
        for name, radix in zip(FEATURES, spec.radices, strict=False):
            low, high = ranges[name]
            edges = (spec.range_of(name)[0], *spec.cuts[name], spec.range_of(name)[1])
            assert len(edges) == radix + 1
            digit = edges.index(low)
            assert edges[digit + 1] == high
            number = number * radix + digit
        number = number * 8 + int(ranges["phase"][0])
        assert number == bucket
        seen.add(tuple(ranges.items()))
    assert len(seen) == spec.filter_count
    assert spec.bucket_count == spec.filter_count + (flat > 0)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_a_voxels_features_lie_in_its_buckets_ranges(symmetry):
    """From the angles in degrees, computed here, to the bucket and back."""
    from napari_mrisr.operators.gradients import tensor_box

    spec = spec_for(symmetry)
    volume = smooth_cube(3)[:, :17, :13].copy()
    whole = Region.whole(volume.shape)
    tensor, smooth = tensor_box(volume, (0, 0, 0), volume.shape, whole, WINDOW)
    features = cpu_hash.voxel_features(tensor, smooth).astype(np.float64)
    buckets, _ = spec.hash_box(volume, (0, 0, 0), volume.shape, whole)
    inside = 0
    for index in np.ndindex(*buckets.shape):
        f = features[index]
        x, y, z = f[3:6]
        if symmetry == "none":
            x, y, z = (x, y, z) if y > 0 else (-x, -y, -z)
            elevation, azimuth = np.arccos(z), np.arctan2(y, x)
        elif symmetry == "flips":
            elevation, azimuth = np.arccos(abs(z)), np.arctan2(abs(y), abs(x))
        elif symmetry == "plane":
            small, large = sorted([abs(x), abs(y)])
            elevation, azimuth = np.arccos(abs(z)), np.arctan2(small, large)
        else:
            small, medium, large = np.sort(np.abs(f[3:6]))
            elevation, azimuth = np.arccos(large), np.arctan2(small, medium)
        roots = np.sqrt(f[:3])
        values = {
            "elevation": np.degrees(elevation),
            "azimuth": np.degrees(azimuth),
            "strength": roots[0],
            "coherence": (roots[0] - roots[1] - roots[2]) / roots.sum(),
            "asymmetry": f[6],
            "curvature": f[7],
        }
        ranges = spec.decode(int(buckets[index]))
        inside += all(low <= values[name] < high for name, (low, high) in ranges.items())
    assert inside / buckets.size > 0.998  # rounding at a cut
    assert len(np.unique(buckets)) > 30


def test_decode_by_hand():
    spec = HashSpec(cuts={"elevation": (60.0,), "coherence": (0.0, 0.5)}, flat=0.1)
    assert spec.radices == (2, 1, 1, 3, 1, 1, 1)
    assert spec.decode(4) == {"elevation": (60.0, 180.0), "coherence": (0.0, 0.5)}
    assert spec.decode(6) == {"flat": (0.0, 0.1)}
    for bucket in (-1, 7):
        with pytest.raises(ParameterError, match=f"bucket: {bucket}; give 0 to 6"):
            spec.decode(bucket)


def test_paper_has_576_buckets():
    eighths = tuple(22.5 * i for i in range(1, 8))
    cuts = {
        "elevation": eighths,
        "azimuth": eighths,
        "strength": (0.1, 0.2),
        "coherence": (0.1, 0.3),
    }
    assert HashSpec(cuts=cuts).bucket_count == 576


# Angles


def sheet(direction, offset=0.0):
    """Intensities that change along one direction only, through the middle."""
    axes = np.meshgrid(*[np.arange(SIZE) - CENTER] * 3, indexing="ij")
    t = sum(a * d for a, d in zip(axes, direction, strict=True)) - offset
    return np.tanh(t / 3.0).astype(np.float32)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999))
def test_a_line_has_no_sign(symmetry, seed):
    """v and −v: the same bucket, whichever side is bright."""
    v = np.random.default_rng(seed).normal(size=3)
    v /= np.linalg.norm(v)
    spec = HashSpec(WINDOW, CUTS[symmetry], symmetry)
    assert hash_center(spec, sheet(v, 0.3))[0] == hash_center(spec, sheet(-v, 0.3))[0]


@pytest.mark.parametrize(
    ("direction", "elevation", "azimuth"),
    [
        ((1, 0, 0), 90, 0),
        ((-1, 0, 0), 90, 0),
        ((1, 1, 0), 90, 45),
        ((0, 1, 0), 90, 90),
        ((0, -1, 0), 90, 90),
        ((-1, 1, 0), 90, 135),
        ((1, -1, 0), 90, 135),
        ((0, 1, 1), 45, 90),
        ((0, -1, -1), 45, 90),
        ((0, 1, -1), 135, 90),
        ((1, 2, -3), 143.3, 63.4),
        ((-1, -2, 3), 143.3, 63.4),
        ((-3, 1, 2), 57.7, 161.6),
    ],
)
def test_angles_of_known_directions(direction, elevation, azimuth):
    """Cuts five degrees to either side of the angle tell that it is that angle."""
    v = np.array(direction) / np.linalg.norm(direction)
    cuts = {
        "elevation": (elevation - 5.0, elevation + 5.0),
        "azimuth": tuple(a for a in (azimuth - 5.0, azimuth + 5.0) if 0 < a < 180),
    }
    ranges = HashSpec(WINDOW, cuts)
    found = ranges.decode(hash_center(ranges, sheet(v))[0])
    for name, angle in (("elevation", elevation), ("azimuth", azimuth)):
        low, high = found[name]
        assert low <= angle < high
        assert high - low <= 10.001


def test_azimuth_wraps_from_180_to_0():
    """Lines a little to either side of x: neighbors in space, the ends of the scale."""
    spec = HashSpec(WINDOW, {"azimuth": (10.0, 170.0)})
    before = np.array([np.cos(0.05), -np.sin(0.05), 0.0])
    after = np.array([np.cos(0.05), np.sin(0.05), 0.0])
    assert spec.decode(hash_center(spec, sheet(before))[0])["azimuth"] == (170.0, 180.0)
    assert spec.decode(hash_center(spec, sheet(after))[0])["azimuth"] == (0.0, 10.0)
    assert spec.decode(hash_center(spec, sheet(-after))[0])["azimuth"] == (0.0, 10.0)
    folded = HashSpec(WINDOW, {"azimuth": (10.0, 80.0)}, "flips")
    assert hash_center(folded, sheet(before))[0] == hash_center(folded, sheet(after))[0]


def test_z_has_elevation_0_or_180_and_no_azimuth():
    spec = HashSpec(WINDOW, {"elevation": (90.0,), "azimuth": (1.0, 179.0)})
    for v in ((0, 0, 1), (0, 0, -1)):
        assert spec.decode(hash_center(spec, sheet(v))[0])["azimuth"] == (0.0, 1.0)


# Symmetry


def test_elements_are_the_48_symmetries_of_the_cube():
    matrices = [matrix_of(e) for e in range(48)]
    assert len({m.tobytes() for m in matrices}) == 48
    np.testing.assert_array_equal(matrices[0], np.eye(3))
    for a, b in itertools.product(matrices, repeat=2):
        assert any(np.array_equal(a @ b, c) for c in matrices[:1] + matrices)


@pytest.mark.parametrize("symmetry", COPIES)
def test_symmetric_copies_share_bucket_and_canonical_patch(symmetry):
    """All 48 (or 8, or 16) copies of generic volumes, ties and rounding at cuts excluded."""
    spec = spec_for(symmetry)
    tried, buckets = 0, set()
    for seed in range(40):
        volume = smooth_cube(seed)
        if not clear_of_cuts(spec, volume):
            continue
        tried += 1
        bucket, element = hash_center(spec, volume)
        patch = canonical_patch(volume, element)
        buckets.add(bucket)
        for e in COPIES[symmetry]:
            copy = turned(volume, e)
            copied_bucket, copied_element = hash_center(spec, copy)
            assert copied_bucket == bucket
            np.testing.assert_array_equal(canonical_patch(copy, copied_element), patch)
            # What canonicalizes the copy, after what made it, is what canonicalizes the volume.
            composed = matrix_of(copied_element) @ matrix_of(e)
            np.testing.assert_array_equal(composed, matrix_of(element))
    assert tried > 10
    assert len(buckets) > 5


@pytest.mark.parametrize("symmetry", COPIES)
def test_canonical_direction_is_sorted_and_positive(symmetry):
    """Turned by its element, a volume's own element is the identity."""
    spec = spec_for(symmetry)
    elements = set()
    for seed in range(25):
        volume = smooth_cube(seed)
        if clear_of_cuts(spec, volume):
            _, element = hash_center(spec, volume)
            elements.add(element)
            assert hash_center(spec, turned(volume, element))[1] == 0
            assert element in COPIES[symmetry]
    assert len(elements) > 3


def test_without_symmetry_every_element_is_the_identity():
    volume = smooth_cube(1)
    whole = Region.whole(volume.shape)
    _, element = spec_for("none").hash_box(volume, (0, 0, 0), volume.shape, whole)
    assert not element.any()


@pytest.mark.parametrize("symmetry", COPIES)
def test_bright_and_dark_share_a_bucket(symmetry):
    """1 − volume: the same bucket and symmetry, everywhere that rounding decides nothing."""
    spec = spec_for(symmetry)
    volume = smooth_cube(7)
    whole = Region.whole(volume.shape)
    bucket, element = spec.hash_box(volume, (0, 0, 0), volume.shape, whole)
    same, also = spec.hash_box(-volume, (0, 0, 0), volume.shape, whole)
    # In a mirrored corner nothing rises or falls, so the curvature keeps its sign there.
    inner = np.s_[1:-1, 1:-1, 1:-1]
    np.testing.assert_array_equal(same[inner], bucket[inner])
    np.testing.assert_array_equal(also, element)
    inverted, turn = spec.hash_box(1 - volume, (0, 0, 0), volume.shape, whole)
    assert (inverted == bucket).mean() > 0.995
    assert (turn == element).mean() > 0.995


# Patches and phases


@given(st.sampled_from([1, 3, 5]))
def test_patch_offsets_run_with_z_fastest(width):
    offsets = patch_offsets((width,) * 3)
    assert offsets.shape == (width**3, 3)
    np.testing.assert_array_equal(offsets[width**3 // 2], 0)
    np.testing.assert_array_equal(offsets[0], -(width // 2))
    assert len(np.unique(offsets, axis=0)) == width**3
    if width > 1:
        np.testing.assert_array_equal(offsets[1] - offsets[0], [0, 0, 1])


def test_element_offsets_turn_the_patch():
    volume = np.random.default_rng(0).random((SIZE,) * 3, np.float32)
    for e in range(48):
        middle = np.s_[CENTER - 1 : CENTER + 2]
        expected = turned(volume, e)[middle, middle, middle].reshape(-1)
        np.testing.assert_array_equal(canonical_patch(volume, e, 3), expected)


@pytest.mark.parametrize("scale", [(2, 2, 2), (3, 3, 3)])
def test_phases_turn_with_the_patch(scale):
    """The sub-voxels of a cell, turned as a small cube is."""
    factor = scale[0]
    cell = np.arange(factor**3).reshape(scale)
    table = phase_offsets(scale)
    assert table.min() == 0
    assert table.max() == factor - 1
    for e in range(48):
        expected = turned(cell, e).reshape(-1)
        np.testing.assert_array_equal(cell[tuple(table[e].T)], expected)
        # And back: which canonical phase each phase has.
        np.testing.assert_array_equal(expected[phase_table(scale)[e]], np.arange(factor**3))


@pytest.mark.parametrize("scale", [(1, 1, 4), (2, 1, 3), (1, 1, 1)])
def test_phases_of_unequal_factors_flip(scale):
    cell = np.arange(np.prod(scale)).reshape(scale)
    table = phase_offsets(scale)
    for e in range(8):
        np.testing.assert_array_equal(cell[tuple(table[e].T)], turned(cell, e).reshape(-1))
    for row in table:  # every row is a permutation, used or not
        assert len(np.unique(row, axis=0)) == cell.size
        assert (row < scale).all()


@pytest.mark.parametrize("symmetry", ["none", "cube"])
def test_phase_of_a_voxel_is_where_it_lies_in_its_cell(symmetry):
    spec = HashSpec(WINDOW, {}, symmetry, (2, 2, 2))
    volume = smooth_cube(5)[:20, :20, :20].copy()
    region = Region((3, 4, 5), (9, 11, 8))
    bucket, element = spec.hash_box(volume, (0, 0, 0), volume.shape, region)
    for index in np.ndindex(*bucket.shape):
        inside = (np.array(index) + region.start) % 2
        offsets = phase_offsets((2, 2, 2))[element[index]]
        np.testing.assert_array_equal(offsets[bucket[index]], inside)


def test_symmetric_copies_share_the_phase():
    """Cells of an even volume map onto cells, so a voxel's canonical phase stays."""
    spec = HashSpec(WINDOW, CUTS["cube"], "cube", (2, 2, 2))
    volume = smooth_cube(11)[:20, :20, :20].copy()
    whole = Region.whole(volume.shape)
    bucket, _ = spec.hash_box(volume, (0, 0, 0), volume.shape, whole)
    inner = np.s_[5:-5, 5:-5, 5:-5]
    for e in range(48):
        copy, _ = spec.hash_box(turned(volume, e), (0, 0, 0), volume.shape, whole)
        assert (copy[inner] == turned(bucket, e)[inner]).mean() > 0.98


def test_flat_voxels_have_the_last_bucket():
    spec = HashSpec(WINDOW, {"coherence": (0.1,)}, "cube", flat=0.01)
    volume = np.full((9, 10, 11), 0.5, np.float32)
    volume[5:] += 0.2
    bucket, element = spec.hash_box(volume, (0, 0, 0), volume.shape, Region.whole(volume.shape))
    assert (bucket[0] == spec.filter_count).all()
    assert (bucket[4] < spec.filter_count).all()
    assert not element[0].any()
    # Without that bucket, a flat voxel is as good as any: in range, direction x.
    plain = HashSpec(WINDOW, {"coherence": (0.1,)}, "cube")
    bucket, _ = plain.hash_box(volume, (0, 0, 0), volume.shape, Region.whole(volume.shape))
    assert bucket.max() < plain.bucket_count


# JSON


@st.composite
def specs(draw):
    symmetry = draw(st.sampled_from(SYMMETRIES))
    blank = HashSpec(symmetry=symmetry)
    cuts = {}
    for name in draw(st.sets(st.sampled_from(FEATURES))):
        low, high = (float(np.clip(v, -10, 1e3)) for v in blank.range_of(name))
        values = draw(st.sets(st.floats(low, high, exclude_min=True), max_size=3))
        cuts[name] = tuple(sorted(values))
    factor = draw(st.integers(1, 3))
    window = Window(draw(st.floats(0.3, 4)), draw(st.integers(1, 6)))
    return HashSpec(window, cuts, symmetry, (factor,) * 3, draw(st.floats(0, 1)))


@settings(deadline=None)
@given(specs())
def test_json_round_trip(spec):
    assert HashSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symmetry": "sphere"}, "unknown symmetry 'sphere'"),
        ({"cuts": {"shape": [1]}}, "unknown feature 'shape'"),
        ({"cuts": {"azimuth": [90, 45]}}, "cuts (90.0, 45.0) of azimuth"),
        ({"cuts": {"azimuth": [45, 45]}}, "cuts (45.0, 45.0) of azimuth"),
        ({"cuts": {"azimuth": [200]}}, "cuts (200.0,) of azimuth"),
        ({"cuts": {"strength": [float("nan")]}}, "cuts (nan,) of strength"),
        ({"cuts": {"strength": ["wide"]}}, "could not convert"),
        ({"cuts": [1, 2]}, ""),
        ({"cuts": None}, ""),
        ({"phases": [2, 2]}, ""),
        ({"phases": [0, 2, 2]}, "phases (0, 2, 2)"),
        ({"phases": [9, 9, 9]}, "phases (9, 9, 9)"),
        (
            {"symmetry": "cube", "phases": [1, 1, 4]},
            "phases (1, 1, 4) with the symmetry cube",
        ),
        ({"symmetry": "plane", "phases": [1, 4, 4]}, "phases (1, 4, 4) with the symmetry plane"),
        ({"symmetry": "plane", "window": {"sigma": [1, 2, 2], "radius": 3}}, "symmetry plane"),
        ({"window": {"sigma": [1, 2], "radius": 3}}, ""),
        ({"flat": "a bit"}, ""),
        ({"flat": -1.0}, "flat -1.0"),
        ({"flat": float("nan")}, "flat nan"),
        ({"window": None}, ""),
        ({"window": {"sigma": 0, "radius": 3}}, "sigma 0.0, radius 3"),
        ({"window": {"sigma": 1.0, "radius": 2000}}, "radius 2000"),
        ({"window": {"sigma": 1.0}}, "'radius'"),
    ],
)
def test_bad_specs_are_one_line_bank_errors(change, message):
    data = {**HashSpec().to_json(), **change}
    with pytest.raises(BankError) as caught:
        HashSpec.from_json(data)
    assert message in str(caught.value)
    assert str(caught.value).startswith("hash spec: ")
    assert "\n" not in str(caught.value)


def test_bad_specs_in_code_are_parameter_errors():
    with pytest.raises(ParameterError, match=r"ascend within 0\.0 to 90\.0"):
        HashSpec(cuts={"azimuth": (120.0,)}, symmetry="flips")
    with pytest.raises(ParameterError, match="choose from none, flips, cube"):
        HashSpec(symmetry="Cube")


@pytest.mark.parametrize("key", ["window", "cuts", "symmetry", "phases", "flat"])
def test_a_missing_entry_is_a_clean_error(key):
    data = HashSpec().to_json()
    del data[key]
    with pytest.raises(MrisrError, match=key):
        HashSpec.from_json(data)


def test_with_cuts_adds_and_replaces():
    spec = HashSpec(cuts={"azimuth": (90.0,)})
    both = spec.with_cuts(strength=(0.1, 0.2), azimuth=(45.0,))
    assert both.cuts == {"azimuth": (45.0,), "strength": (0.1, 0.2)}
    assert spec.cuts == {"azimuth": (90.0,)}
    assert both.radices == (1, 2, 3, 1, 1, 1, 1)
