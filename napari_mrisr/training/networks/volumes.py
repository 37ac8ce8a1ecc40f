"""Volumes of a network's training: images to draw patches from, and parts to validate on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from functools import partial
from typing import Protocol

import numpy as np
from scipy import ndimage

from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.core.threads import call_in_thread
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.scan.masks import BoolArray, head_mask
from napari_mrisr.training.networks.patches import HeldOut, TrainingImage, training_image
from napari_mrisr.training.presets import ISOTROPIC
from napari_mrisr.training.sources import Recording, TrainingSource, volume_record

_MARGIN = 2  # voxels of the head's rim that are not learned from
_CROP = 28  # voxels from the middle of a validation volume across the slices
_ALONG = 24  # the length is a multiple: whole slices for every factor that is measured


class Chosen(Recording, Protocol):
    """Parameters that say how volumes are used and recorded."""

    @property
    def thick_axes(self) -> tuple[tuple[str, str], ...]:
        """See :class:`~napari_mrisr.training.networks.run.NetworkParameters`."""
        ...


def axes_of(source: TrainingSource, volume: Volume, parameters: Chosen) -> tuple[int, ...]:
    """Return the axes along which a volume is degraded."""
    for pattern, letters in parameters.thick_axes:
        if fnmatch(source.name, pattern):
            return tuple(sorted("xyz".index(letter) for letter in set(letters)))
    sizes = volume.grid.voxel_size
    return tuple(axis for axis in range(3) if sizes[axis] < ISOTROPIC * min(sizes))


def read_images(
    sources: Sequence[TrainingSource],
    parameters: Chosen,
    progress: Progress,
    check: Callable[[], None],
) -> tuple[list[TrainingImage], list[dict[str, str]]]:
    """Return images in memory and their records; duplicates count once.

    Parameters
    ----------
    sources : sequence of TrainingSource
    parameters : Chosen
    progress : Progress
        Advances by one per volume.
    check : callable
        Raises to stop.

    Raises
    ------
    VolumeError
        If a volume cannot be used, or there is none.
    """
    images: list[TrainingImage] = []
    records: list[dict[str, str]] = []
    progress.begin("reading the volumes", len(sources))
    for source in sources:
        check()
        record = volume_record(source, source.digest(), len(records) + 1, parameters)
        if record["sha256"] not in {known["sha256"] for known in records}:
            images.append(call_in_thread(partial(_image, source, parameters, check), check))
            records.append(record)
        progress.advance()
    if not images:
        raise VolumeError(explain("train", "no volumes", "name files or a folder"))
    return images, records


def read_held_out(
    sources: Sequence[TrainingSource], parameters: Chosen, check: Callable[[], None]
) -> list[HeldOut]:
    """Return the middle of each validation volume, its last axis first, then others in turn."""
    found = []
    for number, source in enumerate(sources):
        found.append(call_in_thread(partial(_part, source, number, parameters, check), check))
    return found


def _image(source: TrainingSource, parameters: Chosen, check: Callable[[], None]) -> TrainingImage:
    volume = source.volume()
    check()
    inside = _learnable(volume, source, check)
    return training_image(volume.data, inside, axes_of(source, volume, parameters))


def _part(
    source: TrainingSource, number: int, parameters: Chosen, check: Callable[[], None]
) -> HeldOut:
    volume = source.volume()
    check()
    axes = axes_of(source, volume, parameters)[::-1]
    inside = _learnable(volume, source, check)
    return held_out(source.name, volume, inside, axes[number % len(axes)])


def held_out(name: str, volume: Volume, inside: BoolArray, axis: int) -> HeldOut:
    """Return the middle of a volume, the thick axis first.

    Raises
    ------
    VolumeError
        If the mask is empty there.
    """
    order = [axis, *(other for other in range(3) if other != axis)]
    data = np.clip(volume.normalized().data, 0.0, 1.0).transpose(order)
    n = data.shape[0]
    middle = [slice(max(0, m // 2 - _CROP), m // 2 + _CROP) for m in data.shape[1:]]
    box = (slice(0, n // _ALONG * _ALONG or n), *middle)
    mask = np.ascontiguousarray(inside.transpose(order)[box])
    if not mask.any():
        remedy = "choose another validation volume"
        raise VolumeError(explain(name, "there is no head in its middle", remedy))
    return HeldOut(name, np.ascontiguousarray(data[box]), mask)


def _learnable(volume: Volume, source: TrainingSource, check: Callable[[], None]) -> BoolArray:
    """Return the head without its rim."""
    head = head_mask(volume.data, Progress(CancelToken(check)))
    inside: BoolArray = ndimage.binary_erosion(head, iterations=_MARGIN)
    if not inside.any():
        remedy = "choose another volume"
        raise VolumeError(explain(source.path or source.name, "there is no head", remedy))
    return inside
