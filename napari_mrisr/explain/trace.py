"""Run the engine at one voxel and record every step.

Every value is computed by the engine (:class:`~napari_mrisr.methods.hashed.Hashed`,
:class:`~napari_mrisr.bank.hashing.HashSpec`) or is one term of a sum in the engine;
the tests compare the sums with the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_mrisr.bank.model import FilterBank, Stage, load_bank
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import MAX_SCALE, Scale
from napari_mrisr.core.volume import FloatArray, Grid, Region, Shape, Volume
from napari_mrisr.errors import GeometryError, ParameterError, VolumeError, explain
from napari_mrisr.explain.anchored import trace_anchor
from napari_mrisr.explain.model import Explanation, Gradients, Matrix, StageTrace
from napari_mrisr.inspection.filters import output_at, reorient
from napari_mrisr.inspection.maps import feature_values
from napari_mrisr.inspection.source import check_reference
from napari_mrisr.kernels import cpu_hash
from napari_mrisr.methods import Method, get_method
from napari_mrisr.methods.consistent import made_consistent
from napari_mrisr.methods.hashed import Hashed, padded
from napari_mrisr.operators import interpolate
from napari_mrisr.operators.gradients import Window, mirrored_box, tensor_box
from napari_mrisr.operators.interpolate import mirror_index
from napari_mrisr.scan.masks import box_around, head_mask

AROUND = 8
"""Output voxels shown on each side of the explained voxel."""

LR_AROUND = 2
"""Low-resolution voxels shown on each side of the voxel that contains it."""

# Window of the first stage of the bundled banks, low-resolution voxels.
_WINDOW = Window(0.9, 2)


def explain_voxel(
    lr: Volume, bank: FilterBank | str, voxel: Shape, truth: Volume | None = None
) -> Explanation:
    """Explain how ``hashed`` computes one voxel of its output.

    Parameters
    ----------
    lr : Volume
        Low-resolution volume in the scan's intensities. For many voxels of one
        volume, pass ``lr.normalized()`` to save time.
    bank : FilterBank or str
        Bank, or its name or path.
    voxel : tuple of int
        Index in the output grid, x, y, z.
    truth : Volume, optional
        Reference on the output grid, in the scan's intensities.

    Returns
    -------
    Explanation
        Input, output and intermediate values of every stage at the voxel.

    Raises
    ------
    ParameterError
        If the voxel lies outside the output.
    GeometryError
        If the reference does not lie on the output grid.
    BankError
        If there is no such bank.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_mrisr as sr
    >>> data = np.random.default_rng(0).random((12, 14, 16)).astype(np.float32)
    >>> lr = sr.Volume(data, sr.Grid((12, 14, 16), np.eye(4)))
    >>> explanation = sr.explain_voxel(lr, "default-2x", (11, 13, 15))
    >>> len(explanation.stages)
    3
    """
    if not isinstance(bank, FilterBank):
        bank = load_bank(bank)
    grid = lr.grid.upsampled(bank.scale)
    one = _one_voxel(voxel, grid.shape)
    if truth is not None:
        check_reference(truth.grid, lr.grid, bank.scale)
    lr = lr.normalized()
    filters = Hashed(bank)
    method = made_consistent(filters, bank.degradation)
    images = list(filters.images(lr, one, len(bank.stages)))
    around = around_voxel(lr, method, one.start, truth)
    output, filtered = (float(step.compute(lr, one)[0, 0, 0]) for step in (method, filters))
    middle = (AROUND, AROUND, AROUND)
    cell = _divided(one.start, bank.scale)
    return Explanation(
        voxel=one.start,
        lr_voxel=cell,
        scale=bank.scale,
        bank_name=bank.name,
        degradation=bank.degradation,
        start=bank.start,
        intensities=lr.window,
        voxel_size=grid.voxel_size,
        lr_patch=blank_outside(
            lambda box: lr.data[box.slices], *box_ends(cell, LR_AROUND), lr.grid.shape
        ),
        start_patch=_start_patch(filters, lr, cell),
        start_value=_value(*images[0], one),
        stages=tuple(
            _trace(stage, bank.scale, lr, images[number : number + 2], one)
            for number, stage in enumerate(bank.stages)
        ),
        consistency=output - filtered,
        output=output,
        tricubic=float(around["tricubic"][middle]),
        truth=float(around["truth"][middle]) if truth is not None else None,
        around=around,
    )


def truth_scale(truth: Grid, lr: Grid) -> Scale:
    """Return the scale at which a reference lies on the output grid.

    Raises
    ------
    GeometryError
        If there is no such scale.
    """
    x, y, z = (max(1, n // m) for n, m in zip(truth.shape, lr.shape, strict=True))
    if max(x, y, z) > MAX_SCALE or (x, y, z) == (1, 1, 1):
        found = f"grid {truth.shape} is no multiple of the low-resolution grid {lr.shape}"
        raise GeometryError(explain("reference", found, "choose another volume, or none"))
    check_reference(truth, lr, (x, y, z))
    return x, y, z


def _one_voxel(voxel: Shape, shape: Shape) -> Region:
    if len(voxel) != 3 or any(not 0 <= n < m for n, m in zip(voxel, shape, strict=True)):
        found = f"{tuple(int(n) for n in voxel)} lies outside the output"
        last = tuple(m - 1 for m in shape)
        raise ParameterError(explain("voxel", found, f"give indices from (0, 0, 0) to {last}"))
    x, y, z = (int(n) for n in voxel)
    return Region((x, y, z), (x + 1, y + 1, z + 1))


def _divided(voxel: Shape, scale: Scale) -> Shape:
    x, y, z = (n // s for n, s in zip(voxel, scale, strict=True))
    return x, y, z


def box_ends(voxel: Shape, reach: int) -> tuple[Shape, Shape]:
    """Return start and stop of the box with ``reach`` voxels on each side."""
    x, y, z = voxel
    return (x - reach, y - reach, z - reach), (x + reach + 1, y + reach + 1, z + reach + 1)


def _value(box: Region, image: FloatArray, one: Region) -> float:
    x, y, z = (n - c for n, c in zip(one.start, box.start, strict=True))
    return float(image[x, y, z])


def around_voxel(
    lr: Volume, method: Method, voxel: Shape, truth: Volume | None
) -> dict[str, FloatArray]:
    """Return interpolation, result and reference around a voxel of the output."""
    shape = lr.grid.upsampled(method.scale).shape

    def computed(by: Method) -> FloatArray:
        return blank_outside(lambda box: by.compute(lr, box), *box_ends(voxel, AROUND), shape)

    found = {"tricubic": computed(get_method("tricubic", method.scale)), "output": computed(method)}
    if truth is not None:
        data = truth.restored().data
        found["truth"] = blank_outside(
            lambda box: lr.window.to_unit(data[box.slices]), *box_ends(voxel, AROUND), shape
        )
    return found


def _start_patch(method: Hashed, lr: Volume, cell: Shape) -> FloatArray:
    """Return the interpolation in the field of view of the low-resolution patch."""
    scale, shape = method.scale, interpolate.upsampled_shape(lr.data, method.scale)
    (a, b, c), (d, e, f) = box_ends(cell, LR_AROUND)
    x, y, z = scale

    def start(box: Region) -> FloatArray:
        return next(iter(method.images(lr, box, 0)))[1]

    return blank_outside(start, (a * x, b * y, c * z), (d * x, e * y, f * z), shape)


@dataclass(frozen=True, eq=False)
class _StageVoxel:
    """A voxel of a stage's grid, in a box of the stage's input."""

    source: FloatArray
    corner: Shape
    shape: Shape
    voxel: Shape

    @property
    def region(self) -> Region:
        return Region(*box_ends(self.voxel, 0))


def _stage_voxel(
    stage: Stage, scale: Scale, lr: Volume, before: tuple[Region, FloatArray], one: Region
) -> _StageVoxel:
    if stage.spec.grid == "cell":
        return _StageVoxel(lr.data, (0, 0, 0), lr.grid.shape, _divided(one.start, scale))
    box, image = before
    return _StageVoxel(image, box.start, lr.grid.upsampled(scale).shape, one.start)


def _trace(
    stage: Stage, scale: Scale, lr: Volume, images: list[tuple[Region, FloatArray]], one: Region
) -> StageTrace:
    """Trace a stage at the voxel ``one`` from the images before and after it."""
    spec, code = stage.spec, stage.spec.hash
    at = _stage_voxel(stage, scale, lr, images[0], one)
    box = (at.source, at.corner, at.shape)
    tensor, smooth = tensor_box(*box, at.region, code.window)
    bucket, element = (int(part[0, 0, 0]) for part in code.hash_box(*box, at.region))
    found = cpu_hash.voxel_features(tensor, smooth)[0, 0, 0].astype(np.float64)
    matrix = _matrix(tensor[:, 1, 1, 1].astype(np.float64))
    patch = padded(*box, at.region, spec.shape)
    weights = reorient(_weights(stage, scale, one, bucket, element), element)
    center = patch[tuple(width // 2 for width in spec.shape)]
    values = patch.astype(np.float64) - (center if spec.residual else 0.0)
    return StageTrace(
        spec=spec,
        voxel=at.voxel,
        window=window_of(*box, at.voxel, code.window),
        gradients=gradients_at(*box, at.voxel, code.window),
        tensor=matrix,
        values=found[:3],
        vectors=_vectors(matrix, found[3:6]),
        features={n: float(v) for n, v in feature_values(found, code.symmetry).items()},
        element=element,
        bucket=bucket,
        ranges=code.decode(bucket),
        flat=bucket == code.filter_count,
        anchor=trace_anchor(code, box, at.region, element),
        patch=patch,
        filter=weights,
        products=values * weights,
        before=_value(*images[0], one),
        after=_value(*images[1], one),
        support=int(stage.support[bucket]),
        start_error=float(stage.start_error[bucket]),
        error=float(stage.error[bucket]),
    )


def _weights(stage: Stage, scale: Scale, one: Region, bucket: int, element: int) -> FloatArray:
    """Return the canonical filter for the voxel; zeros without a filter."""
    if bucket == stage.spec.hash.filter_count:
        return np.zeros(stage.spec.shape, np.float32)
    if stage.spec.grid == "voxel":
        output = 0
    else:
        # A cell has one filter per output voxel.
        x, y, z = (n % s for n, s in zip(one.start, scale, strict=True))
        output = output_at(scale, element, (x, y, z))
    return np.asarray(stage.weights[bucket, :, output]).reshape(stage.spec.shape)


def _matrix(components: Matrix) -> Matrix:
    xx, xy, xz, yy, yz, zz = components
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _vectors(tensor: Matrix, first: Matrix) -> Matrix:
    """Return the eigenvectors, one per column; the first one is given by the engine."""
    # Solve in the plane perpendicular to the first, which also works for equal eigenvalues.
    across = np.linalg.svd(first[None])[2][1:].T
    _, inner = np.linalg.eigh(across.T @ tensor @ across)
    return np.column_stack([first, across @ inner[:, ::-1]])


def window_of(
    source: FloatArray, corner: Shape, shape: Shape, voxel: Shape, window: Window
) -> FloatArray:
    """Return the voxels of a window; parameters as ``tensor_box``."""
    spans = [(n - r, n + r + 1) for n, (_, r) in zip(voxel, window.axes, strict=True)]
    return mirrored_box(source, corner, shape, spans)


def gradients_at(
    source: FloatArray, corner: Shape, shape: Shape, voxel: Shape, window: Window
) -> Gradients:
    """Return the gradients whose products the structure tensor averages.

    Outside the volume the engine uses the products of the mirrored voxels, so
    the vectors outside are those of the mirrored voxels, too.
    """
    radii = [radius for _, radius in window.axes]
    spans = [
        (max(0, n - r), min(m, n + r + 1)) for n, m, r in zip(voxel, shape, radii, strict=True)
    ]
    bordered = mirrored_box(source, corner, shape, [(a - 1, b + 1) for a, b in spans])
    bordered = bordered.astype(np.float64)
    vectors = np.stack(
        [
            (np.roll(bordered, -1, axis) - np.roll(bordered, 1, axis))[1:-1, 1:-1, 1:-1] / 2.0
            for axis in range(3)
        ]
    )
    index = [
        np.clip(mirror_index(np.arange(n - r, n + r + 1), m) - a, 0, b - a - 1)
        for n, m, r, (a, b) in zip(voxel, shape, radii, spans, strict=True)
    ]
    weights = np.einsum("x,y,z->xyz", *(window.taps(axis).astype(np.float64) for axis in range(3)))
    x, y, z = np.ix_(*index)
    return Gradients(vectors[:, x, y, z], weights)


def blank_outside(
    read: Callable[[Region], FloatArray], start: Shape, stop: Shape, shape: Shape
) -> FloatArray:
    """Return the voxels from ``start`` to ``stop`` of a volume; NaN outside the volume.

    Parameters
    ----------
    read : callable
        Returns any region within the volume.
    start, stop : tuple of int
        May lie outside the volume.
    shape : tuple of int
        Shape of the volume.
    """
    x, y, z = (b - a for a, b in zip(start, stop, strict=True))
    found = np.full((x, y, z), np.nan, np.float32)
    low = [max(0, n) for n in start]
    high = [min(n, m) for n, m in zip(stop, shape, strict=True)]
    box = Region((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    inner = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, start, strict=True))
    found[inner] = read(box)
    return found


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
