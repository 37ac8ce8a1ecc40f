"""Scan in an awkward file format, and a request that streams it in small blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np

from napari_mrisr.run.upscale import UpscaleParameters, check_parameters
from napari_mrisr.streaming import StreamRequest
from napari_mrisr.streaming.request import (
    bytes_needed,
    layer_bytes,
    open_source,
    slow_axis,
    stored_codes,
)

# At 2x, blocks of 64 planes are two and a bit along the last stored axis.
SHAPE = (19, 23, 66)
# The same from head to foot, which OME-Zarr stores last.
TALL = (19, 66, 23)

OBLIQUE = np.array(
    [[-1.1, -0.2, 0.1, 3.0], [0.1, 0.2, -1.4, 7.0], [0.05, 1.2, 0.2, 9.0], [0, 0, 0, 1]]
)


def save_scan(
    path: Path,
    *,
    shape: tuple[int, ...] = SHAPE,
    affine: np.ndarray = OBLIQUE,
    slope: tuple[float, float] | None = (0.37, -12.5),
    dtype: str = ">i2",
    image_class: type = nib.Nifti1Image,
) -> Path:
    """Save noise with a trend and a bright spot: int16, big-endian, scaled, turned, flipped."""
    rng = np.random.default_rng(3)
    data = rng.integers(0, 800, shape) + np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    data[3:5, 4:6, 5:7] = 3000
    header = image_class.header_class(endianness=dtype[0])
    header.set_data_dtype(np.dtype(dtype))
    image = image_class(data.astype(dtype), affine, header)
    if slope is not None:
        image.header.set_slope_inter(*slope)
    nib.save(image, path)
    return path


def small_request(
    path: Path,
    out: Path,
    parameters: UpscaleParameters | None = None,
    planes: int = 64,
    **options: object,
) -> StreamRequest:
    parameters = parameters or UpscaleParameters(method="tricubic", threads=2)
    method = check_parameters(parameters)
    request = StreamRequest(path, out, parameters, 0, **options)
    with open_source(request) as source:
        low = source.grid.shape
        block = [n * s for n, s in zip(low, method.scale, strict=True)]
        block[slow_axis(stored_codes(request, source))] = planes
        layer = layer_bytes(source)
        need = bytes_needed(tuple(block), low, method, parameters.thread_count, layer)
    return replace(request, memory=need)
