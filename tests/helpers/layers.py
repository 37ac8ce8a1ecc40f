"""Scans of any orientation on disk, and the layers that napari makes of them."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from napari.layers import Image

from napari_mrisr.viewer.layers.files import get_reader

SHAPE = (9, 11, 14)


def stored_affine(codes: str, turn: np.ndarray | None = None) -> np.ndarray:
    affine = np.diag([1.0, 1.25, 1.5, 1.0])
    affine[:3, 3] = (-31.0, 17.0, -5.0)
    affine = affine @ nib.orientations.inv_ornt_aff(
        nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(codes))
        ),
        SHAPE,
    )
    if turn is not None:
        affine[:3] = turn @ affine[:3]
    return affine


def write_scan(path, rng, affine, shape=SHAPE) -> np.ndarray:
    data = rng.integers(0, 4000, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(data, affine), path)
    return data


def open_layer(path) -> Image:
    reader = get_reader(str(path))
    assert reader is not None
    ((data, kwargs, kind),) = reader(str(path))
    assert kind == "image"
    return Image(data, **kwargs)
