"""Functions of the table: ours, and what a user would pick instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy import ndimage
from skimage.transform import resize

from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.methods import get_method
from napari_mrisr.run.upscale import run_method

SCIPY = "scipy.ndimage.zoom(order=3)"
SCALE = (2, 2, 2)

Candidates = dict[str, Callable[[], object]]


def candidates(volume: Volume, threads: Sequence[int]) -> tuple[Candidates, list[str]]:
    """Return functions that compute every voxel of the same output, and what is not installed.

    Functions that use threads appear once per number of threads.
    """
    data, shape = volume.data, tuple(2 * n for n in volume.data.shape)
    found: Candidates = {
        SCIPY: lambda: ndimage.zoom(data, 2, order=3),
        "skimage.transform.resize(order=3)": lambda: resize(data, shape, order=3),
    }
    missing = []
    for count in threads:
        for name in ("hashed", "tricubic"):
            method = get_method(name, SCALE)
            found[f"{name} (ours), {_label(count)}"] = partial(
                run_method, method, volume, threads=count
            )
    for name, make in (
        ("SimpleITK B-spline", _simpleitk),
        ("volresample cubic", _volresample),
        ("torch trilinear", _torch),
    ):
        try:
            for count in threads:
                found[f"{name}, {_label(count)}"] = make(data, count)
        except ImportError:
            missing.append(name)
    return found, missing


def _label(threads: int) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}"


def _simpleitk(data: FloatArray, threads: int) -> Callable[[], object]:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(data)
    shape = [2 * n for n in image.GetSize()]
    place = (sitk.Transform(), sitk.sitkBSpline, (-0.25,) * 3, (0.5,) * 3)

    def run() -> object:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
        return sitk.Resample(image, shape, *place)

    return run


def _volresample(data: FloatArray, threads: int) -> Callable[[], object]:
    import volresample

    shape = tuple(2 * n for n in data.shape)

    def run() -> object:
        volresample.set_num_threads(threads)
        return volresample.resample(data, shape, mode="cubic")

    return run


def _torch(data: FloatArray, threads: int) -> Callable[[], object]:
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(data))[None, None]

    def run() -> object:
        torch.set_num_threads(threads)
        return torch.nn.functional.interpolate(tensor, scale_factor=2, mode="trilinear")

    return run
