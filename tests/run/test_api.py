"""The Python API: kinds in and out, axis order, scales, and what is refused."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest

import napari_mrisr as sr

SHAPE = (12, 10, 8)


@pytest.fixture
def array():
    return np.random.default_rng(0).random(SHAPE) * 300


@pytest.fixture
def image(array):
    """Axes stored as L, S, P (thick slices along the third)."""
    affine = np.zeros((4, 4))
    affine[0, 0], affine[2, 1], affine[1, 2], affine[3, 3] = -1.0, 1.5, -4.0, 1.0
    affine[:3, 3] = (50, 20, -30)
    return nib.Nifti1Image(array.astype(np.float32), affine)


def test_an_array_gives_an_array_in_its_axis_order(array):
    found = sr.upscale(array, (1, 2, 3), method="nearest")
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    expected = array.astype(np.float32).repeat(2, 1).repeat(3, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["nibabel", "array", "path"])
def test_the_scale_counts_the_stored_axes(image, array, kind, tmp_path):
    expected = array.astype(np.float32).repeat(4, 2)
    if kind == "nibabel":
        result = sr.upscale(image, scale=(1, 1, 4), method="nearest")
        np.testing.assert_allclose(result.get_fdata(), expected, rtol=1e-5)
        assert nib.aff2axcodes(result.affine) == ("L", "S", "P")
        np.testing.assert_allclose(result.header.get_zooms(), (1, 1.5, 1))
    elif kind == "array":
        result = sr.upscale(array, (1, 1, 4), method="nearest", affine=image.affine)
        np.testing.assert_allclose(result, expected, rtol=1e-5)
    else:
        nib.save(image, tmp_path / "scan.nii.gz")
        result = sr.upscale(tmp_path / "scan.nii.gz", "1x1x4", method="nearest")
        assert isinstance(result, sr.Volume)
        assert result.grid.shape == (12, 32, 10)
        stored = result.to_nibabel()
        np.testing.assert_allclose(stored.get_fdata(), expected, rtol=1e-5)


def test_nibabel_and_volume_give_the_same(image, tmp_path):
    nib.save(image, tmp_path / "scan.nii")
    volume = sr.read_volume(tmp_path / "scan.nii")
    from_volume = sr.upscale(volume, (2, 2, 2), threads=2)
    from_image = sr.upscale(image, 2, threads=2)
    np.testing.assert_array_equal(
        from_image.get_fdata(dtype=np.float32), from_volume.to_nibabel().get_fdata(dtype=np.float32)
    )
    np.testing.assert_allclose(from_image.affine, from_volume.to_nibabel().affine, atol=1e-4)
    assert "hashed" in str(from_image.header["descrip"])


@pytest.mark.parametrize(
    "scale", [2, np.int64(2), (2, 2, 2), [2, 2, 2], np.array([2, 2, 2]), "2", "2x2x2"]
)
def test_every_way_to_write_a_scale(array, scale):
    assert sr.upscale(array, scale, method="nearest").shape == (24, 20, 16)


@pytest.mark.parametrize(
    "scale", [0, 11, 0.5, True, None, "two", (2, 2), (1, 2, 3, 4), (0.5, 1, 1), {}, b"2", object()]
)
def test_other_scales_are_refused_in_one_line(array, scale):
    with pytest.raises(sr.ScaleError) as caught:
        sr.upscale(array, scale, method="nearest")
    assert "\n" not in str(caught.value)
    assert "scale" in str(caught.value)


def test_spacing_is_the_target_and_voxel_size_the_arrays_own(array, image):
    options = {"method": "nearest", "voxel_size": (1, 1, 3)}
    assert sr.upscale(array, spacing=1.0, **options).shape == (12, 10, 24)
    assert sr.upscale(array, spacing=(0.5, 1, 1.0004), **options).shape == (24, 10, 24)
    result = sr.upscale(image, spacing=(1, 0.75, 1), method="nearest")
    assert result.shape == (12, 20, 32)
    assert sr.upscale(array, spacing=0.7, **options).shape == (17, 14, 34)
    assert sr.upscale(array, spacing=2, **options).shape == (12, 10, 12)  # finer axes are kept
    with pytest.raises(sr.ScaleError, match=r"^spacing: 0\.2 mm from 1 x 1 x 3 mm .*; ask for "):
        sr.upscale(array, spacing=0.2, **options)
    with pytest.raises(sr.ScaleError, match="several are given"):
        sr.upscale(array, 2, spacing=1.0)
    with pytest.raises(sr.ScaleError, match="none is given"):
        sr.upscale(array, isotropic=False)
    with pytest.raises(sr.ScaleError, match="positive"):
        sr.upscale(array, spacing="fine")


def test_isotropic_raises_the_slices_to_the_pixels(array):
    options = {"method": "tricubic", "isotropic": True}
    found = sr.upscale(array, voxel_size=(1.2, 1.2, 4), **options)
    assert found.shape == (12, 10, 27)
    with pytest.raises(sr.ScaleError, match=r"1 × 1 × 1.1 mm .* isotropic within 20 %"):
        sr.upscale(array, voxel_size=(1, 1, 1.1), **options)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("factor", [1.2, 2.7, 5, 10])
def test_a_saved_result_covers_the_field_of_view_of_an_oblique_scan(tmp_path, rng, axis, factor):
    """Outer faces of the first and the last voxel, from the affines of oblique files."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    sizes = [0.7 * (factor if a == axis else 1.0) for a in range(3)]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * sizes, (31.0, -12.0, 7.0)
    image = nib.Nifti1Image(rng.random((9, 7, 11), dtype=np.float32), affine)
    nib.save(image, tmp_path / "scan.nii")
    found = sr.upscale(tmp_path / "scan.nii", spacing=0.7, method="tricubic")
    sr.write_volume(found, tmp_path / "out.nii")
    saved = nib.load(tmp_path / "out.nii")
    n = [round(m * factor) if a == axis else m for a, m in enumerate(image.shape)]
    assert saved.shape == tuple(n)
    for corner in itertools.product((0, 1), repeat=3):
        before, after = (
            i.affine[:3, :3] @ (np.array(i.shape) * corner - 0.5) + i.affine[:3, 3]
            for i in (image, saved)
        )
        np.testing.assert_allclose(after, before, atol=1e-4)


