"""A sparse matrix times columns of features, compiled: what numba's own loops do not keep in registers.

Features stand a column of `TOKENS` tokens beside each other, so that one weight meets them all in two
vectors of 16 numbers. LLVM makes of these the widest instructions that the processor has: no library
for sparse matrices is asked for, and none for an Intel processor alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic as untyped_intrinsic

from experiments.kernels import compiled

intrinsic: Callable[[Callable[..., Any]], Any] = untyped_intrinsic
LANES = 16
VECTORS = 2
TOKENS = LANES * VECTORS
UNROLLED = 2  # weights whose products are summed apart, so that none waits for the one before
ROWS = 128  # outputs summed together: with their features they fit a core's nearest cache

_COUNT = ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


class _Floats:
    """The numbers of an array, loaded and stored a vector at a time."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any) -> None:
        self.builder = builder
        self.start = context.make_array(kind)(context, builder, array).data

    def one(self, at: Any) -> Any:
        return self.builder.load(self.builder.gep(self.start, [at]))

    def _vector(self, at: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(self.start, [at]), _VECTOR.as_pointer())

    def load(self, at: Any) -> Any:
        return self.builder.load(self._vector(at), align=4)

    def store(self, vector: Any, at: Any) -> None:
        self.builder.store(vector, self._vector(at), align=4)


