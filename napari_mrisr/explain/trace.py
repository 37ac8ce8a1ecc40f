"""What the engine does at one voxel, number by number.

Every value is the engine's own (:class:`~napari_mrisr.methods.hashed.Hashed`,
:class:`~napari_mrisr.bank.hashing.HashSpec`) or one term of a sum that it forms;
the tests hold the sums against it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mrisr.bank.hashing import ELEMENTS, phase_table
from napari_mrisr.bank.model import FilterBank, Stage, load_bank
from napari_mrisr.core.scale import MAX_SCALE, Scale
from napari_mrisr.core.volume import FloatArray, Grid, Region, Shape, Volume
from napari_mrisr.errors import GeometryError, ParameterError, explain
from napari_mrisr.explain.model import Explanation, Matrix, StageTrace
from napari_mrisr.explain.neighborhood import blank_outside, gradients_at, turned_filter, window_of
from napari_mrisr.kernels import cpu_hash
from napari_mrisr.methods import Method, get_method
from napari_mrisr.methods.hashed import Hashed, padded
from napari_mrisr.operators import interpolate
from napari_mrisr.operators.gradients import tensor_box

AROUND = 8
"""Output voxels shown at each side of the one that is explained."""

LR_AROUND = 2
"""Low-resolution voxels shown at each side of the one it lies in."""


def explain_voxel(
    lr: Volume, bank: FilterBank | str, voxel: Shape, truth: Volume | None = None
) -> Explanation:
    """Explain one voxel of what ``hashed`` makes of a volume.

    Parameters
    ----------
    lr : Volume
        Low resolution; in the scan's intensities, or normalized already (which
        saves time where many voxels are asked for).
    bank : FilterBank or str
        Bank, or its name or path.
    voxel : tuple of int
        Index in the output grid, x, y, z.
    truth : Volume, optional
        On the output grid, in the scan's intensities.

    Returns
    -------
    Explanation

    Raises
    ------
    ParameterError
        When the voxel lies outside the output.
    GeometryError
        When the truth is not on the output grid.
    BankError
        When there is no such bank.
    """
    if not isinstance(bank, FilterBank):
        bank = load_bank(bank)
    grid = lr.grid.upsampled(bank.scale)
    one = _one_voxel(voxel, grid.shape)
    if truth is not None:
        check_truth(truth.grid, lr.grid, bank.scale)
    lr = lr.normalized()
    method = Hashed(bank)
    images = list(method.images(lr, one, len(bank.stages)))
    around = _around(lr, method, one.start, truth)
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
            lambda box: lr.data[box.slices], *_ends(cell, LR_AROUND), lr.grid.shape
        ),
        start_patch=_start_patch(method, lr, cell),
        start_value=_value(*images[0], one),
        stages=tuple(
            _trace(stage, bank.scale, lr, images[number : number + 2], one)
            for number, stage in enumerate(bank.stages)
        ),
        output=float(method.compute(lr, one)[0, 0, 0]),
        tricubic=float(around["tricubic"][middle]),
        truth=float(around["truth"][middle]) if truth is not None else None,
        around=around,
    )


def check_truth(truth: Grid, lr: Grid, scale: Scale) -> None:
    """Raise :class:`GeometryError` where a truth does not lie on the output grid."""
    grid = lr.upsampled(scale)
    if truth.shape != grid.shape or not np.allclose(truth.affine, grid.affine, atol=1e-2):
        found = f"{truth.shape} voxels are not the output's {grid.shape} at the same place"
        mend = "choose the volume that the low-resolution one was made of, or none"
        raise GeometryError(explain("truth", found, mend))


def truth_scale(truth: Grid, lr: Grid) -> Scale:
    """The scale at which a truth lies on the output grid.

    Raises
    ------
    GeometryError
        When there is none.
    """
    x, y, z = (max(1, n // m) for n, m in zip(truth.shape, lr.shape, strict=True))
    if max(x, y, z) > MAX_SCALE or (x, y, z) == (1, 1, 1):
        found = f"{truth.shape} voxels are no multiple of the low resolution's {lr.shape}"
        raise GeometryError(explain("truth", found, "choose another, or none"))
    check_truth(truth, lr, (x, y, z))
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


def _ends(voxel: Shape, reach: int) -> tuple[Shape, Shape]:
    """Start and stop of the box with so many voxels at each side."""
    x, y, z = voxel
    return (x - reach, y - reach, z - reach), (x + reach + 1, y + reach + 1, z + reach + 1)


def _value(box: Region, image: FloatArray, one: Region) -> float:
    x, y, z = (n - c for n, c in zip(one.start, box.start, strict=True))
    return float(image[x, y, z])


def _around(
    lr: Volume, method: Hashed, voxel: Shape, truth: Volume | None
) -> dict[str, FloatArray]:
    shape = lr.grid.upsampled(method.scale).shape

    def computed(by: Method) -> FloatArray:
        return blank_outside(lambda box: by.compute(lr, box), *_ends(voxel, AROUND), shape)

    found = {"tricubic": computed(get_method("tricubic", method.scale)), "output": computed(method)}
    if truth is not None:
        data = truth.restored().data
        found["truth"] = blank_outside(
            lambda box: lr.window.to_unit(data[box.slices]), *_ends(voxel, AROUND), shape
        )
    return found


def _start_patch(method: Hashed, lr: Volume, cell: Shape) -> FloatArray:
    """The interpolation over the field of view of the low-resolution patch."""
    scale, shape = method.scale, interpolate.upsampled_shape(lr.data, method.scale)
    (a, b, c), (d, e, f) = _ends(cell, LR_AROUND)
    x, y, z = scale

    def start(box: Region) -> FloatArray:
        return next(iter(method.images(lr, box, 0)))[1]

    return blank_outside(start, (a * x, b * y, c * z), (d * x, e * y, f * z), shape)


@dataclass(frozen=True, eq=False)
class _Place:
    """Where a stage looks: a voxel of its grid, in a box of its source."""

    source: FloatArray
    corner: Shape
    shape: Shape
    voxel: Shape

    @property
    def region(self) -> Region:
        return Region(*_ends(self.voxel, 0))


def _place(
    stage: Stage, scale: Scale, lr: Volume, before: tuple[Region, FloatArray], one: Region
) -> _Place:
    if stage.spec.grid == "cell":
        return _Place(lr.data, (0, 0, 0), lr.grid.shape, _divided(one.start, scale))
    box, image = before
    return _Place(image, box.start, lr.grid.upsampled(scale).shape, one.start)


def _trace(
    stage: Stage, scale: Scale, lr: Volume, images: list[tuple[Region, FloatArray]], one: Region
) -> StageTrace:
    """What a stage does at the voxel ``one``, from the images before and after it."""
    spec, code = stage.spec, stage.spec.hash
    place = _place(stage, scale, lr, images[0], one)
    where = (place.source, place.corner, place.shape)
    tensor, smooth = tensor_box(*where, place.region, code.window)
    bucket, element = (int(part[0, 0, 0]) for part in code.hash_box(*where, place.region))
    found = cpu_hash.voxel_features(tensor, smooth)[0, 0, 0].astype(np.float64)
    matrix = _matrix(tensor[:, 1, 1, 1].astype(np.float64))
    patch = padded(*where, place.region, spec.width)
    weights = turned_filter(_weights(stage, scale, one, bucket, element), spec.width, element)
    r = spec.width // 2
    seen = patch.astype(np.float64) - (patch[r, r, r] if spec.residual else 0.0)
    return StageTrace(
        spec=spec,
        voxel=place.voxel,
        window=window_of(*where, place.voxel, code.window),
        gradients=gradients_at(*where, place.voxel, code.window),
        tensor=matrix,
        values=found[:3],
        vectors=_vectors(matrix, found[3:6]),
        features=_features(found, code.symmetry, element),
        element=element,
        bucket=bucket,
        ranges=code.decode(bucket),
        flat=bucket == code.filter_count,
        patch=patch,
        filter=weights,
        products=seen * weights,
        before=_value(*images[0], one),
        after=_value(*images[1], one),
        support=int(stage.support[bucket]),
        start_error=float(stage.start_error[bucket]),
        error=float(stage.error[bucket]),
    )


def _weights(stage: Stage, scale: Scale, one: Region, bucket: int, element: int) -> FloatArray:
    """The filter of a bucket for our voxel, by canonical tap; zeros where there is none."""
    if bucket == stage.spec.hash.filter_count:
        return np.zeros(stage.spec.taps, np.float32)
    if stage.spec.grid == "voxel":
        return stage.weights[bucket, :, 0]
    # A cell's filters give all of its output voxels.
    phase = [n % s for n, s in zip(one.start, scale, strict=True)]
    output = phase_table(scale)[element, np.ravel_multi_index(phase, scale)]
    return np.asarray(stage.weights[bucket, :, output])


def _matrix(components: Matrix) -> Matrix:
    xx, xy, xz, yy, yz, zz = components
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _vectors(tensor: Matrix, first: Matrix) -> Matrix:
    """Eigenvectors, one a column; the first is the engine's, the others complete it."""
    # Across the first, so that they stay perpendicular where eigenvalues are equal.
    across = np.linalg.svd(first[None])[2][1:].T
    _, inner = np.linalg.eigh(across.T @ tensor @ across)
    return np.column_stack([first, across @ inner[:, ::-1]])


def _features(found: Matrix, symmetry: str, element: int) -> dict[str, float]:
    """The six features from eigenvalues, direction, asymmetry and curvature (0-7)."""
    a, b, c = np.sqrt(found[:3])
    total = a + b + c
    permutation, signs = ELEMENTS[element]
    x, y, z = found[3:6]
    if symmetry == "none":
        # A line has no sign: look at it from the side of positive y, then x, then z.
        x, y, z = (x, y, z) if (y, x, z) >= (0.0, 0.0, 0.0) else (-x, -y, -z)
        upright, azimuth = z, np.degrees(np.arctan2(y, x))
    else:
        x, y, z = found[3:6][list(permutation)] * signs
        # Canonical axes: for the cube the first is the nearest one, for flips z.
        upright, azimuth = (
            (x, np.degrees(np.arctan2(z, y)))
            if symmetry == "cube"
            else (z, np.degrees(np.arctan2(y, x)))
        )
    return {
        "elevation": float(np.degrees(np.arccos(np.clip(upright, -1.0, 1.0)))),
        "azimuth": float(azimuth),
        "strength": float(a),
        "coherence": float((a - b - c) / total) if total > 0.0 else 0.0,
        "asymmetry": float(found[6]),
        "curvature": float(found[7]),
    }
