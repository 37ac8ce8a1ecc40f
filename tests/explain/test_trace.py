"""Numbers of one voxel against the engine's run and against patterns computed by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.patterns import CENTER, PAPER_CUTS, corner, edge, line, noise, plane, planted_bank
from scipy import ndimage

from napari_mrisr.core.volume import Grid, Region, Volume
from napari_mrisr.errors import GeometryError, ParameterError, VolumeError
from napari_mrisr.explain import explain_voxel, truth_scale
from napari_mrisr.explain.trace import blank_outside, find_edge
from napari_mrisr.inspection.source import check_reference
from napari_mrisr.methods import get_method
from napari_mrisr.methods.consistent import made_consistent
from napari_mrisr.methods.hashed import Hashed, hash_cells

KINDS = {
    "cube 2x": {},
    "one voxel stage": {"grids": ("voxel",)},
    "flips 1x1x3": {"scale": (1, 1, 3), "symmetry": "flips"},
    "plane 1x1x3": {
        "scale": (1, 1, 3),
        "symmetry": "plane",
    },
    "paper": {"grids": ("voxel",), "symmetry": "none", "residual": False, "cuts": PAPER_CUTS},
}

SHAPE = (24, 28, 32)


def smooth_volume(shape=(9, 11, 13), high=1.0) -> Volume:
    data = ndimage.gaussian_filter(np.random.default_rng(1).random(shape), 0.8, mode="mirror")
    data = (data - data.min()) / np.ptp(data)
    return Volume((300.0 * high * data).astype(np.float32), Grid(shape, np.diag([1, 1.2, 1.5, 1])))


def voxels_of(shape):
    """Return the corners and some inner voxels, a different index on every axis."""
    ends = [tuple(0 if bit else n - 1 for bit, n in zip(b, shape, strict=True)) for b in
            ((0, 0, 0), (1, 1, 1), (0, 1, 0), (1, 0, 1))]  # fmt: skip
    return [*ends, *[(i % shape[0], 2 * i % shape[1], 3 * i % shape[2]) for i in range(3, 11)]]


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_equals_the_engine(kind):
    bank = planted_bank(**KINDS[kind])
    volume, method = smooth_volume(), Hashed(bank)
    lr = volume.normalized()
    shape = volume.grid.upsampled(bank.scale).shape
    whole = Region.whole(shape)
    made = [image for _, image in method.images(lr, whole, len(bank.stages))]
    output = made_consistent(method, bank.degradation).compute(lr, whole)
    tricubic = get_method("tricubic", bank.scale).compute(lr, whole)
    hashed = []
    for number, stage in enumerate(bank.stages):
        if stage.spec.grid == "cell":
            hashed.append(hash_cells(stage, lr.data, Region.whole(lr.grid.shape)))
        else:
            hashed.append(stage.spec.hash.hash_box(made[number], (0, 0, 0), shape, whole))
    for voxel in voxels_of(shape):
        found = explain_voxel(volume, bank, voxel)
        assert found.output == output[voxel]
        assert found.tricubic == tricubic[voxel]
        assert found.start_value == made[0][voxel]
        total = sum(value for _, value in found.contributions)
        assert total == pytest.approx(found.output, abs=1e-6)
        assert found.to_scan(found.output) == pytest.approx(
            float(lr.window.from_unit(output[voxel]))
        )
        for number, trace in enumerate(found.stages):
            at = found.lr_voxel if trace.spec.grid == "cell" else voxel
            assert trace.voxel == at
            assert trace.bucket == hashed[number][0][at]
            assert trace.element == hashed[number][1][at]
            assert trace.ranges == trace.spec.hash.decode(trace.bucket)
            assert trace.support == bank.stages[number].support[trace.bucket]
            assert (trace.before, trace.after) == (made[number][voxel], made[number + 1][voxel])
            wanted = trace.sum + (trace.before if trace.spec.residual else 0.0)
            assert trace.after == pytest.approx(max(wanted, float(lr.extrema[0])), abs=2e-6)
            for name, (low, high) in trace.ranges.items():
                if name in trace.features:
                    assert low - 1e-4 <= trace.features[name] <= high + 1e-4
            np.testing.assert_allclose(
                trace.gradients.tensor(), trace.tensor, atol=2e-6 * np.abs(trace.tensor).max()
            )
            rebuilt = trace.vectors @ np.diag(trace.values) @ trace.vectors.T
            np.testing.assert_allclose(
                rebuilt, trace.tensor, atol=1e-5 * np.abs(trace.tensor).max() + 1e-12
            )


def cell_trace(volume):
    """Trace the first stage at the pattern's center."""
    return explain_voxel(volume, planted_bank(), tuple(2 * n for n in CENTER)).stages[0]


