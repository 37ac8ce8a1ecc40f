"""The two loops that training spends its time in: numba intrinsics.

A block of samples lies in *panels*: (panels, samples, lanes) float32, value v of
a sample in lane v % lanes of panel v // lanes. So a tile of A'A (a few columns,
each times up to three panels) is a sum over samples of small outer products
from three streams of vectors and one of numbers, with all sums in registers.
A library's product first copies its factors into such an order, which costs as
much as multiplying where patches are small; here gathering writes them so.

Numba keeps machine code as long as the text of the module that calls these stays
the same, so a change here needs one there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _lanes() -> int:
    """Floats in the machine's widest register."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 16
    return 8 if features.get("avx") else 4


LANES = _lanes()
"""Floats in a vector. It decides how fast sums are made, not their order."""
TALL = 3
"""Panels of a tile at most."""
COLUMNS = 8 if LANES == 16 else 4
"""Columns of a tile: with three panels, sums and factors fill the registers."""

_INDEX = ir.IntType(64)
_INT = ir.IntType(32)
_BYTE = ir.IntType(8).as_pointer()
_FLOAT = ir.FloatType()


def _data(context, builder, kind, array):  # type: ignore[no-untyped-def]
    return context.make_array(kind)(context, builder, array).data


def _lengths(context, builder, kind, array):  # type: ignore[no-untyped-def]
    view = context.make_array(kind)(context, builder, array)
    return cgutils.unpack_tuple(builder, view.shape, kind.ndim)


def tile_of(tall: int, lanes: int = LANES, columns: int = COLUMNS) -> Callable[..., Any]:
    """An intrinsic that adds a tile's products to sums.

    Parameters
    ----------
    tall : int
        Panels of the tile.
    lanes, columns : int
        Size of a vector, and columns of the tile; a divisor of ``lanes``.

    Returns
    -------
    intrinsic
        ``tile(panels, panel, column, samples, sums, ahead, place)`` adds
        Σ_s a[s, column + c] a[s, v], for every c < ``columns`` and all values v of the
        tile's panels, to ``sums[column + c, v]``. Besides, for every sample it asks for
        one line of memory to be brought near: address ``ahead[place + s]`` (int64; any
        address will do). Arrays are C contiguous, panels and sums (columns, values)
        float32.
    """
    vector = ir.VectorType(_FLOAT, lanes)

    def at(builder, pointer, place):  # type: ignore[no-untyped-def]
        return builder.bitcast(builder.gep(pointer, [place]), vector.as_pointer())

    def load(builder, pointer, place):  # type: ignore[no-untyped-def]
        value = builder.load(at(builder, pointer, place))
        value.align = 4
        return value

    def spread(builder, value):  # type: ignore[no-untyped-def]
        undefined = ir.Constant(vector, ir.Undefined)
        single = builder.insert_element(undefined, value, _INDEX(0))
        mask = ir.Constant(ir.VectorType(_INT, lanes), [0] * lanes)
        return builder.shuffle_vector(single, undefined, mask)

    @intrinsic
    def tile(typing_context, panels, panel, column, samples, sums, ahead, place):  # type: ignore[no-untyped-def]
        index = types.intp
        signature = types.void(panels, index, index, index, sums, ahead, index)

        def build(context, builder, sig, arguments):  # type: ignore[no-untyped-def]
            panels, panel, column, samples, sums, ahead, place = arguments
            _, room, _ = _lengths(context, builder, sig.args[0], panels)
            _, width = _lengths(context, builder, sig.args[4], sums)
            first = _data(context, builder, sig.args[0], panels)
            target = _data(context, builder, sig.args[4], sums)
            far = builder.gep(_data(context, builder, sig.args[5], ahead), [place])
            kind = ir.FunctionType(vector, [vector] * 3)
            name = f"llvm.fmuladd.v{lanes}f32"
            fused = cgutils.get_or_insert_function(builder.module, kind, name)
            kind = ir.FunctionType(ir.VoidType(), [_BYTE, _INT, _INT, _INT])
            prefetch = builder.module.declare_intrinsic("llvm.prefetch", [_BYTE], kind)

            size = builder.mul(room, _INDEX(lanes))
            rows = [
                builder.gep(first, [builder.mul(builder.add(panel, _INDEX(r)), size)])
                for r in range(tall)
            ]
            row = builder.mul(builder.udiv(column, _INDEX(lanes)), size)
            lane = builder.urem(column, _INDEX(lanes))
            numbers = builder.gep(first, [builder.add(row, lane)])
            left, places, totals = builder.mul(panel, _INDEX(lanes)), [], []
            for c in range(columns):
                row = builder.add(builder.mul(builder.add(column, _INDEX(c)), width), left)
                for r in range(tall):
                    places.append(builder.add(row, _INDEX(r * lanes)))
                    totals.append(cgutils.alloca_once(builder, vector))
                    builder.store(ir.Constant(vector, [0.0] * lanes), totals[-1])
            with cgutils.for_range(builder, samples) as loop:
                address = builder.load(builder.gep(far, [loop.index]))
                # To read, into the second cache, data.
                wish = [builder.inttoptr(address, _BYTE), _INT(0), _INT(2), _INT(1)]
                builder.call(prefetch, wish)
                where = builder.mul(loop.index, _INDEX(lanes))
                values = [load(builder, row, where) for row in rows]
                for c in range(columns):
                    number = builder.load(builder.gep(numbers, [builder.add(where, _INDEX(c))]))
                    factor = spread(builder, number)
                    for value, total in zip(values, totals[c * tall :], strict=False):
                        added = builder.call(fused, [factor, value, builder.load(total)])
                        builder.store(added, total)
            # A block's sum by itself, then to the others: in float32 that errs less.
            for spot, total in zip(places, totals, strict=True):
                added = builder.fadd(load(builder, target, spot), builder.load(total))
                builder.store(added, at(builder, target, spot)).align = 4
            return context.get_dummy_value()

        return signature, build

    return tile


