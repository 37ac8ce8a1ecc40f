"""Slices left out of phantoms whose missing slices are known."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from helpers.scans import head

from napari_mrisr.core.slices import slices_of
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.evaluation.experiment import EvaluateParameters, compare, evaluate
from napari_mrisr.evaluation.leave_out import at_left_out, split_slices
from napari_mrisr.evaluation.protocol import get_protocol
from napari_mrisr.io.samples import phantom
from napari_mrisr.operators.degrade import degrade

AFFINE = np.array([[0.9, 0, 0.3, 5], [0, 1, 0, -7], [-0.2, 0, 3.0, 2], [0, 0, 0, 1]])


def parameters(axis=None, methods=("nearest", "tricubic")):
    return EvaluateParameters(methods=methods, protocol=get_protocol("leave-out:2", axis=axis))


@pytest.mark.parametrize(("slices", "kept"), [(11, 6), (12, 6)])
def test_left_out_slices_lie_between_kept_ones_and_keep_their_place(rng, slices, kept):
    data = rng.random((4, 5, slices)).astype(np.float32)
    volume = Volume(data, Grid(data.shape, AFFINE))
    low, left_out = split_slices(volume, 2)
    np.testing.assert_array_equal(low.data, data[:, :, ::2])
    np.testing.assert_array_equal(left_out.data, data[:, :, 1 : 2 * kept - 2 : 2])
    for part, first in ((low, 0), (left_out, 1)):
        for k in (0, 3):
            expected = AFFINE @ [1, 2, first + 2 * k, 1]
            np.testing.assert_allclose(part.grid.affine @ [1, 2, k, 1], expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_tricubic_predicts_a_ramp_exactly(axis):
    from napari_mrisr.run.upscale import UpscaleParameters, upscale

    shape = tuple(49 if a == axis else 6 for a in range(3))
    ramp = np.moveaxis(np.broadcast_to(np.arange(49.0), (6, 6, 49)), 2, axis)
    volume = Volume(100.0 + ramp, Grid(shape, np.eye(4)))
    low, left_out = split_slices(volume, axis)
    scale = tuple(2 if a == axis else 1 for a in range(3))
    result = upscale(low, UpscaleParameters(scale, "tricubic"))
    found = at_left_out(result, axis, left_out.grid)
    assert found.data.shape == left_out.data.shape
    # Mirrored edges bend a ramp near its ends.
    inner = [slice(None)] * 3
    inner[axis] = slice(8, -8)
    np.testing.assert_allclose(found.data[tuple(inner)], left_out.data[tuple(inner)], atol=2e-3)


def test_tricubic_at_the_left_out_slices_is_the_spline_through_the_kept_ones():
    from scipy.interpolate import CubicSpline

    from napari_mrisr.run.upscale import UpscaleParameters, upscale

    data = head(4, (30, 34, 49))
    low, left_out = split_slices(Volume(data, Grid(data.shape, np.eye(4))), 2)
    result = upscale(low, UpscaleParameters((1, 1, 2), "tricubic"))
    found = at_left_out(result, 2, left_out.grid).data
    kept = low.data.shape[2]
    expected = CubicSpline(np.arange(kept), low.data, axis=2)(np.arange(kept - 1) + 0.5)
    expected = expected.clip(low.data.min(), low.data.max())  # as the method clips
    inner = (slice(None), slice(None), slice(3, -3))
    error = np.sqrt(np.mean((found - expected)[inner] ** 2))
    missed = np.sqrt(np.mean((expected - left_out.data)[inner] ** 2))
    assert error < 0.05 * missed


def test_nearest_predicts_the_mean_of_both_neighbors_of_an_edge():
    data = np.repeat([100.0, 300.0], 10)[None, None, :] * np.ones((6, 6, 1))
    volume = Volume(data, Grid((6, 6, 20), np.eye(4)))
    low, left_out = split_slices(volume, 2)
    result = Volume(np.repeat(low.data, 2, axis=2), low.grid.upsampled((1, 1, 2)))
    found = at_left_out(result, 2, left_out.grid).data[0, 0]
    assert found[4] == pytest.approx(200.0, abs=0.01)  # slice 9, between slices 8 and 10


def test_learned_methods_predict_the_left_out_slices_of_a_phantom_better():
    """Slices of 2 mm, of which every second one is kept."""
    middle = tuple(slice(n // 2 - 30, n // 2 + 30) for n in phantom().grid.shape)
    data = np.ascontiguousarray(phantom().data[middle])
    truth = Volume(data, Grid(data.shape, np.eye(4)))
    scan = degrade(truth, (1, 1, 2), "slice-profile:boxcar:1")
    found = compare(scan, parameters(methods=("nearest", "hashed", "network")), (1, 1, 2))
    best = max(found.gain_db(method, "head") for method in ("nearest", "tricubic"))
    assert found.gain_db("hashed", "head") > best
    assert found.gain_db("network", "head") > best


def test_axes_may_be_permuted():
    data = head(3, (30, 34, 25))
    expected = compare(Volume(data, Grid(data.shape, np.eye(4))), parameters(), (1, 1, 2))
    for axes in ((2, 0, 1), (1, 2, 0)):
        turned = np.ascontiguousarray(data.transpose(axes))
        scale = tuple(2 if a == 2 else 1 for a in axes)
        found = compare(Volume(turned, Grid(turned.shape, np.eye(4))), parameters(), scale)
        for method in ("nearest", "tricubic"):
            for number in ("psnr_db", "ssim"):
                one, other = (getattr(c.found[method]["head"], number) for c in (found, expected))
                # The head mask fills holes in axial planes only.
                assert one == pytest.approx(other, abs=0.02 if number == "psnr_db" else 1e-3)


def test_the_thickest_axis_is_taken_and_only_the_head_counts(tmp_path):
    path = tmp_path / "scan.nii.gz"
    data = head(1, (30, 21, 26))
    nib.save(nib.Nifti1Image(data, np.diag([-1.0, 4.0, 1.0, 1.0])), path)
    report = evaluate([path], parameters())
    assert {(row.scale, row.axis, row.mask) for row in report.rows} == {("1x2x1", "A–P", "head")}
    assert all(np.isfinite(row.psnr_db) and 0 < row.ssim < 1 for row in report.rows)
    assert "along A–P left out" in report.rows[0].settings
    assert "2× along A–P" in report.summary_table()


def test_a_slice_that_no_method_can_know_counts(tmp_path):
    data = head(2, (30, 34, 25))
    data[:, :, 11] *= 0.5
    volume = Volume(data, Grid(data.shape, np.eye(4)))
    whole = compare(Volume(head(2, (30, 34, 25)), volume.grid), parameters(), (1, 1, 2))
    changed = compare(volume, parameters(), (1, 1, 2))
    for method in ("nearest", "tricubic"):
        before, after = (c.found[method]["head"].psnr_db for c in (whole, changed))
        assert after < before - 1.0
        # The left-out slice itself entered no result.
        np.testing.assert_allclose(
            changed.results[method].data[:, :, 5], whole.results[method].data[:, :, 5], atol=0.5
        )


def test_a_known_slice_thickness_gives_the_width_of_the_gaps(tmp_path):
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(head(1, (30, 34, 21)), np.diag([1.0, 1.0, 4.0, 1.0])), path)
    (row,) = evaluate([path], parameters(methods=("nearest",))).rows
    assert "width 0.5 × slice distance: 0.5 × thickness / spacing, the two" in row.settings
    path.with_name("scan.json").write_text('{"SliceThickness": 3.2}')
    lows = []
    (row,) = evaluate(
        [path],
        parameters(methods=("nearest",)),
        on_comparison=lambda file, scale, found: lows.append(found.low),
    ).rows
    assert "width 0.4 × slice distance: 0.5 × thickness / spacing)" in row.settings
    # Methods are told.
    slices = slices_of(lows[0].grid, lows[0].origin)
    assert (slices.axis, slices.thickness, slices.distance) == pytest.approx((2, 3.2, 8.0))


def test_simulated_thick_slices_know_their_width():
    data = head(1, (30, 34, 24))
    volume = Volume(data, Grid(data.shape, np.eye(4)))
    for fwhm, thickness in ((0.8, 3.2), (1.2, 4.8), (2.0, 4.0)):
        protocol = get_protocol(f"thick-slices:4:gaussian:{fwhm}")
        wanted = EvaluateParameters(methods=("nearest",), protocol=protocol)
        low = compare(volume, wanted, (1, 1, 4)).low
        # A scan's header does not tell such wide slices.
        assert slices_of(low.grid, low.origin).thickness == pytest.approx(thickness)
