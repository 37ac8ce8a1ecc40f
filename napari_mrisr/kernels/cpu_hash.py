"""Hashing in numba: eigen-analysis, features, buckets.

Meaning and shapes: :mod:`napari_mrisr.kernels.reference`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.kernels.code import HashCode
from napari_mrisr.kernels.cpu import FloatArray
from napari_mrisr.kernels.jit import jit


def _fit_cosine_of_third(degree: int = 12) -> tuple[float, ...]:
    """Chebyshev fit of cos(2/3 arccos u) on 0..1, highest power first."""
    fit = np.polynomial.Chebyshev.interpolate(
        lambda u: np.cos(2.0 / 3.0 * np.arccos(np.clip(u, -1.0, 1.0))), degree, domain=[0, 1]
    )
    power = fit.convert(kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1])
    return tuple(float(c) for c in power.coef[::-1])


COSINE_OF_THIRD = _fit_cosine_of_third()


@jit
def _degenerate_direction(xx, xy, xz, yy, yz, zz, first):  # type: ignore[no-untyped-def]
    """The first eigenvector where the cross products of rows vanish.

    Without a direction (flat, or equal eigenvalues) it is x by definition.
    With λ1 = λ2 any direction across the longest row of T - λ1 will do.
    """
    trace = xx + yy + zz
    a, b, c = xx - first, yy - first, zz - first
    if a * a >= b * b and a * a >= c * c:
        x, y, z = a, xy, xz
    elif b * b >= c * c:
        x, y, z = xy, b, yz
    else:
        x, y, z = xz, yz, c
    if not x * x + y * y + z * z > 1e-14 * trace * trace:
        return 1.0, 0.0, 0.0
    if abs(x) <= abs(y) and abs(x) <= abs(z):
        x, y, z = 0.0, z, -y
    elif abs(y) <= abs(z):
        x, y, z = -z, 0.0, x
    else:
        x, y, z = y, -x, 0.0
    scale = 1.0 / np.sqrt(x * x + y * y + z * z)
    return x * scale, y * scale, z * scale


@jit
def _eigen_row(xx, xy, xz, yy, yz, zz, values, direction):  # type: ignore[no-untyped-def]
    """Eigenvalues (descending, not negative) and first eigenvectors of a row of tensors.

    Trigonometric solution (Smith 1961, doi 10.1145/355578.366316), in double
    precision; the vector is the longest cross product of two rows of T - λ1.
    cos(arccos(h) / 3) is a polynomial in √((1 + h) / 2), in which it is smooth
    (within 1e-9). No branches, so that the loop is vectorized; what they would
    have handled is mended after it. ``values`` receives λ1, λ2, λ3 and
    ``direction`` the eigenvectors and a length, component first.
    """
    c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12 = COSINE_OF_THIRD
    l1, l2, l3 = values[0], values[1], values[2]
    dx, dy, dz, length = direction[0], direction[1], direction[2], direction[3]
    for k in range(l1.size):
        txx, txy, txz = np.float64(xx[k]), np.float64(xy[k]), np.float64(xz[k])
        tyy, tyz, tzz = np.float64(yy[k]), np.float64(yz[k]), np.float64(zz[k])
        trace = txx + tyy + tzz
        unit = 1.0 / (trace if trace > 0.0 else 1.0)
        txx, txy, txz, tyy, tyz, tzz = (
            txx * unit,
            txy * unit,
            txz * unit,
            tyy * unit,
            tyz * unit,
            tzz * unit,
        )
        mean = (txx + tyy + tzz) * (1.0 / 3.0)
        a, b, c = txx - mean, tyy - mean, tzz - mean
        spread = (a * a + b * b + c * c + 2.0 * (txy * txy + txz * txz + tyz * tyz)) * (1.0 / 6.0)
        p = np.sqrt(spread)
        determinant = a * (b * c - tyz * tyz) - txy * (txy * c - tyz * txz)
        determinant += txz * (txy * tyz - b * txz)
        safe = p if p > 1e-7 else 1.0
        half = 0.5 * determinant / (safe * safe * safe)
        half = half if half < 1.0 else 1.0
        half = half if half > -1.0 else -1.0
        u = np.sqrt(0.5 * (1.0 + half))
        cosine = (((((c0 * u + c1) * u + c2) * u + c3) * u + c4) * u + c5) * u + c6
        cosine = (((((cosine * u + c7) * u + c8) * u + c9) * u + c10) * u + c11) * u + c12
        rest = 1.0 - cosine * cosine
        sine = np.sqrt(rest if rest > 0.0 else 0.0)
        first = mean + 2.0 * p * cosine
        third = mean - p * (cosine + 1.7320508075688772 * sine)
        second = 3.0 * mean - first - third
        a, b, c = txx - first, tyy - first, tzz - first
        x0, y0, z0 = txy * tyz - txz * b, txz * txy - a * tyz, a * b - txy * txy
        x1, y1, z1 = txy * c - txz * tyz, txz * txz - a * c, a * tyz - txy * txz
        x2, y2, z2 = b * c - tyz * tyz, tyz * txz - txy * c, txy * tyz - b * txz
        n0 = x0 * x0 + y0 * y0 + z0 * z0
        n1 = x1 * x1 + y1 * y1 + z1 * z1
        n2 = x2 * x2 + y2 * y2 + z2 * z2
        better = n1 > n0
        x0, y0, z0, n0 = (
            x1 if better else x0,
            y1 if better else y0,
            z1 if better else z0,
            n1 if better else n0,
        )
        better = n2 > n0
        x0, y0, z0, n0 = (
            x2 if better else x0,
            y2 if better else y0,
            z2 if better else z0,
            n2 if better else n0,
        )
        scale = 1.0 / np.sqrt(n0 if n0 > 0.0 else 1.0)
        l1[k] = trace * (first if first > 0.0 else 0.0)
        l2[k] = trace * (second if second > 0.0 else 0.0)
        l3[k] = trace * (third if third > 0.0 else 0.0)
        dx[k], dy[k], dz[k] = x0 * scale, y0 * scale, z0 * scale
        length[k] = n0 if p > 1e-7 else 0.0
    for k in range(l1.size):
        if length[k] < 1e-24:
            dx[k], dy[k], dz[k] = _degenerate_direction(
                np.float64(xx[k]),
                np.float64(xy[k]),
                np.float64(xz[k]),
                np.float64(yy[k]),
                np.float64(yz[k]),
                np.float64(zz[k]),
                l1[k],
            )


@jit
def _energy_row(tensor, i, j):  # type: ignore[no-untyped-def]
    return tensor[0, i, j], tensor[3, i, j], tensor[5, i, j]


@jit
def _shape_row(tensor, smooth, i, j, values, direction, shape):  # type: ignore[no-untyped-def]
    """Point a row's directions to growing energy; asymmetry and curvature into ``shape``.

    Voxel k of row (i, j) stands at (i + 1, j + 1, k + 1) of the bordered arrays.
    """
    ax, ay, az = _energy_row(tensor, i + 2, j + 1)
    bx, by, bz = _energy_row(tensor, i, j + 1)
    cx, cy, cz = _energy_row(tensor, i + 1, j + 2)
    ex, ey, ez = _energy_row(tensor, i + 1, j)
    fx, fy, fz = _energy_row(tensor, i + 1, j + 1)
    s00, s01, s02 = smooth[i, j], smooth[i, j + 1], smooth[i, j + 2]
    s10, s11, s12 = smooth[i + 1, j], smooth[i + 1, j + 1], smooth[i + 1, j + 2]
    s20, s21, s22 = smooth[i + 2, j], smooth[i + 2, j + 1], smooth[i + 2, j + 2]
    l1, l2, l3 = values[0], values[1], values[2]
    dx, dy, dz = direction[0], direction[1], direction[2]
    asymmetry, curvature = shape[0], shape[1]
    for k in range(l1.size):
        x, y, z = dx[k], dy[k], dz[k]
        energy = l1[k] + l2[k] + l3[k]
        safe = energy if energy > 0.0 else 1.0
        ahead = (ax[k + 1] + ay[k + 1]) + az[k + 1]
        slope = x * np.float64(ahead - ((bx[k + 1] + by[k + 1]) + bz[k + 1]))
        ahead = (cx[k + 1] + cy[k + 1]) + cz[k + 1]
        slope += y * np.float64(ahead - ((ex[k + 1] + ey[k + 1]) + ez[k + 1]))
        ahead = (fx[k + 2] + fy[k + 2]) + fz[k + 2]
        slope += z * np.float64(ahead - ((fx[k] + fy[k]) + fz[k]))
        sign = -1.0 if slope < 0.0 else 1.0
        x, y, z, slope = sign * x, sign * y, sign * z, 0.5 * sign * slope
        dx[k], dy[k], dz[k] = x, y, z
        gx, gy, gz = s21[k + 1] - s01[k + 1], s12[k + 1] - s10[k + 1], s11[k + 2] - s11[k]
        center = s11[k + 1] + s11[k + 1]
        hxx = np.float64((s21[k + 1] + s01[k + 1]) - center)
        hyy = np.float64((s12[k + 1] + s10[k + 1]) - center)
        hzz = np.float64((s11[k + 2] + s11[k]) - center)
        hxy = np.float64((s22[k + 1] - s20[k + 1]) - (s02[k + 1] - s00[k + 1]))
        hxz = np.float64((s21[k + 2] - s21[k]) - (s01[k + 2] - s01[k]))
        hyz = np.float64((s12[k + 2] - s12[k]) - (s10[k + 2] - s10[k]))
        along = x * x * hxx + y * y * hyy + z * z * hzz
        along += 0.5 * (x * y * hxy + x * z * hxz + y * z * hyz)
        across = hxx + hyy + hzz - along
        uphill = x * gx + y * gy + z * gz
        across = -across if uphill < 0.0 else across
        asymmetry[k] = slope / safe
        curvature[k] = across / np.sqrt(safe)


@jit
def _analyze_row(tensor, smooth, i, j, values, direction, shape):  # type: ignore[no-untyped-def]
    """Eigenvalues, directions, asymmetry and curvature of row (i, j)."""
    end = values.shape[1] + 1
    _eigen_row(
        tensor[0, i + 1, j + 1, 1:end],
        tensor[1, i + 1, j + 1, 1:end],
        tensor[2, i + 1, j + 1, 1:end],
        tensor[3, i + 1, j + 1, 1:end],
        tensor[4, i + 1, j + 1, 1:end],
        tensor[5, i + 1, j + 1, 1:end],
        values,
        direction,
    )
    _shape_row(tensor, smooth, i, j, values, direction, shape)


@jit
def _features(tensor, smooth, out):  # type: ignore[no-untyped-def]
    nz = out.shape[2]
    values, direction, shape = np.empty((3, nz)), np.empty((4, nz)), np.empty((2, nz))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            _analyze_row(tensor, smooth, i, j, values, direction, shape)
            for k in range(nz):
                for f in range(3):
                    out[i, j, k, f] = values[f, k]
                    out[i, j, k, f + 3] = direction[f, k]
                out[i, j, k, 6] = shape[0, k]
                out[i, j, k, 7] = shape[1, k]


def voxel_features(tensor: FloatArray, smooth: FloatArray) -> FloatArray:
    """See :func:`napari_mrisr.kernels.reference.voxel_features`."""
    nx, ny, nz = smooth.shape
    out = np.empty((nx - 2, ny - 2, nz - 2, 8), np.float32)
    _features(tensor, smooth, out)
    return out


@jit
def _digit(value, cuts, count):  # type: ignore[no-untyped-def]
    digit = 0
    for c in range(count):
        if value >= cuts[c]:
            digit += 1
    return digit


@jit
def _canonical(x, y, z):  # type: ignore[no-untyped-def]
    """Sorted magnitudes of a direction and the cube symmetry that sorts it."""
    ax, ay, az = abs(x), abs(y), abs(z)
    # The order of itertools.permutations; ties go to the earlier axis.
    if ax >= ay and ax >= az:
        if ay >= az:
            p, a1, a2, a3, s1, s2, s3 = 0, ax, ay, az, x, y, z
        else:
            p, a1, a2, a3, s1, s2, s3 = 1, ax, az, ay, x, z, y
    elif ay >= az:
        if ax >= az:
            p, a1, a2, a3, s1, s2, s3 = 2, ay, ax, az, y, x, z
        else:
            p, a1, a2, a3, s1, s2, s3 = 3, ay, az, ax, y, z, x
    elif ax >= ay:
        p, a1, a2, a3, s1, s2, s3 = 4, az, ax, ay, z, x, y
    else:
        p, a1, a2, a3, s1, s2, s3 = 5, az, ay, ax, z, y, x
    return a1, a2, a3, 8 * p + 4 * int(s1 < 0.0) + 2 * int(s2 < 0.0) + int(s3 < 0.0)


@jit
def _hash(  # type: ignore[no-untyped-def]
    tensor, smooth, origin, scale, cuts, counts, symmetric, flat, phase, bucket, element
):
    n_phases = phase.shape[1]
    n_buckets = n_phases
    for f in range(6):
        n_buckets *= counts[f] + 1
    nz = bucket.shape[2]
    values, direction, shape = np.empty((3, nz)), np.empty((4, nz)), np.empty((2, nz))
    for i in range(bucket.shape[0]):
        for j in range(bucket.shape[1]):
            _analyze_row(tensor, smooth, i, j, values, direction, shape)
            for k in range(nz):
                energy = tensor[0, i + 1, j + 1, k + 1] + tensor[3, i + 1, j + 1, k + 1]
                energy += tensor[5, i + 1, j + 1, k + 1]
                if energy < flat:
                    bucket[i, j, k] = n_buckets
                    element[i, j, k] = 0
                    continue
                x, y, z = direction[0, k], direction[1, k], direction[2, k]
                e = 0
                if symmetric == 2:
                    a1, a2, a3, e = _canonical(x, y, z)
                    elevation = -a1
                    azimuth = a3 / a2 if a2 > 0.0 else 0.0
                elif symmetric == 1:
                    e = 4 * int(x < 0.0) + 2 * int(y < 0.0) + int(z < 0.0)
                    elevation = -abs(z)
                    azimuth = abs(y) / abs(x) if x != 0.0 else (1e30 if y != 0.0 else 0.0)
                else:
                    elevation, azimuth = _half_sphere(x, y, z)
                s1 = np.sqrt(values[0, k])
                s2, s3 = np.sqrt(values[1, k]), np.sqrt(values[2, k])
                total = s1 + s2 + s3
                coherence = (s1 - s2 - s3) / total if total > 0.0 else 0.0
                b = _digit(elevation, cuts[0], counts[0])
                b = b * (counts[1] + 1) + _digit(azimuth, cuts[1], counts[1])
                b = b * (counts[2] + 1) + _digit(s1, cuts[2], counts[2])
                b = b * (counts[3] + 1) + _digit(coherence, cuts[3], counts[3])
                b = b * (counts[4] + 1) + _digit(shape[0, k], cuts[4], counts[4])
                b = b * (counts[5] + 1) + _digit(shape[1, k], cuts[5], counts[5])
                if n_phases > 1:
                    q = (origin[0] + i) % scale[0]
                    q = q * scale[1] + (origin[1] + j) % scale[1]
                    q = q * scale[2] + (origin[2] + k) % scale[2]
                    b = b * n_phases + phase[e, q]
                bucket[i, j, k] = b
                element[i, j, k] = e


@jit
def _half_sphere(x, y, z):  # type: ignore[no-untyped-def]
    """Negated cosine of the elevation, and the azimuth in radians, of a line."""
    if y < 0.0 or (y == 0.0 and (x < 0.0 or (x == 0.0 and z < 0.0))):
        x, y, z = -x, -y, -z
    azimuth = np.arctan2(y, x) if x * x + y * y > 1e-12 else 0.0
    return -z, azimuth


def hash_voxels(
    tensor: FloatArray,
    smooth: FloatArray,
    origin: tuple[int, int, int],
    code: HashCode,
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """See :func:`napari_mrisr.kernels.reference.hash_voxels`."""
    nx, ny, nz = smooth.shape
    bucket = np.empty((nx - 2, ny - 2, nz - 2), np.int32)
    element = np.empty(bucket.shape, np.uint8)
    _hash(
        tensor,
        smooth,
        np.array(origin, np.int64),
        np.array(code.scale, np.int64),
        code.cuts,
        code.counts,
        code.symmetry,
        np.float32(code.flat),
        code.phase,
        bucket,
        element,
    )
    return bucket, element