@intrinsic
def _add_row(
    typing: Any, values: Any, columns: Any, first: Any, last: Any, features: Any, at: Any,
    sums: Any, to: Any,
) -> Any:  # fmt: skip
    """sums[to:] += the products of a row's weights, first to last, with TOKENS features each.

    Those of column c stand in features[at + c * TOKENS:].
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        weights = _Floats(context, builder, kinds[0], arguments[0])
        places = _Floats(context, builder, kinds[1], arguments[1])
        first, last, at, to = (arguments[i] for i in (2, 3, 5, 7))
        inputs = _Floats(context, builder, kinds[4], arguments[4])
        outputs = _Floats(context, builder, kinds[6], arguments[6])
        function: Any = cgutils.get_or_insert_function
        multiply_add = function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), "llvm.fmuladd.v16f32"
        )
        nothing = ir.Constant(_VECTOR, ir.Undefined)
        every = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)

        def product(place: Any, sums: list[Any]) -> list[Any]:
            weight = builder.insert_element(nothing, weights.one(place), ir.IntType(32)(0))
            weight = builder.shuffle_vector(weight, nothing, every)
            column = builder.sext(places.one(place), _COUNT)
            begin = builder.add(at, builder.mul(column, _COUNT(TOKENS)))
            return [
                builder.call(
                    multiply_add,
                    [weight, inputs.load(builder.add(begin, _COUNT(LANES * v))), sums[v]],
                )
                for v in range(VECTORS)
            ]

        def loop(start: Any, stop: Any, step: int, sums: list[Any]) -> list[Any]:
            before = builder.block
            head, body, after = (builder.append_basic_block() for _ in range(3))
            builder.branch(head)
            builder.position_at_end(head)
            place = builder.phi(_COUNT)
            place.add_incoming(start, before)
            kept = []
            for vector in sums:
                phi = builder.phi(_VECTOR)
                phi.add_incoming(vector, before)
                kept.append(phi)
            builder.cbranch(builder.icmp_signed("<", place, stop), body, after)
            builder.position_at_end(body)
            found: list[Any] = []
            for index in range(step):
                mine = kept[index * VECTORS : (index + 1) * VECTORS]
                found += product(builder.add(place, _COUNT(index)), mine)
            place.add_incoming(builder.add(place, _COUNT(step)), builder.block)
            for phi, vector in zip(kept, found):
                phi.add_incoming(vector, builder.block)
            builder.branch(head)
            builder.position_at_end(after)
            return kept

        begun = [outputs.load(builder.add(to, _COUNT(LANES * v))) for v in range(VECTORS)]
        begun += [_VECTOR([0.0] * LANES)] * (VECTORS * (UNROLLED - 1))
        whole = builder.sub(last, builder.srem(builder.sub(last, first), _COUNT(UNROLLED)))
        apart = loop(first, whole, UNROLLED, begun)
        together = apart[:VECTORS]
        for index in range(VECTORS, len(apart)):
            together[index % VECTORS] = builder.fadd(together[index % VECTORS], apart[index])
        for v, vector in enumerate(loop(whole, last, 1, together)):
            outputs.store(vector, builder.add(to, _COUNT(LANES * v)))
        return context.get_dummy_value()

    return types.void(values, columns, first, last, features, at, sums, to), build


@intrinsic
def _turn(typing: Any, source: Any, at: Any, stride: Any, target: Any, to: Any, onward: Any) -> Any:
    """Transpose 16 by 16 numbers: rows at source[at + i * stride:], to target[to + j * onward:]."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        rows = _Floats(context, builder, kinds[0], arguments[0])
        columns = _Floats(context, builder, kinds[3], arguments[3])
        at, stride, to, onward = (arguments[i] for i in (1, 2, 4, 5))

        def places(half: int) -> Any:
            pairs = [LANES * side + half + i for i in range(LANES // 2) for side in (0, 1)]
            return ir.Constant(ir.VectorType(ir.IntType(32), LANES), pairs)

        low, high = places(0), places(LANES // 2)
        held = [rows.load(builder.add(at, builder.mul(stride, _COUNT(i)))) for i in range(LANES)]
        for _ in range(4):  # a perfect shuffle of the rows, once for each bit of 16
            shuffled = []
            for one, other in zip(held[: LANES // 2], held[LANES // 2 :]):
                shuffled += [
                    builder.shuffle_vector(one, other, low),
                    builder.shuffle_vector(one, other, high),
                ]
            held = shuffled
        for j, vector in enumerate(held):
            columns.store(vector, builder.add(to, builder.mul(onward, _COUNT(j))))
        return context.get_dummy_value()

    return types.void(source, at, stride, target, to, onward), build


@compiled
def _transpose(
    source: Any, at: int, stride: int, rows: int, columns: int, target: Any, to: int, onward: int
) -> None:
    """Transpose rows by columns numbers, in tiles of 16 by 16 and what is left one by one."""
    whole_rows, whole_columns = rows - rows % LANES, columns - columns % LANES
    for i in range(0, whole_rows, LANES):
        for j in range(0, whole_columns, LANES):
            _turn(source, at + i * stride + j, stride, target, to + j * onward + i, onward)
    for i in range(rows):
        for j in range(whole_columns if i < whole_rows else 0, columns):
            target[to + j * onward + i] = source[at + i * stride + j]


@compiled
def _tile(
    values: Any, columns: Any, starts: Any, width: int, bias: Any, inputs: Any, outputs: Any,
    shape: Any, token: int, first: int, last: int,
) -> None:  # fmt: skip
    """Outputs first to last of up to TOKENS tokens, the first of them `token`."""
    tokens, features, size = shape
    count = min(TOKENS, tokens - token)
    packed = np.zeros(features * TOKENS, np.float32)
    _transpose(inputs, token * features, features, count, features, packed, 0, TOKENS)
    sums = np.empty(ROWS * TOKENS, np.float32)
    for begin in range(first, last, ROWS):
        rows = min(ROWS, last - begin)
        for row in range(rows):
            sums[row * TOKENS : (row + 1) * TOKENS] = bias[begin + row]
        for block in range(starts.shape[0]):
            place = starts[block, begin]
            for row in range(rows):
                end = starts[block, begin + row + 1]
                if end > place:
                    _add_row(
                        values,
                        columns,
                        place,
                        end,
                        packed,
                        block * width * TOKENS,
                        sums,
                        row * TOKENS,
                    )
                place = end
        _transpose(sums, 0, TOKENS, rows, count, outputs, token * size + begin, size)


@compiled
def multiply(
    values: Any, columns: Any, starts: Any, width: int, bias: Any, inputs: Any, outputs: Any,
    shape: Any,
) -> None:  # fmt: skip
    """outputs (tokens × size) = inputs (tokens × features) times the weights' transpose, plus bias.

    `inputs` and `outputs` are flat, `shape` is (tokens, features, size). The weights stand in blocks
    of `width` columns: row r of block b from starts[b, r] to starts[b, r + 1], each with its column
    within the block.
    """
    for token in range(0, shape[0], TOKENS):
        _tile(values, columns, starts, width, bias, inputs, outputs, shape, token, 0, shape[2])


@partial(compiled, parallel=True)
def multiply_on_cores(
    values: Any, columns: Any, starts: Any, width: int, bias: Any, inputs: Any, outputs: Any,
    shape: Any, bounds: Any,
) -> None:  # fmt: skip
    """The same on several threads: outputs are shared out at `bounds`, tokens by TOKENS."""
    parts = bounds.size - 1
    for task in numba.prange(parts * ((shape[0] + TOKENS - 1) // TOKENS)):
        part, token = task % parts, task // parts * TOKENS
        _tile(
            values, columns, starts, width, bias, inputs, outputs, shape, token, bounds[part],
            bounds[part + 1],
        )  # fmt: skip
