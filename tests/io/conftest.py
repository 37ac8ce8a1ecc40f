"""Scan files, and an independent reader of their geometry."""

from __future__ import annotations

import gzip
import itertools
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

SHAPE = (5, 6, 7)
ZOOMS = (1.5, 0.8, 2.25)
PATIENT = "DOE^JANE"


def _signed_permutations() -> list[tuple[tuple[int, int, int], tuple[int, int, int]]]:
    flips = list(itertools.product((1, -1), repeat=3))
    return [(order, flip) for order in itertools.permutations(range(3)) for flip in flips]


@pytest.fixture(params=_signed_permutations(), ids=str)
def axis_aligned(request: pytest.FixtureRequest) -> np.ndarray:
    """One of the 48 affines whose axes lie along the world's, (4, 4), mm."""
    order, flip = request.param
    affine = np.zeros((4, 4))
    for column, (row, sign) in enumerate(zip(order, flip, strict=True)):
        affine[row, column] = sign * ZOOMS[column]
    affine[:, 3] = [-31.0, 17.5, 8.25, 1.0]
    return affine


@pytest.fixture
def oblique() -> np.ndarray:
    """Affine rotated about all three axes, anisotropic, one axis reversed; (4, 4), mm."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(0.3, -0.2, 0.4) @ np.diag([-1.5, 0.8, 2.25])
    affine[:3, 3] = [40.0, -25.0, 12.5]
    return affine


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Turn by three angles (radian), about x, then y, then z."""
    cx, sx, cy, sy, cz, sz = np.cos(x), np.sin(x), np.cos(y), np.sin(y), np.cos(z), np.sin(z)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


@pytest.fixture
def turn() -> Callable[[float, float, float], np.ndarray]:
    """:func:`rotation`, for test modules."""
    return rotation


@pytest.fixture
def voxels() -> np.ndarray:
    """int16 noise, a different size on every axis."""
    return np.random.default_rng(5).integers(0, 4000, SHAPE).astype(np.int16)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Write a NIfTI file with nibabel; free text fields name a patient."""

    def write(
        data: np.ndarray,
        affine: np.ndarray | None = None,
        name: str = "scan.nii",
        *,
        image_class: type = nib.Nifti1Image,
        codes: tuple[int, int] = (1, 1),
        big_endian: bool = False,
        slope: tuple[float, float] | None = None,
        units: str = "mm",
    ) -> Path:
        header = image_class.header_class(endianness=">" if big_endian else "<")
        header.set_data_dtype(data.dtype)
        image = image_class(data, np.diag([*ZOOMS, 1.0]) if affine is None else affine, header)
        image.header.set_qform(image.affine, codes[0])
        image.header.set_sform(image.affine, codes[1])
        image.header.set_xyzt_units(units, "sec")
        image.header["descrip"] = image.header["aux_file"] = PATIENT.encode()
        image.header["intent_name"] = PATIENT.encode()
        if "db_name" in image.header:
            image.header["db_name"] = PATIENT.encode()
        extension = nib.nifti1.Nifti1Extension("comment", PATIENT.encode())
        image.header.extensions.append(extension)
        path = tmp_path / name
        # Without the affine, or nibabel would write it to the sform of code 0.
        image = image_class(data, None, image.header)
        if slope is not None:
            image.header.set_slope_inter(*slope)
        nib.save(image, path)
        if big_endian:
            assert nib.load(path).header.endianness == ">"
        return path

    return write


@pytest.fixture
def patch(save: Callable[..., Path]) -> Callable[[Path, str, int, float], Path]:
    """Overwrite one number in an uncompressed file: (path, struct format, offset, value)."""

    def overwrite(path: Path, kind: str, offset: int, value: float) -> Path:
        content = bytearray(path.read_bytes())
        struct.pack_into("<" + kind, content, offset, value)
        path.write_bytes(content)
        return path

    return overwrite


@pytest.fixture
def field_of_view() -> Callable[[Path], np.ndarray]:
    """Compute the world corners of a NIfTI file from its bytes, by the formulas of nifti1.h."""

    def corners(path: Path) -> np.ndarray:
        shape, affine = nifti_geometry(path)
        ends = [(-0.5, n - 0.5) for n in shape]
        return np.array(
            [
                [sum(affine[r][c] * p[c] for c in range(3)) + affine[r][3] for r in range(3)]
                for p in itertools.product(*ends)
            ]
        )

    return corners


def nifti_geometry(path: Path) -> tuple[tuple[int, ...], list[list[float]]]:
    """Read shape and affine (rows) of a NIfTI file without nibabel."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    two = 540 in struct.unpack_from("<i", raw) + struct.unpack_from(">i", raw)
    order = "<" if struct.unpack_from("<i", raw)[0] in (348, 540) else ">"

    def get(kind: str, at_1: int, at_2: int) -> tuple[float, ...]:
        return struct.unpack_from(order + kind, raw, at_2 if two else at_1)

    real, code = ("d", "i") if two else ("f", "h")
    shape = get("3q" if two else "3h", 42, 24)
    pixdim = get("4" + real, 76, 104)
    if get(code, 254, 348)[0] > 0:
        rows = get("12" + real, 280, 400)
        return tuple(map(int, shape)), [list(rows[i : i + 4]) for i in (0, 4, 8)]
    b, c, d, *offset = get("6" + real, 256, 352)
    a = max(0.0, 1.0 - b * b - c * c - d * d) ** 0.5
    turn = [
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
    ]
    steps = (pixdim[1], pixdim[2], pixdim[3] * (-1.0 if pixdim[0] < 0 else 1.0))
    rows = [[turn[i][j] * steps[j] for j in range(3)] + [offset[i]] for i in range(3)]
    return tuple(map(int, shape)), rows
