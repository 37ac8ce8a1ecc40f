"""Evaluation against an independent evaluation with scipy and scikit-image."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from helpers.networks import copy_model, save_model
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.transform import resize

from napari_mrisr.core.progress import Progress
from napari_mrisr.errors import Cancelled, ParameterError
from napari_mrisr.evaluation import experiment, simulate
from napari_mrisr.evaluation.experiment import EvaluateParameters, compare, evaluate
from napari_mrisr.evaluation.protocol import get_protocol
from napari_mrisr.scan.masks import head_mask

SHAPE = (29, 34, 25)
INTERPOLATION = ("nearest", "tricubic")


@pytest.fixture
def head(rng):
    """A textured ball on an empty ground, in a scan's intensities."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    inside = sum(a**2 for a in axes) < 0.6
    texture = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.0)
    return np.where(inside, 300 + 400 * texture, 0).clip(0).round().astype(np.int16)


@pytest.fixture
def scan(head, tmp_path):
    """The head as a NIfTI file with axes in RAS."""
    path = tmp_path / "sub-01_T1w.nii.gz"
    nib.save(nib.Nifti1Image(head, np.diag([1.0, 1.1, 1.2, 1.0])), path)
    return path


def truth_of(head, scale):
    """The truth as the paper prepares it, by other means."""
    cropped = head[tuple(slice(0, n - n % s) for n, s in zip(head.shape, scale, strict=True))]
    high = np.percentile(cropped.astype(np.float64), 99.9)
    return np.clip(cropped, 0, high) / high