def test_features_of_a_plane():
    """The gradient is constant, so T = n nᵀ with one eigenvalue |n|²."""
    slope = np.array([0.004, -0.012, 0.003])
    trace = cell_trace(plane(slope))
    np.testing.assert_allclose(trace.tensor, np.outer(slope, slope), rtol=2e-4, atol=1e-9)
    strength = np.linalg.norm(slope)
    assert trace.features["strength"] == pytest.approx(strength, rel=1e-4)
    assert trace.features["coherence"] == pytest.approx(1.0, abs=0.02)
    cosine = abs(trace.vectors[:, 0] @ slope) / strength
    assert cosine == pytest.approx(1.0, abs=1e-6)
    # Sorted components 12, 4, 3.
    assert trace.features["elevation"] == pytest.approx(np.degrees(np.arccos(12 / 13.0)), abs=0.05)
    assert trace.features["azimuth"] == pytest.approx(np.degrees(np.arctan(3 / 4)), abs=0.05)
    # A plane does not define the sign; the largest component is y.
    assert trace.directions[0] in ("y", "−y")
    assert np.allclose(trace.window[2, 2, 2], 0.5, atol=1e-6)


@pytest.mark.parametrize("degrees", [10.0, 33.0, 60.0])
def test_edge_at_a_known_angle(degrees):
    wave = 0.5 * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0.0])
    trace = cell_trace(edge(wave))
    seen = np.sin(wave)  # of central differences
    normal = seen / np.linalg.norm(seen)
    assert abs(trace.vectors[:, 0] @ normal) == pytest.approx(1.0, abs=1e-5)
    assert trace.features["coherence"] > 0.99
    assert trace.features["elevation"] == pytest.approx(
        np.degrees(np.arccos(normal.max())), abs=0.1
    )
    assert trace.features["azimuth"] == pytest.approx(0.0, abs=0.5)


def test_line_is_a_disc():
    trace = cell_trace(line())
    a, b, c = np.sqrt(trace.values)
    assert b == pytest.approx(a, rel=1e-3)
    assert c < 1e-3 * a
    assert trace.features["coherence"] == pytest.approx(0.0, abs=1e-3)
    assert abs(trace.vectors[2, 2]) == pytest.approx(1.0, abs=1e-5)


def test_corner_is_a_ball():
    trace = cell_trace(corner())
    a, _, c = np.sqrt(trace.values)
    assert c == pytest.approx(a, rel=1e-3)
    assert trace.features["coherence"] == pytest.approx(-1.0 / 3.0, abs=1e-3)
    np.testing.assert_allclose(trace.vectors.T @ trace.vectors, np.eye(3), atol=1e-6)


def test_noise_equals_a_direct_computation():
    volume = noise()
    trace = cell_trace(volume)
    gradient = np.stack(np.gradient(volume.data.astype(np.float64)))
    box = tuple(slice(n - 2, n + 3) for n in CENTER)
    taps = np.exp(-0.5 * np.arange(-2, 3) ** 2)
    taps /= taps.sum()
    tensor = np.zeros((3, 3))
    for i, j, k in np.ndindex(5, 5, 5):
        g = gradient[:, box[0].start + i, box[1].start + j, box[2].start + k]
        tensor += taps[i] * taps[j] * taps[k] * np.outer(g, g)
    np.testing.assert_allclose(trace.tensor, tensor, rtol=1e-5)
    np.testing.assert_allclose(trace.values, np.linalg.eigvalsh(tensor)[::-1], rtol=1e-5)
    np.testing.assert_allclose(trace.window, volume.data[box])
    np.testing.assert_allclose(trace.gradients.vectors[:, 2, 2, 2], gradient[:, *CENTER], rtol=1e-5)


def test_angles_of_the_paper():
    """Without symmetry, elevation is measured from z and azimuth from 0 to 180°."""
    bank = planted_bank(("voxel",), "none", cuts=PAPER_CUTS, residual=False)
    slope = np.array([-0.006, 0.003, 0.002])
    trace = explain_voxel(plane(slope), bank, tuple(2 * n for n in CENTER)).stages[0]
    unit = slope / np.linalg.norm(slope)
    assert trace.features["elevation"] == pytest.approx(np.degrees(np.arccos(unit[2])), abs=0.2)
    assert trace.features["azimuth"] == pytest.approx(
        np.degrees(np.arctan2(unit[1], unit[0])), abs=0.2
    )
    assert 90 < trace.features["azimuth"] < 180


def test_a_flat_voxel_keeps_its_value():
    flat = Volume(np.full((7, 8, 9), 40.0, np.float32), Grid((7, 8, 9), np.eye(4)))
    flat.data[0, 0, 0] = 90.0
    found = explain_voxel(flat, planted_bank(), (8, 9, 11))
    assert all(stage.flat and stage.change == 0.0 for stage in found.stages)
    assert not any(stage.filter.any() for stage in found.stages)
    assert found.output == found.start_value


def test_above_the_window_the_interpolation_is_the_lower_limit():
    volume = smooth_volume()
    spike = volume.data.copy()
    spike[4, 5, 6] = 4.0 * spike.max()
    lr = dataclasses.replace(volume, data=spike)
    found = explain_voxel(lr, planted_bank(), (8, 10, 12))
    assert found.start_value > 1.0
    names = [name for name, _ in found.contributions]
    total = sum(value for _, value in found.contributions)
    assert total == pytest.approx(found.output, abs=1e-5)
    assert ("lower limit" in names) == (found.stages[-1].after < found.start_value)


