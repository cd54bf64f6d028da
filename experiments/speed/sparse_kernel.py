"""A sparse matrix times columns of features, compiled: what numba's own loops do not keep in registers.

Features stand a column of tokens beside each other, 32, 16 or 8 of them, so that one weight meets
them all in a few vectors. LLVM makes of these the widest instructions that the processor has: no
library for sparse matrices is asked for, and none for an Intel processor alone.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic as untyped_intrinsic

from experiments.pruning.kernels import compiled

intrinsic: Callable[[Callable[..., Any]], Any] = untyped_intrinsic
TOKENS = 32  # side by side
SOME, FEW = 16, 8  # where there are no more than these, so that little of their room stays empty
LANES = 16  # numbers in a vector at most
ROWS = 128  # outputs summed together
AHEAD = 512  # weights asked of memory before they are met, where each meets few tokens
SIDE = 8  # of the squares that are transposed in registers
STRIP = 64  # features transposed together: few lines of tokens that lie far apart stay cached
# Exchanges between rows 1, 2 and 4 apart that transpose a square: what each of a pair becomes, of the
# one's numbers 0 to 7 and the other's 8 to 15.
EXCHANGES = (
    (1, ((0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15))),
    (2, ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))),
    (4, ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))),
)

_COUNT = ir.IntType(64)
_PLACE = ir.IntType(32)


class _Numbers:
    """The numbers of an array, one at a time or a vector of `lanes` floats."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any, lanes: int = 1) -> None:
        self.builder = builder
        self.start = context.make_array(kind)(context, builder, array).data
        self.pointer = ir.VectorType(ir.FloatType(), lanes).as_pointer()

    def one(self, at: Any) -> Any:
        return self.builder.load(self.builder.gep(self.start, [at]))

    def _vector(self, at: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(self.start, [at]), self.pointer)

    def load(self, at: Any) -> Any:
        return self.builder.load(self._vector(at), align=4)

    def store(self, vector: Any, at: Any) -> None:
        self.builder.store(vector, self._vector(at), align=4)

    def ask(self, at: Any) -> None:
        """Have memory bring the number nearer; where there is none, nothing happens."""
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, *[_PLACE] * 3])
        prefetch = self.builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        address = self.builder.bitcast(self.builder.gep(self.start, [at]), byte)
        reading, often, data = _PLACE(0), _PLACE(3), _PLACE(1)
        self.builder.call(prefetch, [address, reading, often, data])


def _shuffled(builder: Any, one: Any, other: Any, places: Sequence[int]) -> Any:
    mask = ir.Constant(ir.VectorType(_PLACE, len(places)), places)
    return builder.shuffle_vector(one, other, mask)


def _repeated(builder: Any, number: Any, lanes: int) -> Any:
    nothing = ir.Constant(ir.VectorType(ir.FloatType(), lanes), ir.Undefined)
    return _shuffled(
        builder, builder.insert_element(nothing, number, _PLACE(0)), nothing, [0] * lanes
    )


