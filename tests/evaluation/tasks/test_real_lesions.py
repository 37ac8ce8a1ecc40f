"""Lesions under a mask: planted shares of contrast come back, per size."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import GeometryError, VolumeError
from napari_mrisr.evaluation.experiment import EvaluateParameters
from napari_mrisr.evaluation.protocol import get_protocol
from napari_mrisr.evaluation.tasks.base import evaluate_task
from napari_mrisr.evaluation.tasks.real_lesions import RealLesionTask, real_lesion_rows

SHAPE = (40, 36, 32)
# Center, edges in voxels: equivalent diameters of 1.2 to 2.5, 4.6 and 7.4 voxels.
LESIONS = [
    ((10, 10, 8), (2, 2, 2)), ((30, 9, 9), (1, 1, 1)), ((11, 25, 8), (4, 4, 2)),
    ((28, 24, 20), (6, 6, 6)),
]  # fmt: skip
SIZES = ["below 3 mm", "below 3 mm", "3 to 4 mm", "4 mm and more"]


@pytest.fixture
def mask():
    found = np.zeros(SHAPE, bool)
    for corner, edges in LESIONS:
        found[tuple(slice(a, a + n) for a, n in zip(corner, edges, strict=True))] = True
    return found


def image(mask, contrast=0.3):
    return np.where(mask, 0.4 + contrast, 0.4).astype(np.float32)


def rows(truth, result, mask, base=None, voxel=1.0):
    head = np.ones(SHAPE, bool)
    return real_lesion_rows("m", truth, result, result if base is None else base, mask, head, voxel)


@pytest.mark.parametrize("contrast", [0.3, -0.3])
@pytest.mark.parametrize("share", [0.5, 1.0, 1.2])
def test_a_planted_share_of_the_contrast_comes_back(mask, contrast, share):
    found = rows(image(mask, contrast), image(mask, share * contrast), mask)
    assert len(found) == len(LESIONS)
    for row in found:
        assert row.contrast == pytest.approx(contrast, rel=1e-5)
        assert row.kept == pytest.approx(share, rel=1e-5)
        assert row.threshold == pytest.approx(0.4 + contrast / 2)


def test_a_rim_has_no_voxel_of_a_neighbor_or_outside_the_head():
    mask, head = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    mask[10:13, 10:13, 10:13] = mask[14:17, 10:13, 10:13] = True
    head[8:19, 9:14, 8:15] = True
    truth = np.where(head, image(mask), 0).astype(np.float32)
    found = real_lesion_rows("m", truth, truth, truth, mask, head, 1.0)
    assert [row.contrast for row in found] == pytest.approx([0.3, 0.3], rel=1e-5)


def test_an_unchanged_result_scores_exactly_one(mask, rng):
    truth = image(mask) + rng.normal(0, 0.02, SHAPE).astype(np.float32)
    for row in rows(truth, truth.copy(), mask):
        assert row.kept == 1.0
        assert row.found_mm3 == row.found_truth_mm3
        assert row.squared_error == 0.0


@pytest.mark.parametrize("sign", [1, -1])
def test_the_volume_found_counts_voxels_beyond_the_fixed_threshold(mask, sign):
    weak, faint = image(mask, sign * 0.16), image(mask, sign * 0.14)
    around = ndimage.generate_binary_structure(3, 3)
    grown = image(ndimage.binary_dilation(mask, around), sign * 0.3)
    for result, voxels in ((weak, 216), (faint, 0), (grown, 8**3 - 8)):
        found = rows(image(mask, sign * 0.3), result, mask, voxel=0.5)
        row = max(found, key=lambda row: row.volume_mm3)
        assert row.found_truth_mm3 == row.volume_mm3 == 0.5 * 216
        # The rim reaches 2 steps through faces, so not to the grown cube's corners.
        assert row.found_mm3 == 0.5 * voxels


def test_sizes_are_diameters_of_equal_spheres_in_mm(mask):
    by_place = {row.volume_mm3: row.size for row in rows(image(mask), image(mask), mask)}
    assert by_place == {8.0: SIZES[0], 1.0: SIZES[1], 32.0: SIZES[2], 216.0: SIZES[3]}
    larger = [row.size for row in rows(image(mask), image(mask), mask, voxel=8.0)]
    assert sorted(larger) == ["4 mm and more"] * 3 + ["below 3 mm"]


def test_the_gain_is_that_of_the_errors_inside_the_lesion(mask):
    truth = image(mask)
    found = rows(truth, truth + np.float32(0.01), mask, base=truth + np.float32(0.02))
    assert [row.gain_db for row in found] == pytest.approx([20 * np.log10(2)] * 4, rel=1e-4)


def test_lesions_without_contrast_have_no_share(mask):
    truth = image(mask)
    first = np.zeros(SHAPE, bool)
    first[10:12, 10:12, 8:10] = True
    truth[first] = 0.41
    found = {row.volume_mm3: row.kept for row in rows(truth, truth, mask)}
    assert np.isnan(found[8.0])
    assert found[216.0] == 1.0


def save(path, data, affine=None):
    nib.save(
        nib.Nifti1Image(data, np.diag([1.0, 1.0, 1.2, 1.0]) if affine is None else affine), path
    )
    return path


def test_files_table_and_figure(mask, tmp_path, rng):
    texture = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.0)
    scan = save(tmp_path / "scan.nii", (1000 * image(mask) + 50 * texture).astype(np.int16))
    lesions = save(tmp_path / "lesions.nii", mask.astype(np.uint8))
    task = RealLesionTask.on(lesions, scan)
    chosen = EvaluateParameters(
        methods=("nearest", "tricubic"), protocol=get_protocol("thick-slices:2"), threads=1
    )
    report = evaluate_task(task, [scan], chosen)
    assert len(report.rows) == 3 * 2 * len(LESIONS)
    text = report.summary_table()
    assert "mask lesions.nii" in text
    assert "all (12)" in text
    assert "4 mm and more (6)" in text
    assert "Threshold 0." in text
    assert all(row.gain_db == 0.0 for row in report.rows if row.method == "tricubic")
    values = task.values([row for row in report.rows if row.method == "tricubic"])
    assert 0.3 < values["kept"] < 1.0
    titles = [axes.get_title() for axes in task.figure(report.rows, ["note"]).axes]
    assert titles[0].startswith("contrast kept")


def test_a_mask_on_another_grid_is_refused(mask, tmp_path):
    scan = save(tmp_path / "scan.nii", image(mask))
    smaller = save(tmp_path / "small.nii", mask[:-1].astype(np.uint8))
    with pytest.raises(GeometryError, match=r"small.nii: shape \(39, 36, 32\).*resample"):
        RealLesionTask.on(smaller, scan)
    moved = np.diag([1.0, 1.0, 1.2, 1.0])
    moved[0, 3] = 5.0
    shifted = save(tmp_path / "moved.nii", mask.astype(np.uint8), moved)
    with pytest.raises(GeometryError, match=r"moved.nii.*5 mm away from scan.nii"):
        RealLesionTask.on(shifted, scan)


def test_a_mask_stored_in_another_order_fits(mask, tmp_path):
    scan = save(tmp_path / "scan.nii", image(mask))
    turned = nib.Nifti1Image(mask.astype(np.uint8), np.diag([1.0, 1.0, 1.2, 1.0]))
    turned = turned.as_reoriented(np.array([[1, -1], [0, 1], [2, 1]]))
    nib.save(turned, tmp_path / "turned.nii")
    found = RealLesionTask.on(tmp_path / "turned.nii", scan).mask
    np.testing.assert_array_equal(found.data != 0, mask)


def test_an_empty_mask_is_refused(mask):
    grid = Grid(SHAPE, np.eye(4))
    task = RealLesionTask(Volume(np.zeros(SHAPE, np.float32), grid))
    with pytest.raises(VolumeError, match="no voxel is marked"):
        task.measure(
            Volume(image(mask), grid),
            EvaluateParameters(methods=("tricubic",)),
            (2, 2, 2),
            Progress(),
        )