def test_patches_lie_around_the_voxel():
    volume, bank = smooth_volume(), planted_bank()
    lr = volume.normalized()
    found = explain_voxel(volume, bank, (8, 11, 13))
    assert found.lr_voxel == (4, 5, 6)
    np.testing.assert_array_equal(found.lr_patch, lr.data[2:7, 3:8, 4:9])
    start = get_method("tricubic", (2, 2, 2)).compute(lr, Region((4, 6, 8), (14, 16, 18)))
    np.testing.assert_allclose(found.start_patch, start)
    edge_patch = explain_voxel(volume, bank, (0, 0, 25)).lr_patch
    assert np.isnan(edge_patch[:2]).all()
    assert np.isnan(edge_patch[:, :, 3:]).all()
    assert edge_patch[2, 2, 2] == lr.data[0, 0, 12]


def test_reference_around_the_voxel():
    volume, bank = smooth_volume(), planted_bank()
    grid = volume.grid.upsampled((2, 2, 2))
    data = np.random.default_rng(2).random(grid.shape, dtype=np.float32) * 300
    truth = Volume(data, grid)
    found = explain_voxel(volume, bank, (3, 10, 17), truth)
    window = volume.normalized().window
    assert found.truth == pytest.approx(float(window.to_unit(data)[3, 10, 17]))
    np.testing.assert_allclose(found.around["truth"][8, 8, 8], found.truth)
    np.testing.assert_allclose(found.around["output"][8, 8, 8], found.output)
    assert explain_voxel(volume, bank, (3, 10, 17)).truth is None


def test_errors_name_voxel_and_grid():
    volume, bank = smooth_volume(), planted_bank()
    with pytest.raises(ParameterError, match=r"\(18, 0, 0\) lies outside .* to \(17, 21, 25\)"):
        explain_voxel(volume, bank, (18, 0, 0))
    with pytest.raises(ParameterError, match=r"\(0, -1, 0\)"):
        explain_voxel(volume, bank, (0, -1, 0))
    with pytest.raises(GeometryError, match=r"grid \(9, 11, 13\) differs from the upsampled grid"):
        explain_voxel(volume, bank, (0, 0, 0), volume)
    grid = volume.grid.upsampled((2, 2, 2))
    check_reference(grid, volume.grid, (2, 2, 2))
    affine = grid.affine.copy()
    affine[1, 3] += 0.4
    with pytest.raises(GeometryError):
        check_reference(Grid(grid.shape, affine), volume.grid, (2, 2, 2))


def test_scale_of_a_reference():
    lr = Grid((9, 11, 13), np.diag([1, 1.2, 1.5, 1]))
    assert truth_scale(lr.upsampled((1, 1, 3)), lr) == (1, 1, 3)
    assert truth_scale(lr.upsampled((3, 2, 4)), lr) == (3, 2, 4)
    with pytest.raises(GeometryError, match="no multiple"):
        truth_scale(lr, lr)
    with pytest.raises(GeometryError):
        truth_scale(Grid((19, 22, 26), lr.affine), lr)


def test_blank_outside_places_the_inner_voxels(rng):
    data = rng.random((4, 5, 6)).astype(np.float32)
    found = blank_outside(lambda box: data[box.slices], (-1, 2, 4), (3, 4, 8), data.shape)
    assert found.shape == (4, 2, 4)
    np.testing.assert_array_equal(found[1:, :, :2], data[0:3, 2:4, 4:6])
    assert np.isnan(found[0]).all()
    assert np.isnan(found[:, :, 2:]).all()


def block(at=None) -> Volume:
    """Return a block-shaped head, brighter up to ``at`` along x."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    data = 60.0 * (np.maximum(np.maximum(abs(x), abs(y)), abs(z)) < 0.9)
    data += np.random.default_rng(0).normal(0, 0.5, SHAPE) * (data > 0)
    if at is not None:
        data[: at + 1] += 40.0 * (data[: at + 1] > 30)
    return Volume(ndimage.gaussian_filter(data, 0.5).astype(np.float32), Grid(SHAPE, np.eye(4)))


def test_finds_the_planted_edge():
    voxel = find_edge(block(at=13), (2, 1, 3))
    assert 13 <= voxel[0] // 2 <= 14
    # In the central half of the head.
    assert 7 <= voxel[1] < 21
    assert 8 <= voxel[2] // 3 < 24


def test_prefers_voxels_with_a_large_interpolation_error():
    volume, scale = block(at=13), (2, 2, 2)
    truth = np.zeros([2 * n for n in SHAPE], np.float32)
    guess = truth.copy()
    wrong = (27, 29, 33)
    guess[wrong] = 1.0
    assert find_edge(volume, scale, truth, guess) == wrong


def test_a_volume_without_edges_is_refused():
    data = np.full(SHAPE, 7.0, np.float32)
    data[0, 0, 0] = 8.0
    with pytest.raises(VolumeError, match="no edge"):
        find_edge(Volume(data, Grid(SHAPE, np.eye(4))), (2, 2, 2))