def _row(tokens: int, *, unrolled: int, ahead: int = 0) -> tuple[Any, Any]:
    """How a row is begun and added to where so many tokens stand side by side.

    The products of `unrolled` weights are summed apart, so that none waits for the one before.
    Weights that stand `ahead` are asked of memory.
    """
    lanes = min(LANES, tokens)
    vectors = tokens // lanes
    vector = ir.VectorType(ir.FloatType(), lanes)

    @intrinsic
    def begin(typing: Any, number: Any, sums: Any, to: Any) -> Any:
        """sums[to : to + tokens] = number."""

        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            number, sums, to = arguments
            outputs = _Numbers(context, builder, signature.args[1], sums, lanes)
            for v in range(vectors):
                place = builder.add(to, _COUNT(lanes * v))
                outputs.store(_repeated(builder, number, lanes), place)
            return context.get_dummy_value()

        return types.void(number, sums, to), build

    @intrinsic
    def add(
        typing: Any, values: Any, columns: Any, first: Any, last: Any, features: Any, at: Any,
        sums: Any, to: Any,
    ) -> Any:  # fmt: skip
        """sums[to : to + tokens] += a row's weights, first to last, times their features.

        The features of column c stand in features[at + c * tokens:].
        """

        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args
            weights = _Numbers(context, builder, kinds[0], arguments[0])
            places = _Numbers(context, builder, kinds[1], arguments[1])
            first, last, at, to = (arguments[i] for i in (2, 3, 5, 7))
            inputs = _Numbers(context, builder, kinds[4], arguments[4], lanes)
            outputs = _Numbers(context, builder, kinds[6], arguments[6], lanes)
            function: Any = cgutils.get_or_insert_function
            multiply_add = function(
                builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{lanes}f32"
            )

            def product(place: Any, sums: list[Any]) -> list[Any]:
                weight = _repeated(builder, weights.one(place), lanes)
                column = builder.zext(places.one(place), _COUNT)
                begin = builder.add(at, builder.mul(column, _COUNT(tokens)))
                return [
                    builder.call(
                        multiply_add,
                        [weight, inputs.load(builder.add(begin, _COUNT(lanes * v))), sums[v]],
                    )
                    for v in range(vectors)
                ]

            def loop(start: Any, stop: Any, step: int, sums: list[Any]) -> list[Any]:
                before = builder.block
                head, body, after = (builder.append_basic_block() for _ in range(3))
                builder.branch(head)
                builder.position_at_end(head)
                place = builder.phi(_COUNT)
                place.add_incoming(start, before)
                kept = []
                for one in sums:
                    phi = builder.phi(vector)
                    phi.add_incoming(one, before)
                    kept.append(phi)
                builder.cbranch(builder.icmp_signed("<", place, stop), body, after)
                builder.position_at_end(body)
                for array in (weights, places) if ahead else ():
                    array.ask(builder.add(place, _COUNT(ahead)))
                found: list[Any] = []
                for index in range(step):
                    mine = kept[index * vectors : (index + 1) * vectors]
                    found += product(builder.add(place, _COUNT(index)), mine)
                place.add_incoming(builder.add(place, _COUNT(step)), builder.block)
                for phi, one in zip(kept, found):
                    phi.add_incoming(one, builder.block)
                builder.branch(head)
                builder.position_at_end(after)
                return kept

            begun = [outputs.load(builder.add(to, _COUNT(lanes * v))) for v in range(vectors)]
            begun += [vector([0.0] * lanes)] * (vectors * (unrolled - 1))
            whole = builder.sub(last, builder.srem(builder.sub(last, first), _COUNT(unrolled)))
            apart = loop(first, whole, unrolled, begun)
            together = apart[:vectors]
            for index in range(vectors, len(apart)):
                together[index % vectors] = builder.fadd(together[index % vectors], apart[index])
            for v, one in enumerate(loop(whole, last, 1, together)):
                outputs.store(one, builder.add(to, _COUNT(lanes * v)))
            return context.get_dummy_value()

        return types.void(values, columns, first, last, features, at, sums, to), build

    return begin, add


_begin_row, _add_row = _row(TOKENS, unrolled=2)
_begin_row_of_some, _add_row_of_some = _row(SOME, unrolled=4)
_begin_row_of_few, _add_row_of_few = _row(FEW, unrolled=4, ahead=AHEAD)