@pytest.mark.parametrize("method", ["nearest", "tricubic", "hashed", "network"])
def test_every_storage_orientation_gives_the_same(array, make_bank, tmp_path, method):
    bank = tmp_path / "thick.safetensors"
    make_bank((1, 1, 4), ("cell", "voxel")).save(bank)
    options = {"method": method, "bank": bank if method == "hashed" else None}
    affine = np.diag([1.1, 1.1, 3.9, 1.0])
    affine[:3, 3] = (4, -7, 9)
    image = nib.Nifti1Image(array.astype(np.float32), affine)
    expected = sr.upscale(image, isotropic=True, **options)
    assert expected.shape == (12, 10, 28)
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            stored = image.as_reoriented(np.column_stack([axes, signs]).astype(float))
            found = nib.as_closest_canonical(sr.upscale(stored, isotropic=True, **options))
            np.testing.assert_array_equal(found.dataobj, expected.dataobj)
            np.testing.assert_allclose(found.affine, expected.affine, atol=1e-6)


@pytest.mark.parametrize("scale", ["1x1x4.8", "1.37", (2.2, 1, 9.9), (1, 3, 1.04)])
def test_the_field_of_view_is_exact(image, scale):
    found = sr.upscale(image, scale, method="tricubic")

    def corners(image):
        ends = [(-0.5, n - 0.5) for n in image.shape]
        return nib.affines.apply_affine(image.affine, list(itertools.product(*ends)))

    np.testing.assert_allclose(corners(found), corners(image), atol=1e-5)
    expected = [round(n * f) for n, f in zip(SHAPE, sr.parse_scale(scale), strict=True)]
    assert list(found.shape) == expected


@pytest.mark.parametrize(
    ("thickness", "text"),
    [
        (None, "slices 4 mm thick (assumed from their distance)"),
        (3.2, "slices 3.2 mm thick, 4 mm apart (as given)"),
        (6, "slices 6 mm thick, 4 mm apart (as given)"),
    ],
)
def test_the_result_states_the_slice_thickness(array, thickness, text):
    volume = sr.Volume(array.astype(np.float32), sr.Grid(SHAPE, np.diag([1, 1, 4.0, 1])))
    found = sr.upscale(volume, isotropic=True, method="nearest", slice_thickness=thickness)
    assert found.history["slices"] == text
    assert "slices" not in sr.upscale(volume, (2, 2, 1), method="nearest").history


@pytest.mark.parametrize("thickness", [0, -1, 6.1, float("nan")])
def test_an_impossible_slice_thickness_is_refused(array, thickness):
    with pytest.raises(sr.ParameterError, match=r"slice thickness: .* 4 mm apart; .* at most 6"):
        sr.upscale(array, 2, voxel_size=(1, 1, 4), method="nearest", slice_thickness=thickness)