def one(report, **wanted):
    rows = [r for r in report.rows if all(getattr(r, k) == v for k, v in wanted.items())]
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize("scale", [(2, 2, 2), (1, 3, 2)])
def test_standard_is_scikit_image_s_resize(head, scan, scale):
    truth = truth_of(head, scale)
    low_shape = tuple(n // s for n, s in zip(truth.shape, scale, strict=True))
    low = resize(truth, low_shape, order=3, anti_aliasing=True, mode="reflect")
    image = resize(low, truth.shape, order=3, mode="reflect")
    report = evaluate([scan], EvaluateParameters((scale,), INTERPOLATION))
    expected = peak_signal_noise_ratio(truth, image, data_range=1.0)
    found = one(report, method="tricubic", mask="full")
    # Their "reflect" differs from our mirrored edges in the outer voxels, which are empty.
    assert found.psnr_db == pytest.approx(expected, abs=0.02)
    similar = structural_similarity(
        truth, image, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )
    assert found.ssim == pytest.approx(similar, abs=1e-3)
    mask = head_mask(truth)
    inside = one(report, method="tricubic", mask="head")
    expected = peak_signal_noise_ratio(truth[mask], image[mask], data_range=1.0)
    assert inside.psnr_db == pytest.approx(expected, abs=0.02)
    nearest = low.repeat(scale[0], 0).repeat(scale[1], 1).repeat(scale[2], 2)
    expected = peak_signal_noise_ratio(truth, nearest, data_range=1.0)
    assert one(report, method="nearest", mask="full").psnr_db == pytest.approx(expected, abs=0.02)


def test_paper_2021_is_scipy_s_zoom_with_the_leak_and_range_2(head, scan):
    truth = truth_of(head, (2, 2, 2))
    low = ndimage.zoom(truth, 0.5, order=2, prefilter=False)
    image = ndimage.zoom(low, 2, order=2, prefilter=False)
    image[truth == 0] = 0
    parameters = EvaluateParameters(methods=INTERPOLATION, protocol=get_protocol("paper-2021"))
    found = one(evaluate([scan], parameters), method="tricubic", mask="full")
    expected = peak_signal_noise_ratio(truth, image, data_range=1.0)
    assert found.psnr_db == pytest.approx(expected, abs=1e-3)
    expected = structural_similarity(truth, image, data_range=2.0)
    assert found.ssim == pytest.approx(expected, abs=1e-4)
    assert found.protocol == "paper-2021"


def test_the_leak_is_a_switch(scan):
    honest = get_protocol("paper-2021", leak=False)
    leaking = get_protocol("paper-2021")
    psnr = {
        protocol.leak: one(
            evaluate([scan], EvaluateParameters(methods=("tricubic",), protocol=protocol)),
            mask="full",
        ).psnr_db
        for protocol in (honest, leaking)
    }
    assert psnr[True] > psnr[False] + 0.1


def test_gain_is_over_tricubic_even_where_that_is_not_listed(scan):
    both = evaluate([scan], EvaluateParameters(methods=INTERPOLATION))
    alone = evaluate([scan], EvaluateParameters(methods=("nearest",)))
    for mask in ("full", "head"):
        nearest = one(both, method="nearest", mask=mask)
        tricubic = one(both, method="tricubic", mask=mask)
        assert nearest.gain_db == pytest.approx(nearest.psnr_db - tricubic.psnr_db)
        assert tricubic.gain_db == 0.0
        assert one(alone, mask=mask).gain_db == pytest.approx(nearest.gain_db)
    assert {row.method for row in alone.rows} == {"nearest"}


def test_a_scale_counts_the_file_s_own_axes(head, tmp_path, scan):
    turned = tmp_path / "turned.nii"  # stored as A, S, L
    affine = np.array([[0, 0, -1.0, 0], [1.1, 0, 0, 0], [0, 1.2, 0, 0], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(head[::-1].transpose(1, 2, 0), affine), turned)
    parameters = EvaluateParameters(((1, 3, 2),), ("nearest",))
    straight = EvaluateParameters(((2, 1, 3),), ("nearest",))
    found = one(evaluate([turned], parameters), mask="head")
    expected = one(evaluate([scan], straight), mask="head")
    assert found.scale == "1x3x2"
    assert found.psnr_db == pytest.approx(expected.psnr_db, abs=0.5)
    wrong = one(evaluate([scan], parameters), mask="head")
    assert abs(found.psnr_db - expected.psnr_db) < abs(found.psnr_db - wrong.psnr_db)


def test_bad_files_are_listed_and_the_rest_is_done(scan, tmp_path):
    broken = tmp_path / "broken.nii"
    broken.write_bytes(b"no image")
    thin = tmp_path / "thin.nii"
    nib.save(nib.Nifti1Image(np.eye(9, dtype=np.float32)[:, :, None].repeat(3, 2), np.eye(4)), thin)
    flat = tmp_path / "flat.nii"
    nib.save(nib.Nifti1Image(np.full((8, 9, 10), 7, np.int16), np.eye(4)), flat)
    paths = [broken, thin, flat, scan]
    report = evaluate(paths, EvaluateParameters(methods=("tricubic",)))
    assert {row.file for row in report.rows} == {str(scan)}
    errors = {failure.file: failure.error for failure in report.failures}
    assert set(errors) == {str(broken), str(thin), str(flat)}
    assert "(9, 9, 3) is too small for scale 2" in errors[str(thin)]
    assert "all voxels are 7" in errors[str(flat)]


def test_impossible_parameters_stop_everything(scan):
    with pytest.raises(ParameterError, match="'foo'"):
        evaluate([scan], EvaluateParameters(methods=("foo",)))
    with pytest.raises(ParameterError, match="--methods"):
        EvaluateParameters(methods=())
    with pytest.raises(ParameterError, match="--scales"):
        EvaluateParameters(scales=())


def test_parameters_are_checked_before_voxels_are_read(scan, monkeypatch):
    def read_volume(*_args, **_kwargs):
        pytest.fail("voxels were read")

    monkeypatch.setattr(experiment, "read_volume", read_volume)
    with pytest.raises(ParameterError):
        evaluate([scan], EvaluateParameters(methods=("tricubic", "foo")))


def test_an_option_keeps_the_bank_of_its_method(make_bank, tmp_path):
    path = str(tmp_path / "mine.safetensors")
    make_bank(scale=(2, 2, 2)).save(path)
    own = EvaluateParameters(bank=path)
    assert own.upscaling("hashed:blend", (2, 2, 2)).bank == path
    assert own.upscaling("anchored:blend", (2, 2, 2)).bank is None
    paper = EvaluateParameters(protocol=get_protocol("paper-2021"))
    assert paper.upscaling("hashed:blend", (2, 2, 2)).bank == "default-2x-paper-2021"


def test_twice_the_same_counts_once(scan):
    parameters = EvaluateParameters(((2, 2, 2), (2, 2, 2)), ("nearest", "nearest"))
    assert len(evaluate([scan], parameters).rows) == 2


class Counting(Progress):
    def __init__(self):
        super().__init__()
        self.states = []

    def show(self, state):
        self.states.append(state)


def test_progress_counts_files_scales_and_methods(scan):
    progress = Counting()
    parameters = EvaluateParameters(((2, 2, 2), (1, 1, 2)), INTERPOLATION)
    evaluate([scan], parameters, progress=progress)
    assert {state.task for state in progress.states} == {"evaluating"}
    assert progress.states[-1].done == progress.states[-1].total == 4


def test_cancelling_stops_within_a_file(scan):
    class Stopping(Counting):
        def show(self, state):
            super().show(state)
            if state.done == 1:
                self.token.cancel()

    progress = Stopping()
    with pytest.raises(Cancelled):
        evaluate([scan], EvaluateParameters(methods=INTERPOLATION), progress=progress)
    assert progress.states[-1].done == 1


def test_cancelling_stops_within_a_step(scan, monkeypatch):
    progress = Counting()
    degrade = simulate.degrade

    def cancel_and_degrade(*args, **kwargs):
        progress.token.cancel()
        degrade(*args, **kwargs)
        pytest.fail("went on")

    monkeypatch.setattr(simulate, "degrade", cancel_and_degrade)
    with pytest.raises(Cancelled):
        evaluate([scan], EvaluateParameters(methods=("nearest",)), progress=progress)


def test_a_comparison_stays_in_the_scan_s_intensities(head, scan):
    from napari_mrisr.io import read_volume

    volume = read_volume(scan)
    before = volume.data.copy()
    found = compare(volume, EvaluateParameters(methods=("nearest",)), (2, 3, 2))
    np.testing.assert_array_equal(volume.data, before)
    assert found.truth.grid.shape == (28, 33, 24)
    assert found.low.grid.shape == (14, 11, 12)
    assert set(found.results) == {"nearest", "tricubic"}
    assert found.results["nearest"].data.max() == pytest.approx(found.low.data.max(), rel=1e-5)
    assert found.truth.data.max() == pytest.approx(np.percentile(head[:28, :33, :24], 99.9))
    assert all(seconds > 0 for seconds in found.seconds.values())


def test_nearest_is_exact_for_blocks_under_a_boxcar(rng):
    from napari_mrisr.core.volume import Grid, Volume

    # Constant in each cell, so that nearest is exact under a boxcar.
    data = rng.random((12, 13, 14)).astype(np.float32).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    protocol = get_protocol("standard", degradation="slice-profile")
    volume = Volume(np.minimum(data, np.percentile(data, 99.9)), Grid(data.shape, np.eye(4)))
    found = compare(volume, EvaluateParameters(methods=("nearest",), protocol=protocol), (2, 2, 2))
    assert found.found["nearest"]["full"].psnr_db > 110


def test_thick_slices_has_a_row_per_axis_as_one_scale_each(head, scan):
    protocol = get_protocol("thick-slices:3:gaussian:1.2")
    report = evaluate([scan], EvaluateParameters(methods=INTERPOLATION, protocol=protocol))
    axes = {"R–L": (3, 1, 1), "A–P": (1, 3, 1), "S–I": (1, 1, 3)}
    assert [row.axis for row in report.summary()[::4]] == list(axes)
    degradation = "slice-profile:gaussian:1.2"
    same = EvaluateParameters(
        tuple(axes.values()), INTERPOLATION, get_protocol("standard", degradation=degradation)
    )
    plain = evaluate([scan], same)
    for axis, scale in axes.items():
        text = "x".join(map(str, scale))
        for method in INTERPOLATION:
            found = one(report, axis=axis, method=method, mask="head")
            expected = one(plain, scale=text, method=method, mask="head")
            assert found.scale == text
            assert (found.psnr_db, found.gain_db) == (expected.psnr_db, expected.gain_db)
            assert f"3 × as far apart along {axis};" in found.settings


def test_an_axis_counts_in_the_patient_or_in_the_file(head, tmp_path, scan):
    turned = tmp_path / "turned.nii"  # stored as A, S, L
    affine = np.array([[0, 0, -1.0, 0], [1.1, 0, 0, 0], [0, 1.2, 0, 0], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(head[::-1].transpose(1, 2, 0), affine), turned)

    def rows(axis):
        protocol = get_protocol("thick-slices:2", axis=axis)
        report = evaluate(
            [turned, scan], EvaluateParameters(methods=("nearest",), protocol=protocol)
        )
        return report, [row for row in report.rows if row.mask == "head"]

    report, (first, second) = rows("S-I")
    assert (first.scale, second.scale) == ("1x2x1", "1x1x2")
    # The shape is odd, so that the two files lose a voxel at opposite ends of one axis at most.
    assert first.psnr_db == pytest.approx(second.psnr_db, abs=0.5)
    assert [(row.scale, row.axis, row.psnr_db.count) for row in report.summary()[:1]] == [
        ("2", "S–I", 2)
    ]
    _, (first, second) = rows("0")
    assert (first.scale, first.axis, second.scale) == ("2x1x1", "axis 0", "2x1x1")


def test_a_network_of_the_user_is_measured(scan, tmp_path):
    path = save_model(copy_model(2, 2, 2), tmp_path / "mine.onnx")
    parameters = EvaluateParameters(methods=("nearest", "network"), model=str(path))
    report = evaluate([scan], parameters)
    rows = {row.method: row for row in report.rows if row.mask == "full"}
    assert rows["network"].psnr_db == pytest.approx(rows["nearest"].psnr_db, abs=1e-3)
    assert report.to_json().count("mine.onnx")