@intrinsic
def _turn(typing: Any, source: Any, at: Any, stride: Any, target: Any, to: Any, onward: Any) -> Any:
    """Transpose a square: its rows at source[at + i * stride:], to target[to + j * onward:]."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        rows = _Numbers(context, builder, kinds[0], arguments[0], SIDE)
        columns = _Numbers(context, builder, kinds[3], arguments[3], SIDE)
        at, stride, to, onward = (arguments[i] for i in (1, 2, 4, 5))
        held = [rows.load(builder.add(at, builder.mul(stride, _COUNT(i)))) for i in range(SIDE)]
        for apart, halves in EXCHANGES:
            for first in [i for i in range(SIDE) if not i & apart]:
                pair = held[first], held[first + apart]
                held[first], held[first + apart] = (
                    _shuffled(builder, *pair, half) for half in halves
                )
        for j, vector in enumerate(held):
            columns.store(vector, builder.add(to, builder.mul(onward, _COUNT(j))))
        return context.get_dummy_value()

    return types.void(source, at, stride, target, to, onward), build


@compiled
def _transpose(
    source: Any, at: int, stride: int, rows: int, columns: int, target: Any, to: int, onward: int
) -> None:
    """Transpose rows by columns numbers, in squares and what is left one by one."""
    whole_rows, whole_columns = rows - rows % SIDE, columns - columns % SIDE
    for i in range(0, whole_rows, SIDE):
        for j in range(0, whole_columns, SIDE):
            _turn(source, at + i * stride + j, stride, target, to + j * onward + i, onward)
    for j in range(whole_columns, columns):
        for i in range(rows):
            target[to + j * onward + i] = source[at + i * stride + j]
    for i in range(whole_rows, rows):
        for j in range(whole_columns):
            target[to + j * onward + i] = source[at + i * stride + j]


@compiled
def _lined(size: int) -> Any:
    """Memory for so many numbers that begins where a vector does, or each would be read as two."""
    numbers = np.empty(size + LANES, np.float32)
    begin = -(numbers.ctypes.data // 4) % LANES
    return numbers[begin : begin + size]


@compiled
def _tile(
    values: Any, columns: Any, starts: Any, order: Any, width: int, bias: Any, inputs: Any,
    outputs: Any, shape: Any, token: int, first: int, last: int,
) -> None:  # fmt: skip
    """Outputs first to last of up to TOKENS tokens, the first of them `token`."""
    tokens, features, size = shape
    count = min(TOKENS, tokens - token)
    beside = FEW if count <= FEW else SOME if count <= SOME else TOKENS
    packed = _lined(features * beside)
    if count < beside:
        packed[:] = 0
    for one in range(0, features, STRIP):
        strip, at = min(STRIP, features - one), token * features + one
        _transpose(inputs, at, features, count, strip, packed, one * beside, beside)
    sums = _lined(ROWS * beside)
    for begin in range(first, last, ROWS):
        rows = min(ROWS, last - begin)
        for row in range(rows):
            if beside == FEW:
                _begin_row_of_few(bias[begin + row], sums, row * FEW)
            elif beside == SOME:
                _begin_row_of_some(bias[begin + row], sums, row * SOME)
            else:
                _begin_row(bias[begin + row], sums, row * TOKENS)
        for block in range(starts.shape[0]):
            at, place = block * width * beside, starts[block, begin]
            for one in range(begin, begin + rows):
                end, to = starts[block, one + 1], order[block, one] * beside
                if end > place:
                    if beside == FEW:
                        _add_row_of_few(values, columns, place, end, packed, at, sums, to)
                    elif beside == SOME:
                        _add_row_of_some(values, columns, place, end, packed, at, sums, to)
                    else:
                        _add_row(values, columns, place, end, packed, at, sums, to)
                place = end
        for one in range(0, count, SIDE):
            strip, at = min(SIDE, count - one), (token + one) * size + begin
            _transpose(sums, one, beside, rows, strip, outputs, at, size)


@compiled
def multiply(
    values: Any, columns: Any, starts: Any, order: Any, width: int, bias: Any, inputs: Any,
    outputs: Any, shape: Any,
) -> None:  # fmt: skip
    """outputs (tokens × size) = inputs (tokens × features) times the weights' transpose, plus bias.

    `inputs` and `outputs` are flat, `shape` is (tokens, features, size). The weights stand in blocks
    of `width` columns, each with its column within the block: those of one row of block b from
    starts[b, i] to starts[b, i + 1], of row order[b, i] among the ROWS that are summed together.
    """
    for token in range(0, shape[0], TOKENS):
        _tile(
            values, columns, starts, order, width, bias, inputs, outputs, shape, token, 0, shape[2]
        )  # fmt: skip


@partial(compiled, parallel=True)
def multiply_on_cores(
    values: Any, columns: Any, starts: Any, order: Any, width: int, bias: Any, inputs: Any,
    outputs: Any, shape: Any, bounds: Any,
) -> None:  # fmt: skip
    """The same on several threads: outputs shared out at `bounds`, multiples of ROWS, tokens by TOKENS."""
    parts = bounds.size - 1
    for task in numba.prange(parts * ((shape[0] + TOKENS - 1) // TOKENS)):
        part, token = task % parts, task // parts * TOKENS
        _tile(
            values, columns, starts, order, width, bias, inputs, outputs, shape, token,
            bounds[part], bounds[part + 1],
        )  # fmt: skip
