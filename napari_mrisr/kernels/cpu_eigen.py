"""Eigen-analysis of structure tensors in numba, a row of voxels at a time.

Rows are computed in the precision of the arrays that receive them. Features for display and
terciles are in double precision. Hashing only compares features with a few cuts: single
precision is enough, at twice the lanes, unless λ1 is close to λ2 or λ3; those voxels are
computed again in double precision. Documented in :mod:`napari_mrisr.kernels.reference`.
"""

from __future__ import annotations

import numpy as np

from napari_mrisr.kernels.jit import jit


def _fit_cosine_of_third(degree: int = 12) -> tuple[float, ...]:
    """Fit a Chebyshev polynomial to cos(2/3 arccos u) on 0..1, highest power first."""
    fit = np.polynomial.Chebyshev.interpolate(
        lambda u: np.cos(2.0 / 3.0 * np.arccos(np.clip(u, -1.0, 1.0))), degree, domain=[0, 1]
    )
    power = fit.convert(kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1])
    return tuple(float(c) for c in power.coef[::-1])


COSINE_OF_THIRD = _fit_cosine_of_third()


@jit
def _degenerate_direction(xx, xy, xz, yy, yz, zz, first):  # type: ignore[no-untyped-def]
    """Return the first eigenvector if the cross products of rows vanish.

    Without a direction (flat, or equal eigenvalues) it is x by definition.
    With λ1 = λ2 it is any direction across the longest row of T - λ1.
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
def _eigen_row(xx, xy, xz, yy, yz, zz, least_spread, values, direction):  # type: ignore[no-untyped-def]
    """Compute eigenvalues (descending, not negative) and first eigenvectors of a row.

    Trigonometric solution (Smith 1961, doi 10.1145/355578.366316); the vector
    is the longest cross product of two rows of T - λ1. cos(arccos(h) / 3) is a
    polynomial in √((1 + h) / 2), in which it is smooth (within 1e-9). No
    branches, so that the loop is vectorized. ``values`` receives λ1, λ2, λ3 and
    ``direction`` the eigenvectors and the squared length of that product for a
    trace of 1: near zero the vector is undefined. It is 0 if the spread of
    the eigenvalues is below ``least_spread``.
    """
    real = values.dtype.type
    zero, half, one, two = real(0.0), real(0.5), real(1.0), real(2.0)
    third_part, sixth, three, root3 = real(1 / 3), real(1 / 6), real(3.0), real(3.0**0.5)
    c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12 = COSINE_OF_THIRD
    c0, c1, c2, c3, c4, c5 = real(c0), real(c1), real(c2), real(c3), real(c4), real(c5)
    c6, c7, c8, c9, c10, c11 = real(c6), real(c7), real(c8), real(c9), real(c10), real(c11)
    c12, least = real(c12), real(least_spread)
    l1, l2, l3 = values[0], values[1], values[2]
    dx, dy, dz, length = direction[0], direction[1], direction[2], direction[3]
    for k in range(l1.size):
        txx, txy, txz = real(xx[k]), real(xy[k]), real(xz[k])
        tyy, tyz, tzz = real(yy[k]), real(yz[k]), real(zz[k])
        trace = txx + tyy + tzz
        unit = one / (trace if trace > zero else one)
        txx, txy, txz = txx * unit, txy * unit, txz * unit
        tyy, tyz, tzz = tyy * unit, tyz * unit, tzz * unit
        mean = (txx + tyy + tzz) * third_part
        a, b, c = txx - mean, tyy - mean, tzz - mean
        spread = (a * a + b * b + c * c + two * (txy * txy + txz * txz + tyz * tyz)) * sixth
        p = np.sqrt(spread)
        determinant = a * (b * c - tyz * tyz) - txy * (txy * c - tyz * txz)
        determinant += txz * (txy * tyz - b * txz)
        safe = p if p > least else one
        h = half * determinant / (safe * safe * safe)
        h = h if h < one else one
        h = h if h > -one else -one
        u = np.sqrt(half * (one + h))
        cosine = (((((c0 * u + c1) * u + c2) * u + c3) * u + c4) * u + c5) * u + c6
        cosine = (((((cosine * u + c7) * u + c8) * u + c9) * u + c10) * u + c11) * u + c12
        rest = one - cosine * cosine
        sine = np.sqrt(rest if rest > zero else zero)
        first = mean + two * p * cosine
        third = mean - p * (cosine + root3 * sine)
        second = three * mean - first - third
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
        scale = one / np.sqrt(n0 if n0 > zero else one)
        l1[k] = trace * (first if first > zero else zero)
        l2[k] = trace * (second if second > zero else zero)
        l3[k] = trace * (third if third > zero else zero)
        dx[k], dy[k], dz[k] = x0 * scale, y0 * scale, z0 * scale
        length[k] = n0 if p > least else zero


@jit
def _replace_undefined(xx, xy, xz, yy, yz, zz, least_length, values, direction):  # type: ignore[no-untyped-def]
    """Replace undefined vectors by their definition."""
    length, poor = direction[3], 0
    for k in range(length.size):  # hardly any row has one: vectors find that out
        poor += 1 if length[k] < least_length else 0
    if poor == 0:
        return
    single, mended = np.empty((3, 1)), np.empty((4, 1))
    for k in range(values.shape[1]):
        if direction[3, k] >= least_length:
            continue
        _eigen_row(
            xx[k : k + 1],
            xy[k : k + 1],
            xz[k : k + 1],
            yy[k : k + 1],
            yz[k : k + 1],
            zz[k : k + 1],
            1e-7,
            single,
            mended,
        )
        x, y, z = mended[0, 0], mended[1, 0], mended[2, 0]
        if mended[3, 0] < 1e-24:
            x, y, z = _degenerate_direction(
                np.float64(xx[k]),
                np.float64(xy[k]),
                np.float64(xz[k]),
                np.float64(yy[k]),
                np.float64(yz[k]),
                np.float64(zz[k]),
                single[0, 0],
            )
        for f in range(3):
            values[f, k] = single[f, 0]
        direction[0, k], direction[1, k], direction[2, k] = x, y, z


@jit
def trace_of(tensor):  # type: ignore[no-untyped-def]
    """Return the gradient energy: xx + yy + zz of (6, x, y, z) tensors."""
    out = np.empty(tensor.shape[1:], np.float32)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            xx, yy, zz, row = tensor[0, i, j], tensor[3, i, j], tensor[5, i, j], out[i, j]
            for k in range(row.size):
                row[k] = (xx[k] + yy[k]) + zz[k]
    return out


@jit
def _three(field, i, j, start, size):  # type: ignore[no-untyped-def]
    """Return a row of a bordered array: behind, at, and ahead of its voxels.

    Slices, because an index that might be negative prevents vectorization.
    """
    row = field[i, j]
    return (
        row[start : start + size],
        row[start + 1 : start + 1 + size],
        row[start + 2 : start + 2 + size],
    )


@jit
def _shape_row(trace, smooth, i, j, start, swapped, values, direction, shape):  # type: ignore[no-untyped-def]
    """Point a row's directions to growing energy; asymmetry and curvature into ``shape``.

    Voxel k of row (i, j) is at (i + 1, j + 1, start + k + 1) of the bordered arrays.
    """
    real = values.dtype.type
    zero, half, one = real(0.0), real(0.5), real(1.0)
    n = values.shape[1]
    _, behind_x, _ = _three(trace, i, j + 1, start, n)
    _, behind_y, _ = _three(trace, i + 1, j, start, n)
    behind_z, _, ahead_z = _three(trace, i + 1, j + 1, start, n)
    _, ahead_y, _ = _three(trace, i + 1, j + 2, start, n)
    _, ahead_x, _ = _three(trace, i + 2, j + 1, start, n)
    _, s001, _ = _three(smooth, i, j, start, n)
    s010, s011, s012 = _three(smooth, i, j + 1, start, n)
    _, s021, _ = _three(smooth, i, j + 2, start, n)
    s100, s101, s102 = _three(smooth, i + 1, j, start, n)
    s110, s111, s112 = _three(smooth, i + 1, j + 1, start, n)
    s120, s121, s122 = _three(smooth, i + 1, j + 2, start, n)
    _, s201, _ = _three(smooth, i + 2, j, start, n)
    s210, s211, s212 = _three(smooth, i + 2, j + 1, start, n)
    _, s221, _ = _three(smooth, i + 2, j + 2, start, n)
    if swapped:
        # Rows lie along y: the comment on y above holds for z.
        behind_y, behind_z, ahead_y, ahead_z = behind_z, behind_y, ahead_z, ahead_y
        s010, s001, s012, s021 = s001, s010, s021, s012
        s101, s110, s121, s112 = s110, s101, s112, s121
        s102, s120 = s120, s102
        s210, s201, s212, s221 = s201, s210, s221, s212
    l1, l2, l3 = values[0], values[1], values[2]
    dx, dy, dz = direction[0], direction[1], direction[2]
    asymmetry, curvature = shape[0], shape[1]
    for k in range(l1.size):
        x, y, z = dx[k], dy[k], dz[k]
        energy = l1[k] + l2[k] + l3[k]
        safe = energy if energy > zero else one
        slope = x * real(ahead_x[k] - behind_x[k])
        slope += y * real(ahead_y[k] - behind_y[k])
        slope += z * real(ahead_z[k] - behind_z[k])
        sign = -one if slope < zero else one
        x, y, z, slope = sign * x, sign * y, sign * z, half * sign * slope
        dx[k], dy[k], dz[k] = x, y, z
        asymmetry[k] = slope / safe
    # A second loop: LLVM does not vectorize one loop with more arrays.
    for k in range(l1.size):
        x, y, z = dx[k], dy[k], dz[k]
        energy = l1[k] + l2[k] + l3[k]
        safe = energy if energy > zero else one
        gx, gy, gz = s211[k] - s011[k], s121[k] - s101[k], s112[k] - s110[k]
        center = s111[k] + s111[k]
        hxx = real((s211[k] + s011[k]) - center)
        hyy = real((s121[k] + s101[k]) - center)
        hzz = real((s112[k] + s110[k]) - center)
        hxy = real((s221[k] - s201[k]) - (s021[k] - s001[k]))
        hxz = real((s212[k] - s210[k]) - (s012[k] - s010[k]))
        hyz = real((s122[k] - s120[k]) - (s102[k] - s100[k]))
        along = x * x * hxx + y * y * hyy + z * z * hzz
        along += half * (x * y * hxy + x * z * hxz + y * z * hyz)
        across = hxx + hyy + hzz - along
        uphill = x * gx + y * gy + z * gz
        across = -across if uphill < zero else across
        curvature[k] = across / np.sqrt(safe)


@jit
def analyze_row(  # type: ignore[no-untyped-def]
    tensor, trace, smooth, i, j, start, swapped, values, direction, shape
):
    """Compute features of voxels of row (i, j), in the precision of the last three arrays.

    Parameters
    ----------
    tensor, smooth : ndarray of float32
        As :func:`napari_mrisr.kernels.reference.voxel_features`.
    trace : ndarray of float32
        Trace of the tensor, from :func:`trace_of`.
    i, j, start : int
        First voxel, not counting the border.
    swapped : bool
        The arrays lie as (x, z, y): j counts along z, and the row lies along y.
    values : (3, n) ndarray of float32 or float64
        Receives λ1, λ2, λ3 of n voxels.
    direction : (4, n) ndarray
        Receives the directions; the last row is scratch.
    shape : (2, n) ndarray
        Receives asymmetry and curvature.
    """
    first, end = start + 1, start + 1 + values.shape[1]
    xx, xy, xz = (
        tensor[0, i + 1, j + 1, first:end],
        tensor[1, i + 1, j + 1, first:end],
        tensor[2, i + 1, j + 1, first:end],
    )
    yy, yz, zz = (
        tensor[3, i + 1, j + 1, first:end],
        tensor[4, i + 1, j + 1, first:end],
        tensor[5, i + 1, j + 1, first:end],
    )
    single = values.itemsize == 4
    _eigen_row(xx, xy, xz, yy, yz, zz, 1e-3 if single else 1e-7, values, direction)
    _replace_undefined(xx, xy, xz, yy, yz, zz, 1e-9 if single else 1e-24, values, direction)
    _shape_row(trace, smooth, i, j, start, swapped, values, direction, shape)
