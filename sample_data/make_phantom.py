"""Make the head phantom: ``python make_phantom.py [output folder]``.

A digital head as a T1-weighted scan would show it: folded cortex, white
matter, ventricles, deep nuclei, cerebellum, skull, scalp, face and neck, with
thin structures (vessels, septum, falx, dura) and one small lesion. No person's
scan went into it. Needs numpy, scipy and, to write the file, nibabel.
The same arguments give the same voxels.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from phantom_brain import paint_brain
from phantom_fields import Canvas, Field, ellipsoid, inside
from phantom_head import paint_face, paint_head, paint_neck
from scipy import ndimage

SHAPE = (146, 206, 174)
VOXEL = (1.2, 1.1, 1.1)
"""Voxel size, mm, along x, y and z."""

FIRST = (-87.0, -118.0, -100.0)
"""Outer corner of the field of view: left, back, bottom, mm."""

GAIN = 0.5
"""Scan's intensities for one of those painted; keeps the file small."""

NOISE = 1.6
"""Standard deviation of the noise in each of the two channels."""

LESION = (-25.0, 33.0, 28.0)
LESION_RADII = (4.6, 3.6, 4.0)


def make_phantom(
    coarser: float = 1.0, supersample: int = 2
) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.float64]]:
    """Return the phantom, its lesion and its affine.

    Parameters
    ----------
    coarser : float
        Factor on the voxel size; the same head with fewer voxels.
    supersample : int
        Fine voxels along each edge of a voxel, which are averaged.

    Returns
    -------
    image : ndarray of int16
        Indexed (x, y, z), axes RAS+.
    lesion : ndarray of uint8
        1 in the lesion, rim included.
    affine : (4, 4) ndarray
        Voxel index to mm, RAS+.
    """
    shape = tuple(round(n / coarser) for n in SHAPE)
    voxel = tuple(v * coarser for v in VOXEL)
    axes = [
        (first + v / supersample * (np.arange(n * supersample) + 0.5)).astype(np.float32)
        for first, v, n in zip(FIRST, voxel, shape, strict=True)
    ]
    canvas = Canvas((axes[0], axes[1], axes[2]), float(np.mean(voxel)) / supersample)
    cavity = paint_head(canvas)
    paint_neck(canvas, cavity)
    paint_face(canvas)
    paint_brain(canvas, cavity)
    lesion = paint_lesion(canvas)
    image = average(canvas.image, supersample)
    affine = np.diag([*voxel, 1.0])
    affine[:3, 3] = [first + v / 2 for first, v in zip(FIRST, voxel, strict=True)]
    label = (average(lesion, supersample) >= 0.5).astype(np.uint8)
    return scan(image, axes, supersample), label, affine


def paint_lesion(canvas: Canvas) -> Field:
    """Paint a dark lesion with a sharp edge and a bright rim of 1 mm; return its mask."""
    distance = ellipsoid(*canvas.at(), LESION, LESION_RADII)
    canvas.paint(distance, 212.0)
    canvas.paint(distance + 1.0, 62.0)
    canvas.paint_ellipsoid((LESION[0] + 1.0, LESION[1], LESION[2] + 0.5), (1.1, 1.1, 1.1), 120.0)
    return inside(distance, canvas.voxel)


def average(fine: Field, factor: int) -> Field:
    """Mean over blocks of ``factor`` voxels along each axis: partial volume."""
    x, y, z = (n // factor for n in fine.shape)
    blocks = fine.reshape(x, factor, y, factor, z, factor)
    total = np.zeros((x, y, z), np.float64)
    for i in range(factor):
        for j in range(factor):
            for k in range(factor):
                total += blocks[:, i, :, j, :, k]
    return (total / factor**3).astype(np.float32)


def scan(image: Field, axes: list[Field], supersample: int) -> NDArray[np.int16]:
    """Add the receive coil's shading and the noise of a magnitude image."""
    x, y, z = (axis.reshape(-1, supersample).mean(axis=1) for axis in axes)
    u, v, w = x[:, None, None] / 90, (y[None, :, None] + 5) / 110, (z[None, None, :] - 5) / 90
    coil = 0.90 + 0.10 * u**2 + 0.12 * v**2 + 0.05 * v - 0.03 * u * w + 0.06 * w * (1 - 0.5 * w)
    # Below the shoulders of the coil the signal falls off.
    coil = coil * np.clip(1.0 + 0.9 * (w + 0.75), 0.55, 1.0)
    # The point spread of the readout.
    image = ndimage.gaussian_filter(image, 0.25, truncate=4.0)
    rng = np.random.default_rng(2026)
    real = GAIN * image * coil + NOISE * rng.standard_normal(image.shape)
    imaginary = NOISE * rng.standard_normal(image.shape)
    magnitude: NDArray[np.int16] = np.rint(np.sqrt(real**2 + imaginary**2)).astype(np.int16)
    return magnitude


def main(folder: Path) -> None:
    """Write both files into a folder."""
    import nibabel as nib

    image, lesion, affine = make_phantom()
    # Stored left, anterior, superior, as scanners' converters often do.
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = image.shape[0] - 1
    for name, data in (("phantom_T1w", image), ("phantom_lesion", lesion)):
        stored = nib.Nifti1Image(np.ascontiguousarray(data[::-1]), affine @ flip)
        stored.header.set_xyzt_units("mm")
        stored.set_qform(stored.affine, code=1)
        stored.set_sform(stored.affine, code=1)
        stored.header["descrip"] = b"napari-mrisr head phantom, CC0"
        # No time in the file, so that the same voxels give the same bytes.
        packed = gzip.compress(stored.to_bytes(), compresslevel=9, mtime=0)
        (folder / f"{name}.nii.gz").write_bytes(packed)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
