"""The phantom: the generator makes it, and it is what its README says."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from napari_mrisr.io import samples

# Of the stored voxels, in the file's order, as little-endian int16.
SHA256_SHIPPED = "3b7c1e99d9b7dd5bb96845a26c5cd161f02e2238c5962672584d212a5ca9e331"
SHA256_COARSE = "2e0e43c3122664c4d18827e232b34874bc4da7db3ff8d40a0571e3b4b11c18f5"

COARSER = 4


def digest(image: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(image, dtype="<i2").tobytes()).hexdigest()


@pytest.fixture(scope="module")
def generator(repository: Path) -> Iterator[ModuleType]:
    """The generator, imported as its user runs it: from its own folder."""
    folder = str(repository / "sample_data")
    sys.path.insert(0, folder)
    try:
        import make_phantom

        yield make_phantom
    finally:
        sys.path.remove(folder)
        for name in ("make_phantom", "phantom_brain", "phantom_fields", "phantom_head"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def coarse(generator: ModuleType) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same head with voxels four times as long."""
    image, lesion, affine = generator.make_phantom(coarser=COARSER)
    return image, lesion, affine


@pytest.fixture(scope="module")
def shipped() -> nib.Nifti1Image:
    return nib.load(samples.sample_path(samples.PHANTOM))


def test_generator_gives_the_same_voxels(coarse: tuple[np.ndarray, ...]) -> None:
    assert digest(coarse[0]) == SHA256_COARSE


def test_shipped_voxels(shipped: nib.Nifti1Image) -> None:
    assert digest(np.asanyarray(shipped.dataobj)) == SHA256_SHIPPED


def test_shipped_is_what_the_generator_draws(
    coarse: tuple[np.ndarray, ...], shipped: nib.Nifti1Image
) -> None:
    image = np.asanyarray(nib.as_closest_canonical(shipped).dataobj).astype(float)
    x, y, z = (n // COARSER for n in image.shape)
    blocks = image[: x * COARSER, : y * COARSER, : z * COARSER]
    mean = blocks.reshape(x, COARSER, y, COARSER, z, COARSER).mean(axis=(1, 3, 5))
    pair = mean.ravel(), coarse[0][:x, :y, :z].ravel()
    assert np.corrcoef(pair)[0, 1] > 0.95
    # Mirrored it does not come near.
    assert np.corrcoef(mean[::-1].ravel(), pair[1])[0, 1] < 0.95


def test_header(shipped: nib.Nifti1Image) -> None:
    assert shipped.shape == (146, 206, 174)
    assert shipped.get_data_dtype() == np.int16
    assert nib.aff2axcodes(shipped.affine) == ("L", "A", "S")
    np.testing.assert_allclose(shipped.header.get_zooms(), (1.2, 1.1, 1.1), rtol=1e-6)
    assert int(shipped.header["qform_code"]) == int(shipped.header["sform_code"]) == 1
    assert shipped.header.get_xyzt_units()[0] == "mm"
    assert samples.sample_path(samples.PHANTOM).stat().st_size < 4_000_000


def test_intensities_look_like_a_scan() -> None:
    volume = samples.phantom()
    data = volume.data
    corner = data[:12, -12:, -12:]
    # Rayleigh noise in the air: its mean is 1.25 of a channel's deviation.
    assert corner.mean() == pytest.approx(1.2533 * 1.6, rel=0.05)
    assert 90 < np.percentile(data, 99) < 145
    # A histogram with both peaks: gray matter near 52, white matter near 80.
    brain = data[40:106, 60:150, 90:140]
    counts, edges = np.histogram(brain, bins=np.arange(10, 120, 2))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 1.5)
    peaks = [
        edges[i] for i in range(1, len(smooth) - 1) if smooth[i - 1] < smooth[i] > smooth[i + 1]
    ]
    assert any(42 < p < 60 for p in peaks), peaks
    assert any(72 < p < 88 for p in peaks), peaks


def test_lesion_is_small_dark_and_has_a_rim() -> None:
    image, lesion = samples.phantom(), samples.phantom_lesion()
    assert image.grid.shape == lesion.grid.shape
    np.testing.assert_array_equal(image.grid.affine, lesion.grid.affine)
    inside = lesion.data > 0
    volume = inside.sum() * np.prod(image.grid.voxel_size)
    assert volume == pytest.approx(237, abs=1)  # mm³
    center = image.grid.affine @ [*np.argwhere(inside).mean(axis=0), 1.0]
    np.testing.assert_allclose(center[:3], (-25.3, 34.3, 29.1), atol=0.1)  # left, front
    core = ndimage.binary_erosion(inside, iterations=2)
    around = ndimage.binary_dilation(inside, iterations=4) & ~ndimage.binary_dilation(
        inside, iterations=2
    )
    rim = inside & ~ndimage.binary_erosion(inside)
    white = np.percentile(image.data[around], 75)
    assert np.median(image.data[core]) < 0.6 * white
    assert np.median(image.data[rim]) > np.median(image.data[core]) + 20