def test_quadratic_needs_whole_factors(array):
    with pytest.raises(sr.ScaleError, match="method quadratic needs whole factors"):
        sr.upscale(array, 1.5, method="quadratic")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite_are_refused(array, image, value):
    array[3, 4, 5] = value
    volume = sr.Volume(array.astype(np.float32), sr.Grid(SHAPE, np.eye(4)))
    broken = nib.Nifti1Image(array.astype(np.float32), image.affine)
    for given in (array, volume, broken):
        with pytest.raises(sr.VolumeError, match=r"1 .*infinite|1 NaN.*pass fill_nonfinite=0"):
            sr.upscale(given, 2, method="tricubic")
    with pytest.raises(sr.VolumeError):
        sr.upscale(volume, sr.UpscaleParameters((2, 2, 2), "tricubic"))
    found = sr.upscale(array, 2, method="tricubic", fill_nonfinite=0)
    assert np.isfinite(found).all()
    array[3, 4, 5] = 0
    np.testing.assert_array_equal(found, sr.upscale(array, 2, method="tricubic"))
    filled = sr.upscale(volume, 2, method="nearest", fill_nonfinite="mean")
    finite = np.isfinite(volume.data)
    assert filled.data[6, 8, 10] == pytest.approx(volume.data[finite].mean(), rel=1e-5)


def test_labels_are_refused_but_for_nearest():
    labels = np.zeros((24, 24, 24), np.int16)
    labels[4:20, 4:20, 4:12], labels[4:20, 4:20, 12:20] = 1, 2
    for method in ("hashed", "tricubic", "quadratic"):
        with pytest.raises(sr.VolumeError, match=rf"3 values.*{method} would mix; use method near"):
            sr.upscale(labels, 2, method=method)
    found = sr.upscale(labels, 2, method="nearest")
    assert set(np.unique(found)) == {0, 1, 2}


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (np.zeros((4, 5)), r"array: has 4 × 5 voxels; give three axes"),
        (np.zeros((4, 5, 1)), r"array: has 4 × 5 × 1 voxels"),
        (np.zeros((4, 5, 6), complex), r"voxels of type complex128; use upscale_complex"),
        (np.full((4, 5, 6), 1e38), r"intensities from 1e\+38"),
        ({}, r"image: is a dict; give a Volume, nibabel image, path or NumPy array"),
        (None, r"image: is a NoneType"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(given, match):
    with pytest.raises(sr.MrisrError, match=match):
        sr.upscale(given, 2, method="nearest")


@pytest.mark.parametrize(
    "options",
    [
        {"affine": np.zeros((4, 4))},
        {"affine": np.full((4, 4), np.nan)},
        {"affine": "RAS"},
        {"voxel_size": 0},
        {"voxel_size": (1, 2)},
        {"voxel_size": 1, "affine": np.eye(4)},
        {"frame": 0},
        {"fill_nonfinite": np.inf},
    ],
)
def test_impossible_options_for_an_array(array, options):
    array[0, 0, 0] = np.nan if "fill_nonfinite" in options else 0
    with pytest.raises(sr.MrisrError):
        sr.upscale(array, 2, method="nearest", **options)


def test_options_of_arrays_are_refused_for_images(image):
    with pytest.raises(sr.ParameterError, match="voxel_size or affine: given for a Nifti1Image"):
        sr.upscale(image, 2, voxel_size=1)


def test_a_frame_of_a_series(image):
    series = nib.Nifti1Image(np.stack([image.get_fdata(), image.get_fdata() + 7], 3), image.affine)
    with pytest.raises(sr.VolumeError, match="4D with 2 frames; pass frame=0 to 1"):
        sr.upscale(series, 2, method="nearest")
    with pytest.raises(sr.ParameterError, match="no frame 2"):
        sr.upscale(series, 2, method="nearest", frame=2)
    second = sr.upscale(series, 2, method="nearest", frame=1).get_fdata()
    first = sr.upscale(series, 2, method="nearest", frame=0).get_fdata()
    np.testing.assert_allclose(second - first, 7, atol=1e-3)


def test_units_of_the_header_are_kept(array):
    image = nib.Nifti1Image(array.astype(np.float32), np.diag([1000.0, 1000.0, 4000.0, 1.0]))
    image.header.set_xyzt_units("micron")
    result = sr.upscale(image, spacing=1.0, method="nearest")
    assert result.shape == (12, 10, 32)
    np.testing.assert_allclose(result.header.get_zooms(), (1000, 1000, 1000))


def test_an_mgh_image_stays_one(array):
    image = nib.MGHImage(array.astype(np.float32), np.diag([1.0, 1.0, 2.0, 1.0]))
    assert isinstance(sr.upscale(image, 2, method="nearest"), nib.MGHImage)