@intrinsic
def _turn(typing_context, source, corner, steps, less, panels, sample):  # type: ignore[no-untyped-def]
    """Write ``source[corner + steps] - less`` into a sample's lanes.

    ``source`` and ``steps`` are one-dimensional, C contiguous arrays of float32 and
    uint32; the number of steps is a multiple of ``LANES``. Value by value: processors
    whose vector gathers have been made safe are three times as slow with them.
    """
    signature = types.void(source, corner, steps, less, panels, types.intp)

    def build(context, builder, sig, arguments):  # type: ignore[no-untyped-def]
        source, corner, steps, less, panels, sample = arguments
        (taps,) = _lengths(context, builder, sig.args[2], steps)
        _, room, _ = _lengths(context, builder, sig.args[4], panels)
        first = builder.gep(_data(context, builder, sig.args[0], source), [corner])
        step = _data(context, builder, sig.args[2], steps)
        out = _data(context, builder, sig.args[4], panels)
        out = builder.gep(out, [builder.mul(sample, _INDEX(LANES))])
        size = builder.mul(room, _INDEX(LANES))
        with cgutils.for_range(builder, builder.udiv(taps, _INDEX(LANES))) as loop:
            steps_here = builder.gep(step, [builder.mul(loop.index, _INDEX(LANES))])
            out_here = builder.gep(out, [builder.mul(loop.index, size)])
            for lane in range(LANES):
                far = builder.load(builder.gep(steps_here, [_INDEX(lane)]))
                value = builder.load(builder.gep(first, [builder.zext(far, _INDEX)]))
                value = builder.fsub(value, less)
                builder.store(value, builder.gep(out_here, [_INDEX(lane)]))
        return context.get_dummy_value()

    return signature, build


turn: Callable[..., None] = _turn
