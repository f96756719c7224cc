"""Sixteen floats at once: an explicit SIMD vector for numba kernels.

LLVM splits the vectors where a processor's registers are narrower. The arithmetic may fuse multiply and add, and
takes for granted that no value is infinite or NaN.
"""

# numba gives kernels and intrinsics other signatures than the functions they are made from:
# pyright: reportCallIssue=false, reportOptionalCall=false

from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
_FLAGS = ("contract", "nnan", "ninf", "nsz", "arcp")
_FLOAT = ir.FloatType()
_INT = ir.IntType(32)
_FLOATS = ir.VectorType(_FLOAT, LANES)
_INTS = ir.VectorType(_INT, LANES)
_BOOLS = ir.VectorType(ir.IntType(1), LANES)


class _Vector(types.Type):
    """Sixteen float32 values."""

    def __init__(self):
        super().__init__(name="float32x16")


class _Mask(types.Type):
    """Sixteen booleans."""

    def __init__(self):
        super().__init__(name="boolx16")


VECTOR = _Vector()
MASK = _Mask()


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _FLOATS)


@register_model(_Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _BOOLS)


def _define(function, operand, result, lower):
    """Let `function(operand, operand)` inside kernels give `result` by the instructions that `lower` emits."""

    @infer_global(function)
    class _Signature(ConcreteTemplate):
        cases = [signature(result, operand, operand)]

    @lower_builtin(function, operand, operand)
    def _lower(context, builder, sig, args):
        return lower(builder, *args)


_define(operator.add, VECTOR, VECTOR, lambda builder, a, b: builder.fadd(a, b, flags=_FLAGS))
_define(operator.sub, VECTOR, VECTOR, lambda builder, a, b: builder.fsub(a, b, flags=_FLAGS))
_define(operator.mul, VECTOR, VECTOR, lambda builder, a, b: builder.fmul(a, b, flags=_FLAGS))
_define(operator.truediv, VECTOR, VECTOR, lambda builder, a, b: builder.fdiv(a, b, flags=_FLAGS))
_define(operator.lt, VECTOR, MASK, lambda builder, a, b: builder.fcmp_ordered("<", a, b))
_define(operator.le, VECTOR, MASK, lambda builder, a, b: builder.fcmp_ordered("<=", a, b))
_define(operator.and_, MASK, MASK, lambda builder, a, b: builder.and_(a, b))
_define(operator.or_, MASK, MASK, lambda builder, a, b: builder.or_(a, b))
_define(operator.xor, MASK, MASK, lambda builder, a, b: builder.xor(a, b))


def _constant(value: float | int, kind: ir.Type = _FLOATS) -> ir.Constant:
    if kind is _FLOATS:
        value = float(np.float32(value))
    return ir.Constant(kind, [value] * LANES)


def _broadcast(builder, scalar):
    single = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), scalar, ir.Constant(_INT, 0))
    return builder.shuffle_vector(single, ir.Constant(_FLOATS, ir.Undefined), _constant(0, _INTS))


def _pointer(context, builder, array_type, array, index, kind):
    """Address of element `index` of a C-contiguous float32 array of one dimension, as a pointer to `kind`."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _call(builder, name, vector):
    """Call LLVM's intrinsic `name` for sixteen floats."""
    kind = ir.FunctionType(_FLOATS, [_FLOATS])
    return builder.call(get_or_insert_function(builder.module, kind, f"{name}.v{LANES}f32"), [vector])


def _smaller(builder, a, b):
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


@intrinsic
def splat(typingctx, x):
    """splat(x) -> vector: every lane is the float32 `x`."""

    def codegen(context, builder, sig, args):
        return _broadcast(builder, context.cast(builder, args[0], sig.args[0], types.float32))

    return VECTOR(x), codegen


@intrinsic
def load(typingctx, array, index):
    """load(array, index) -> vector: array[index : index + 16]."""

    def codegen(context, builder, sig, args):
        return builder.load(_pointer(context, builder, sig.args[0], args[0], args[1], _FLOATS), align=4)

    return VECTOR(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, vector):
    """store(array, index, vector): array[index : index + 16] = vector."""

    def codegen(context, builder, sig, args):
        builder.store(args[2], _pointer(context, builder, sig.args[0], args[0], args[1], _FLOATS), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, VECTOR), codegen


