"""Eight sums at once: a numba intrinsic.

Numba vectorizes loops over arrays, but keeps running sums in memory. This
emits the one loop where that matters, with the sums in registers, as plain
LLVM vectors of eight floats; LLVM maps them to whatever the machine has.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from napari_mrisr.kernels.lanes import LANES

_CHAINS = 4


@intrinsic
def add_products(typing_context, values, rows, start, totals):  # type: ignore[no-untyped-def]
    """Add Σ_t ``values[t] * rows[t, start:start + 8]`` to ``totals[start:start + 8]``.

    ``values`` (taps,), ``rows`` (taps, outputs) and ``totals`` (outputs,) are C
    contiguous arrays of float32. Four chains of sums, over t modulo 4, are
    added at the end.
    """
    signature = types.void(values, rows, types.intp, totals)

    def build(context, builder, sig, arguments):  # type: ignore[no-untyped-def]
        value_array, row_array, begin, total_array = arguments
        value_view = context.make_array(sig.args[0])(context, builder, value_array)
        row_view = context.make_array(sig.args[1])(context, builder, row_array)
        total_view = context.make_array(sig.args[3])(context, builder, total_array)
        taps, outputs = cgutils.unpack_tuple(builder, row_view.shape, 2)
        vector = ir.VectorType(ir.FloatType(), LANES)
        fused = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(vector, [vector] * 3),
            f"llvm.fmuladd.v{LANES}f32",
        )
        index = ir.IntType(64)

        def step(tap, total):  # type: ignore[no-untyped-def]
            place = builder.add(builder.mul(tap, outputs), begin)
            pointer = builder.gep(row_view.data, [place])
            row = builder.load(builder.bitcast(pointer, vector.as_pointer()))
            row.align = 4
            value = builder.load(builder.gep(value_view.data, [tap]))
            single = builder.insert_element(ir.Constant(vector, ir.Undefined), value, index(0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            spread = builder.shuffle_vector(single, single, mask)
            builder.store(builder.call(fused, [spread, row, builder.load(total)]), total)

        chains = [
            cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * LANES))
            for _ in range(_CHAINS)
        ]
        for chain in chains:
            builder.store(ir.Constant(vector, [0.0] * LANES), chain)
        rest = builder.urem(taps, index(_CHAINS))
        whole = builder.sub(taps, rest)
        with cgutils.for_range_slice(builder, index(0), whole, index(_CHAINS)) as (tap, _):
            for number, chain in enumerate(chains):
                step(builder.add(tap, index(number)), chain)
        with cgutils.for_range(builder, rest) as loop:
            step(builder.add(whole, loop.index), chains[0])
        a, b, c, d = (builder.load(chain) for chain in chains)
        total = builder.fadd(builder.fadd(a, b), builder.fadd(c, d))
        pointer = builder.gep(total_view.data, [begin])
        target = builder.bitcast(pointer, vector.as_pointer())
        old = builder.load(target)
        old.align = 4
        stored = builder.store(builder.fadd(old, total), target)
        stored.align = 4
        return context.get_dummy_value()

    return signature, build
