"""Choice of a voxel on a clear edge, where interpolation has a large error."""

from __future__ import annotations

import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.kernels import cpu_hash
from napari_mrisr.operators.gradients import Window, tensor_box
from napari_mrisr.scan.masks import box_around, head_mask

# Window of the first stage of the bundled banks, low-resolution voxels.
_WINDOW = Window(0.9, 2)


def find_edge(
    lr: Volume,
    scale: Scale,
    truth: FloatArray | None = None,
    guess: FloatArray | None = None,
    *,
    progress: Progress | None = None,
) -> Shape:
    """Return the output voxel on the clearest edge in the center of the head.

    The choice does not depend on the super-resolved volume, so it is unbiased.

    Parameters
    ----------
    lr : Volume
        Low-resolution volume.
    scale : tuple of int
        Scale from it to the output grid.
    truth, guess : (nx sx, ny sy, nz sz) ndarray of float32, optional
        Reference and interpolation, in the same unit. If given, the edge is one at
        which they differ.
    progress : Progress, optional
        Cancels the search for the head.

    Returns
    -------
    tuple of int
        Index in the output grid, x, y, z.

    Raises
    ------
    VolumeError
        If the volume has no edge.
    Cancelled
        If the user cancels.
    """
    data = lr.normalized().data
    shape = (data.shape[0], data.shape[1], data.shape[2])
    middle = _middle(data, shape, progress)
    features = cpu_hash.voxel_features(*tensor_box(data, (0, 0, 0), shape, middle, _WINDOW))
    roots = np.sqrt(features[..., :3])
    # √λ1 × coherence, at least 0.
    total = roots.sum(axis=-1)
    score = roots[..., 0] * np.clip(2.0 * roots[..., 0] - total, 0.0, None)
    score /= np.where(total > 0.0, total, 1.0)
    for axis, factor in enumerate(scale):
        score = np.repeat(score, factor, axis=axis)
    start = tuple(n * s for n, s in zip(middle.start, scale, strict=True))
    if truth is not None and guess is not None:
        inner = tuple(slice(a, a + n) for a, n in zip(start, score.shape, strict=True))
        score = score * np.abs(truth[inner] - guess[inner])
    if not score.max() > 0.0:
        raise VolumeError(explain("volume", "contains no edge", "choose another volume"))
    found = np.unravel_index(int(score.argmax()), score.shape)
    x, y, z = (int(n) + a for n, a in zip(found, start, strict=True))
    return x, y, z


def _middle(data: FloatArray, shape: Shape, progress: Progress | None) -> Region:
    """Return the central half of the head's bounding box along each axis."""
    head = head_mask(data, progress)
    box = box_around(head) if head.any() else Region.whole(shape).slices
    ends = [(side.start, side.stop) for side in box]
    bounds = [(a + (b - a) // 4, max(a + (b - a) // 4 + 1, b - (b - a) // 4)) for a, b in ends]
    (a, d), (b, e), (c, f) = bounds
    return Region((a, b, c), (d, e, f))