def _masked(builder, kind, name, arguments):
    """Call LLVM's intrinsic for a masked access to sixteen floats."""
    function_type = ir.FunctionType(kind, [argument.type for argument in arguments])
    name = f"{name}.v{LANES}f32.p0v{LANES}f32"
    return builder.call(get_or_insert_function(builder.module, function_type, name), arguments)


@intrinsic
def load_where(typingctx, array, index, mask):
    """load_where(array, index, mask) -> vector: array[index + i] in lane i where `mask` is true, else 0."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1], _FLOATS)
        return _masked(builder, _FLOATS, "llvm.masked.load", [pointer, ir.Constant(_INT, 4), args[2], _constant(0.0)])

    return VECTOR(array, types.intp, MASK), codegen


@intrinsic
def store_where(typingctx, array, index, vector, mask):
    """store_where(array, index, vector, mask): array[index + i] = lane i of the vector, where `mask` is true."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1], _FLOATS)
        _masked(builder, ir.VoidType(), "llvm.masked.store", [args[2], pointer, ir.Constant(_INT, 4), args[3]])
        return context.get_dummy_value()

    return types.void(array, types.intp, VECTOR, MASK), codegen


@intrinsic
def broadcast(typingctx, array, index):
    """broadcast(array, index) -> vector: every lane is array[index]."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1], _FLOAT)
        return _broadcast(builder, builder.load(pointer, align=4))

    return VECTOR(array, types.intp), codegen


@intrinsic
def prefetch(typingctx, array, index):
    """prefetch(array, index): fetch the memory around element `index` into the cache; it need not exist."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1], ir.IntType(8))
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, _INT, _INT, _INT])
        function = get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        # for reading, into the first cache, of data
        builder.call(function, [pointer, *(ir.Constant(_INT, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def minimum(typingctx, a, b):
    """minimum(a, b) -> vector: the smaller value in each lane."""
    return VECTOR(VECTOR, VECTOR), lambda context, builder, sig, args: _smaller(builder, *args)


@intrinsic
def maximum(typingctx, a, b):
    """maximum(a, b) -> vector: the larger value in each lane."""

    def codegen(context, builder, sig, args):
        a, b = args
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    return VECTOR(VECTOR, VECTOR), codegen


@intrinsic
def absolute(typingctx, a):
    """absolute(a) -> vector: |a| in each lane."""
    return VECTOR(VECTOR), lambda context, builder, sig, args: _call(builder, "llvm.fabs", args[0])


@intrinsic
def select(typingctx, mask, a, b):
    """select(mask, a, b) -> vector: `a` in the lanes where `mask` is true, else `b`."""
    return VECTOR(MASK, VECTOR, VECTOR), lambda context, builder, sig, args: builder.select(*args)


@intrinsic
def bits_of(typingctx, mask):
    """bits_of(mask) -> int: bit i is lane i of the mask."""

    def codegen(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(LANES)), ir.IntType(64))

    return types.int64(MASK), codegen


@intrinsic
def mask_of(typingctx, bits):
    """mask_of(bits) -> mask: lane i is bit i of the integer."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(builder.trunc(args[0], ir.IntType(LANES)), _BOOLS)

    return MASK(types.int64), codegen


@intrinsic
def lowest_bit(typingctx, bits):
    """lowest_bit(bits) -> int: position of the lowest bit that is set; `bits` is not 0."""

    def codegen(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


# exp(x) = 2^n 2^f with n a whole number and |f| <= 1/2; 2^f from the polynomial of degree 5 through the Chebyshev
# nodes, whose error is 1e-7.
_NODES = 0.5 * np.cos(np.pi * (np.arange(6) + 0.5) / 6)
_POLYNOMIAL = np.polynomial.polynomial.polyfit(_NODES, 2.0**_NODES, 5)


@intrinsic
def exp_minus_half(typingctx, x):
    """exp_minus_half(x) -> vector: exp(-x / 2) for x >= 0; below 1e-37 it stays at about 1e-37."""

    def codegen(context, builder, sig, args):
        bounded = _smaller(builder, args[0], _constant(170.0))
        power = builder.fmul(bounded, _constant(-0.5 * np.log2(np.e)), flags=_FLAGS)
        whole = _call(builder, "llvm.rint", power)
        fraction = builder.fsub(power, whole, flags=_FLAGS)
        result = _constant(_POLYNOMIAL[-1])
        for coefficient in _POLYNOMIAL[-2::-1]:
            product = builder.fmul(result, fraction, flags=_FLAGS)
            result = builder.fadd(product, _constant(coefficient), flags=_FLAGS)
        exponent = builder.shl(builder.fptosi(whole, _INTS), _constant(23, _INTS))
        return builder.bitcast(builder.add(builder.bitcast(result, _INTS), exponent), _FLOATS)

    return VECTOR(VECTOR), codegen


@intrinsic
def transpose(typingctx, source, index, stride, target, place, step):
    """transpose(source, index, stride, target, place, step): 16 x 16 floats with rows and columns swapped.

    target[place + i * step + j] = source[index + j * stride + i] for i and j below 16.
    """

    def codegen(context, builder, sig, args):
        source, index, stride, target, place, step = args

        def address(array, kind, start, distance, i):
            at = builder.add(start, builder.mul(distance, ir.Constant(start.type, i)))
            return _pointer(context, builder, kind, array, at, _FLOATS)

        rows = [builder.load(address(source, sig.args[0], index, stride, i), align=4) for i in range(LANES)]
        # Four times the first half of the rows is interleaved with the second: each time an index bit moves on.
        low = ir.Constant(_INTS, [i // 2 + LANES * (i % 2) for i in range(LANES)])
        high = ir.Constant(_INTS, [LANES // 2 + i // 2 + LANES * (i % 2) for i in range(LANES)])
        for _ in range(4):
            pairs = zip(rows[: LANES // 2], rows[LANES // 2 :])
            rows = [builder.shuffle_vector(a, b, half) for a, b in pairs for half in (low, high)]
        for i, row in enumerate(rows):
            builder.store(row, address(target, sig.args[3], place, step, i), align=4)
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target, types.intp, types.intp), codegen


@intrinsic
def add_sums(typingctx, array, index, a, b, c, d, e, f, g, h):
    """add_sums(array, index, a ... h): add the sums over the lanes of eight vectors to array[index : index + 8]."""

    def codegen(context, builder, sig, args):
        def shuffle(x, y, lanes):
            return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(_INT, len(lanes)), lanes))

        def halves(x, y):
            low, high = list(range(8)), list(range(8, 16))
            first = shuffle(x, y, low + [16 + i for i in low])
            return builder.fadd(first, shuffle(x, y, high + [16 + i for i in high]), flags=_FLAGS)

        def quarters(x, y):
            even, odd = [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]
            first = shuffle(x, y, even + [16 + i for i in even])
            return builder.fadd(first, shuffle(x, y, odd + [16 + i for i in odd]), flags=_FLAGS)

        def pairs(x, y):
            first, second = [], []
            for quarter in range(0, LANES, 4):
                first += [quarter, quarter + 1, 16 + quarter, 17 + quarter]
                second += [quarter + 2, quarter + 3, 18 + quarter, 19 + quarter]
            return builder.fadd(shuffle(x, y, first), shuffle(x, y, second), flags=_FLAGS)

        v = args[2:]
        left = quarters(halves(v[0], v[1]), halves(v[2], v[3]))
        right = quarters(halves(v[4], v[5]), halves(v[6], v[7]))
        both = pairs(left, right)
        sums = builder.fadd(
            shuffle(both, both, [0, 4, 8, 12, 2, 6, 10, 14]),
            shuffle(both, both, [1, 5, 9, 13, 3, 7, 11, 15]),
            flags=_FLAGS,
        )
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1], ir.VectorType(_FLOAT, 8))
        builder.store(builder.fadd(builder.load(pointer, align=4), sums, flags=_FLAGS), pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, *(VECTOR,) * 8), codegen
