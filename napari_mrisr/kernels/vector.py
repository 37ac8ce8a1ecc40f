"""Numba intrinsics that compute eight sums at once.

numba vectorizes loops over arrays, but keeps running sums in memory. These intrinsics emit
the critical loops with the sums in registers, as LLVM vectors of eight floats, which LLVM
maps to the machine's vectors.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from napari_mrisr.kernels.hash_tables import LANES

_CHAINS = 4
_BLOCK = 8  # vectors of a row that are summed at once

_INDEX = ir.IntType(64)
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)


def _multiply_add(builder, kind, suffix):  # type: ignore[no-untyped-def]
    """Emit a product plus a number, in one rounding if the machine can."""
    signature = ir.FunctionType(kind, [kind] * 3)
    return cgutils.get_or_insert_function(builder.module, signature, f"llvm.fmuladd.{suffix}")


def _vector_at(builder, pointer, place):  # type: ignore[no-untyped-def]
    return builder.bitcast(builder.gep(pointer, [place]), _VECTOR.as_pointer())


def _load(builder, pointer, place):  # type: ignore[no-untyped-def]
    loaded = builder.load(_vector_at(builder, pointer, place))
    loaded.align = 4
    return loaded


def _store(builder, value, pointer, place):  # type: ignore[no-untyped-def]
    builder.store(value, _vector_at(builder, pointer, place)).align = 4


def _spread(builder, value):  # type: ignore[no-untyped-def]
    """Emit a vector of one number."""
    single = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, _INDEX(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(single, single, mask)


def _zeros():  # type: ignore[no-untyped-def]
    return ir.Constant(_VECTOR, [0.0] * LANES)


@intrinsic
def weigh_rows(typing_context, source, start, step, taps, row, count, target, place):  # type: ignore[no-untyped-def]
    """Compute ``target[place + k] = Σ_t taps[row, t] * source[start + t * step + k]``, k < count.

    ``source`` and ``target`` are one-dimensional, ``taps`` is two-dimensional; C
    contiguous arrays of float32. Every sum runs over t in order, in vectors and in the
    remainder. ``row`` is a number, because a slice would cost as much as a short line.
    """
    index = types.intp
    signature = types.void(source, index, index, taps, index, index, target, index)

    def build(context, builder, sig, arguments):  # type: ignore[no-untyped-def]
        source_array, begin, stride, tap_array, number, length, target_array, spot = arguments
        source_view = context.make_array(sig.args[0])(context, builder, source_array)
        tap_view = context.make_array(sig.args[3])(context, builder, tap_array)
        target_view = context.make_array(sig.args[6])(context, builder, target_array)
        _, width = cgutils.unpack_tuple(builder, tap_view.shape, 2)
        weights = builder.gep(tap_view.data, [builder.mul(number, width)])
        first = builder.gep(source_view.data, [begin])
        out = builder.gep(target_view.data, [spot])
        fused = _multiply_add(builder, _VECTOR, f"v{LANES}f32")
        fused_single = _multiply_add(builder, _FLOAT, "f32")

        def block(k, vectors):  # type: ignore[no-untyped-def]
            totals = [cgutils.alloca_once(builder, _VECTOR) for _ in range(vectors)]
            for total in totals:
                builder.store(_zeros(), total)
            with cgutils.for_range(builder, width) as loop:
                weight = _spread(builder, builder.load(builder.gep(weights, [loop.index])))
                row = builder.add(builder.mul(loop.index, stride), k)
                for number, total in enumerate(totals):
                    values = _load(builder, first, builder.add(row, _INDEX(number * LANES)))
                    builder.store(builder.call(fused, [weight, values, builder.load(total)]), total)
            for number, total in enumerate(totals):
                where = builder.add(k, _INDEX(number * LANES))
                _store(builder, builder.load(total), out, where)

        def singles():  # type: ignore[no-untyped-def]
            with cgutils.for_range(builder, length) as outer:
                k = outer.index
                total = cgutils.alloca_once(builder, _FLOAT)
                builder.store(ir.Constant(_FLOAT, 0.0), total)
                with cgutils.for_range(builder, width) as loop:
                    weight = builder.load(builder.gep(weights, [loop.index]))
                    row = builder.add(builder.mul(loop.index, stride), k)
                    value = builder.load(builder.gep(first, [row]))
                    summed = builder.call(fused_single, [weight, value, builder.load(total)])
                    builder.store(summed, total)
                builder.store(builder.load(total), builder.gep(out, [k]))

        def cover(size, work):  # type: ignore[no-untyped-def]
            """Emit pieces of ``size`` vectors; the last one overlaps, with the same bits."""
            piece = _INDEX(size * LANES)
            last = builder.sub(length, piece)
            with cgutils.for_range_slice(builder, _INDEX(0), length, piece) as (k, _):
                fits = builder.icmp_signed("<", k, last)
                work(builder.select(fits, k, last), size)

        enough = builder.icmp_signed(">=", length, _INDEX(_BLOCK * LANES))
        with builder.if_else(enough) as (long, short):
            with long:
                cover(_BLOCK, block)
            with short:
                one = builder.icmp_signed(">=", length, _INDEX(LANES))
                with builder.if_else(one) as (some, few):
                    with some:
                        cover(1, block)
                    with few:
                        singles()
        return context.get_dummy_value()

    return signature, build


@intrinsic
def weigh_group(typing_context, source, start, weights, first, count, target, place):  # type: ignore[no-untyped-def]
    """Compute ``target[place + k] = Σ_t weights[first + t, k] * source[start + t]``, k < 8.

    t < ``count``. Sums as in :func:`weigh_rows`, of eight rows with own weights. ``source`` and
    ``target`` are one-dimensional, ``weights`` is (n, 8); C contiguous arrays of float32.
    """
    index = types.intp
    signature = types.void(source, index, weights, index, index, target, index)

    def build(context, builder, sig, arguments):  # type: ignore[no-untyped-def]
        source_array, begin, weight_array, row, length, target_array, spot = arguments
        source_view = context.make_array(sig.args[0])(context, builder, source_array)
        weight_view = context.make_array(sig.args[2])(context, builder, weight_array)
        target_view = context.make_array(sig.args[5])(context, builder, target_array)
        fused = _multiply_add(builder, _VECTOR, f"v{LANES}f32")
        values = builder.gep(source_view.data, [begin])
        rows = builder.gep(weight_view.data, [builder.mul(row, _INDEX(LANES))])
        total = cgutils.alloca_once(builder, _VECTOR)
        builder.store(_zeros(), total)
        with cgutils.for_range(builder, length) as loop:
            value = _spread(builder, builder.load(builder.gep(values, [loop.index])))
            weight = _load(builder, rows, builder.mul(loop.index, _INDEX(LANES)))
            builder.store(builder.call(fused, [weight, value, builder.load(total)]), total)
        _store(builder, builder.load(total), target_view.data, spot)
        return context.get_dummy_value()

    return signature, build


@intrinsic
def weigh_cell(  # type: ignore[no-untyped-def]
    typing_context, source, corner, steps, middle, rows, number, start, widths, totals
):
    """Add Σ_t ``rows[number, t, o] * (source[...] - middle)`` to eight ``totals[o]``.

    Tap t = (a * v + b) * w + c, for a < u, b < v, c < w, the lengths of the three tuples
    ``widths`` (their types, so that the loops over b and c unroll), lies at ``corner + a *
    steps[0] + b * steps[1] + c * steps[2]`` of ``source``. ``source`` (n,), ``rows``
    (filters, u v w, outputs) and ``totals`` (outputs,) are C contiguous arrays of float32,
    ``steps`` is a tuple of three. Four chains of sums, over b * w + c modulo 4, are added at
    the end.
    """
    index = types.intp
    wide, high, deep = (len(axis) for axis in widths)
    signature = types.void(
        source,
        index,
        types.UniTuple(index, 3),
        types.float32,
        rows,
        index,
        index,
        widths,
        totals,
    )

    def build(context, builder, sig, arguments):  # type: ignore[no-untyped-def]
        source_array, begin, steps, center, row_array, filter_number, first, _, out = arguments
        source_view = context.make_array(sig.args[0])(context, builder, source_array)
        row_view = context.make_array(sig.args[4])(context, builder, row_array)
        total_view = context.make_array(sig.args[8])(context, builder, out)
        _, taps, outputs = cgutils.unpack_tuple(builder, row_view.shape, 3)
        step_a, step_b, step_c = cgutils.unpack_tuple(builder, steps, 3)
        fused = _multiply_add(builder, _VECTOR, f"v{LANES}f32")
        filter_begin = builder.mul(builder.mul(filter_number, taps), outputs)
        weights = builder.gep(row_view.data, [builder.add(filter_begin, first)])
        patch = builder.gep(source_view.data, [begin])
        chains = [cgutils.alloca_once(builder, _VECTOR) for _ in range(_CHAINS)]
        for chain in chains:
            builder.store(_zeros(), chain)
        with cgutils.for_range(builder, _INDEX(wide)) as loop:
            row = builder.gep(patch, [builder.mul(loop.index, step_a)])
            tap = builder.mul(builder.mul(loop.index, _INDEX(high * deep)), outputs)
            sums = [builder.load(chain) for chain in chains]
            for t in range(high * deep):
                if t % deep == 0:
                    value_at = row = row if t == 0 else builder.gep(row, [step_b])
                else:
                    value_at = builder.gep(value_at, [step_c])
                value = _spread(builder, builder.fsub(builder.load(value_at), center))
                vector = _load(builder, weights, tap)
                sums[t % _CHAINS] = builder.call(fused, [value, vector, sums[t % _CHAINS]])
                tap = builder.add(tap, outputs)
            for total, chain in zip(sums, chains, strict=True):
                builder.store(total, chain)
        a, b, c, d = (builder.load(chain) for chain in chains)
        _store(
            builder, builder.fadd(builder.fadd(a, b), builder.fadd(c, d)), total_view.data, first
        )
        return context.get_dummy_value()

    return signature, build


@intrinsic
def weigh_patch(  # type: ignore[no-untyped-def]
    typing_context, source, corner, first_step, second_step, middle, rows, number, widths
):
    """Sum ``rows[number, a * v + b, t] * (source[corner + a * s + b * u + t] - middle)``.

    The sum is over a < w, b < v, the lengths of the first two of the three tuples ``widths``
    (their types, so that the loops unroll), and t < 8 or 16: rows are read as vectors, so
    ``rows`` is padded by zeros. ``source`` (n,) and ``rows`` (filters, w v, 8 or 16)
    are C contiguous arrays of float32; s and u are ``first_step`` and
    ``second_step``. There is a chain of sums for each b, in the order of a.
    """
    index = types.intp
    signature = types.float32(source, index, index, index, types.float32, rows, index, widths)
    wide, high, deep = (len(axis) for axis in widths)
    vectors = -(-deep // LANES)

    def build(context, builder, sig, arguments):  # type: ignore[no-untyped-def]
        source_array, begin, stride_a, stride_b, center, row_array, filter_number, _ = arguments
        source_view = context.make_array(sig.args[0])(context, builder, source_array)
        row_view = context.make_array(sig.args[5])(context, builder, row_array)
        fused = _multiply_add(builder, _VECTOR, f"v{LANES}f32")
        lanes = _spread(builder, center)
        size = vectors * LANES
        taps = builder.gep(row_view.data, [builder.mul(filter_number, _INDEX(wide * high * size))])
        patch = builder.gep(source_view.data, [begin])
        totals = [_zeros()] * high
        for a in range(wide):
            place = builder.mul(_INDEX(a), stride_a)
            for b in range(high):
                for v in range(vectors):
                    values = _load(builder, patch, builder.add(place, _INDEX(v * LANES)))
                    where = _INDEX((a * high + b) * size + v * LANES)
                    weights = _load(builder, taps, where)
                    totals[b] = builder.call(
                        fused, [weights, builder.fsub(values, lanes), totals[b]]
                    )
                place = builder.add(place, stride_b)
        while len(totals) > 1:
            pairs = zip(totals[::2], totals[1::2], strict=False)
            rest = totals[len(totals) // 2 * 2 :]
            totals = [builder.fadd(a, b) for a, b in pairs] + rest
        return _sum_of_lanes(builder, totals[0])

    return signature, build


def _sum_of_lanes(builder, vector):  # type: ignore[no-untyped-def]
    """Add halves until one number is left."""
    lanes = LANES
    while lanes > 1:
        lanes //= 2
        kind = ir.VectorType(ir.IntType(32), lanes)
        low = builder.shuffle_vector(vector, vector, ir.Constant(kind, list(range(lanes))))
        high = builder.shuffle_vector(
            vector, vector, ir.Constant(kind, list(range(lanes, 2 * lanes)))
        )
        vector = builder.fadd(low, high)
    return builder.extract_element(vector, ir.IntType(32)(0))
