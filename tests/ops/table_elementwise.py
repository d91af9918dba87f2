"""Arithmetic, division, powers, rounding, comparison, logic and bits against NumPy."""

import numpy as np
import scipy.special

from symgraph import ops
from tests.ops.table import ALL_DTYPES, FLOAT_DTYPES, INT_DTYPES, NUMBER_DTYPES, Row, shapes, special

INF, NAN = np.inf, np.nan
EDGES = special((NAN, INF, -INF, -0.0, 0.0, 0.5, -1.5, 2.5, -7.0, 1e30, -1e-30))
A = (NAN, 1, NAN, INF, -INF, INF, -INF, 1, -1, 0.0, -0.0, 0.0, -0.0, 1, -1, 7, -7, 7, -7, 1.0, 1e30)
B = (1, NAN, NAN, INF, INF, -INF, -INF, INF, INF, 0.0, 0.0, -0.0, -0.0, 0.0, 0.0, 2, 2, -2, -2, 0.1, 3.0)
EDGE_PAIRS = special(A, B)
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
SMALL = ("int8", "int16", *UNSIGNED)
WIDE_INTS = (*INT_DTYPES, *SMALL)
WIDE = (*NUMBER_DTYPES, *SMALL, "float16")


def unary(name, reference, *, low=-3.0, high=3.0, dtypes=FLOAT_DTYPES, edges=True, **options):
    cases = shapes(1, low, high)
    if edges and all("float" in d for d in dtypes):
        cases["edges"] = EDGES
    return Row(name, getattr(ops, name), cases, reference, dtypes, **options)


def binary(name, reference, *, low=-3.0, high=3.0, dtypes=NUMBER_DTYPES, is_nonzero=False, **options):
    return Row(name, getattr(ops, name), shapes(2, low, high, is_nonzero=is_nonzero), reference, dtypes, **options)


def edge_pairs(name, reference, **options):
    return Row(f"{name} at the edges", getattr(ops, name), {"edges": EDGE_PAIRS}, reference, FLOAT_DTYPES, **options)


def as_float(function):
    """NumPy's function in the float dtype that integers are computed in here."""
    return lambda *xs: function(*(x if x.dtype.kind == "f" else x.astype(np.float32) for x in xs))


def extremes(rng, dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    x = np.array([low, low, low, low + 1, high, high, -7, -7, 7, 7, -6, 0, -1, 1], dtype)
    y = np.array([-1, 1, 2, -1, -1, 3, 2, -2, 2, -2, 2, -1, low, high], dtype)
    return x, y


def without_flips(function):
    """NumPy's quotient, with the wrapped negative for a division by -1, where NumPy warns."""
    return lambda x, y: np.where(y == -1, -x, function(x, np.where(y == -1, 1, y)))


ROWS = [
    binary("add", np.add, dtypes=(*WIDE, "bool")),
    binary("subtract", np.subtract, dtypes=WIDE),
    binary("multiply", np.multiply, dtypes=(*WIDE, "bool")),
    binary("true_divide", as_float(np.true_divide), dtypes=WIDE, is_nonzero=True),
    edge_pairs("true_divide", np.true_divide),
    binary("divide_no_nan", lambda x, y: np.where(y == 0, 0, x / np.where(y == 0, 1, y)), dtypes=FLOAT_DTYPES),
    binary("maximum", np.maximum, dtypes=(*WIDE, "bool")),
    edge_pairs("maximum", np.maximum),
    binary("minimum", np.minimum, dtypes=(*WIDE, "bool")),
    edge_pairs("minimum", np.minimum),
    binary("fmax", np.fmax),
    edge_pairs("fmax", np.fmax),
    edge_pairs("fmin", np.fmin),
    binary("squared_difference", lambda x, y: (x - y) * (x - y)),
    binary("hypot", as_float(np.hypot)),
    Row("hypot at the edges", ops.hypot, {"edges": special((3e30, INF, 0.0, 1e-30, NAN), (4e30, 1.0, 0.0, 1e-30, 1.0))},
        np.hypot),
    binary("copysign", as_float(np.copysign)),
    Row("copysign of zeros", lambda x, y: ops.reciprocal(ops.copysign(x, y)),
        {"edges": special((0.0, -0.0, 0.0, INF), (-0.0, 1.0, 1.0, -0.0))}, lambda x, y: 1 / np.copysign(x, y)),
    binary("heaviside", as_float(np.heaviside)),
    edge_pairs("heaviside", np.heaviside),
    binary("ldexp", lambda x, y: np.ldexp(x, y.astype(int)), dtypes=("float32",), is_nonzero=True,
           not_dtypes={"float32": "see the row below: NumPy's second operand is an integer"}),
    Row("ldexp", ops.ldexp, lambda rng, dtype: (rng.normal(size=(3, 4)).astype(dtype), np.int32([0, 3, -4, 20])),
        lambda x, y: np.ldexp(x, y)),
    unary("negative", np.negative, dtypes=(*WIDE,), edges=False),
    unary("negative", np.negative),
    unary("absolute", np.absolute, dtypes=(*WIDE, "bool")),
    unary("absolute", np.absolute),
    unary("sign", np.sign, dtypes=WIDE),
    unary("sign", np.sign),
    unary("signbit", np.signbit),
    unary("signbit", lambda x: x < 0, dtypes=(*WIDE_INTS, "bool")),
    unary("positive", np.positive),
    unary("fabs", as_float(np.fabs), dtypes=NUMBER_DTYPES),
    unary("square", np.square, dtypes=WIDE),
    unary("reciprocal", np.reciprocal),
    unary("reciprocal", as_float(np.reciprocal), low=1, dtypes=INT_DTYPES),
    unary("real", np.real),
    unary("imag", np.imag, dtypes=NUMBER_DTYPES),
    unary("conj", np.conj),
    unary("angle", as_float(np.angle), dtypes=NUMBER_DTYPES),
    unary("angle", np.angle),

    binary("floor_divide", np.floor_divide, low=-9, high=9, is_nonzero=True),
    binary("floor_divide", np.floor_divide, low=1, high=9, dtypes=SMALL),
    edge_pairs("floor_divide", np.floor_divide),
    Row("floor_divide at the limits", ops.floor_divide, {"limits": extremes}, without_flips(np.floor_divide),
        (*INT_DTYPES, "int8", "int16")),
    binary("mod", np.mod, low=-9, high=9, is_nonzero=True),
    binary("mod", np.mod, low=1, high=9, dtypes=SMALL),
    edge_pairs("mod", np.mod),
    Row("mod at the limits", ops.mod, {"limits": extremes},
        lambda x, y: np.where(y == -1, 0, np.mod(x, np.where(y == -1, 1, y))), (*INT_DTYPES, "int8", "int16")),
    binary("fmod", np.fmod, low=-9, high=9, is_nonzero=True),
    edge_pairs("fmod", np.fmod),
    Row("fmod at the limits", ops.fmod, {"limits": extremes},
        lambda x, y: np.where(y == -1, 0, np.fmod(x, np.where(y == -1, 1, y))), INT_DTYPES),
    binary("divmod", np.divmod, low=-9, high=9, is_nonzero=True),
    Row("// by a number", lambda x: x // 2, shapes(1, -9, 9), lambda x: x // 2, WIDE),
    Row("number //", lambda x: 100 // x, shapes(1, 1, 9), lambda x: 100 // x, NUMBER_DTYPES),
    Row("% by a number", lambda x: x % 3, shapes(1, -9, 9), lambda x: x % 3, WIDE),

    binary("gcd", np.gcd, low=-30, high=30, dtypes=(*INT_DTYPES, "uint8", "int16")),
    binary("lcm", np.lcm, low=-30, high=30, dtypes=INT_DTYPES),

    binary("power", np.power, low=0.1, high=4, dtypes=(*NUMBER_DTYPES, *SMALL)),
    edge_pairs("power", np.power),
    Row("power at the limits", ops.power, {"limits": lambda rng, dtype: (
        np.array([2, -2, 0, 0, 1, -1, -1, 3, 7, 10], dtype),
        np.array([62, 63, 0, 200, 1000, 1001, 1000, 39, 11, 9], dtype))}, np.power, ("int64",)),
    *[Row(f"** {p}", lambda x, p=p: x**p, shapes(1, 0.1, 3), lambda x, p=p: x**p, NUMBER_DTYPES)
      for p in (0, 1, 2, 3, 5, 11)],
    *[Row(f"** {p}", lambda x, p=p: x**p, shapes(1, 0.1, 3), lambda x, p=p: x**p, FLOAT_DTYPES)
      for p in (-1, 0.5, -2.5, 2.0)],
    Row("number **", lambda x: 2**x, shapes(1, 0, 5), lambda x: 2**x, NUMBER_DTYPES),
    unary("sqrt", as_float(np.sqrt), low=0, dtypes=NUMBER_DTYPES),
    unary("sqrt", np.sqrt),
    unary("rsqrt", lambda x: 1 / np.sqrt(x)),
    unary("cbrt", as_float(np.cbrt), dtypes=NUMBER_DTYPES),
    unary("cbrt", np.cbrt),
    Row("float_power", ops.float_power, shapes(2, 1, 3), as_float(np.power), NUMBER_DTYPES),

    *[unary(name, getattr(np, name), dtypes=WIDE) for name in ("floor", "ceil", "trunc")],
    *[unary(name, getattr(np, name)) for name in ("floor", "ceil", "trunc", "rint", "round", "fix")],
    Row("round to 2", lambda x: ops.round(x, 2), shapes(1), lambda x: np.round(x, 2)),
    Row("round to -1", lambda x: ops.round(x, -1), shapes(1, -99, 99), lambda x: np.round(x, -1), NUMBER_DTYPES),
    Row("clip", lambda x: ops.clip(x, 1, 2), shapes(1, 0, 5), lambda x: np.clip(x, 1, 2), WIDE),
    Row("clip at the edges", lambda x: ops.clip(x, -1, 2), {"edges": EDGES}, lambda x: np.clip(x, -1, 2)),
    Row("clip by tensors", ops.clip, shapes(3), lambda x, a, b: np.minimum(np.maximum(x, a), b), NUMBER_DTYPES),
    Row("clip from below", lambda x: ops.clip(x, 1), shapes(1), lambda x: np.maximum(x, 1), NUMBER_DTYPES),
    unary("nan_to_num", np.nan_to_num),
    Row("nan_to_num to numbers", lambda x: ops.nan_to_num(x, 1.0, 2.0, 3.0), {"edges": EDGES},
        lambda x: np.nan_to_num(x, nan=1.0, posinf=2.0, neginf=3.0)),

    *[binary(name, getattr(np, name), dtypes=(*WIDE, "bool")) for name in (
        "equal", "not_equal", "less", "less_equal", "greater", "greater_equal")],
    *[edge_pairs(name, getattr(np, name)) for name in (
        "equal", "not_equal", "less", "less_equal", "greater", "greater_equal")],
    *[binary(name, getattr(np, name), dtypes=ALL_DTYPES) for name in ("logical_and", "logical_or", "logical_xor")],
    unary("logical_not", np.logical_not, dtypes=ALL_DTYPES),
    *[unary(name, getattr(np, name)) for name in ("isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal")],
    *[unary(name, getattr(np, name), dtypes=ALL_DTYPES) for name in ("isnan", "isinf", "isfinite", "isreal")],
    binary("isclose", np.isclose, dtypes=NUMBER_DTYPES),
    edge_pairs("isclose", np.isclose),
    Row("isclose with NaN", lambda x, y: ops.isclose(x, y, rtol=0.1, atol=0.5, equal_nan=True), {"edges": EDGE_PAIRS},
        lambda x, y: np.isclose(x, y, rtol=0.1, atol=0.5, equal_nan=True)),
    binary("allclose", np.allclose),
    Row("array_equal", ops.array_equal, (np.float32([1, 2, 3]), np.float32([1, 2, 3])), np.array_equal, ALL_DTYPES),

    *[binary(name, getattr(np, name), dtypes=(*WIDE_INTS, "bool")) for name in (
        "bitwise_and", "bitwise_or", "bitwise_xor")],
    unary("bitwise_not", np.bitwise_not, dtypes=(*WIDE_INTS, "bool")),
    binary("left_shift", np.left_shift, low=0, high=6, dtypes=WIDE_INTS),
    binary("right_shift", np.right_shift, low=0, high=6, dtypes=WIDE_INTS),
    Row("right_shift of negatives", lambda x: x >> 2, shapes(1, -99, 99), lambda x: x >> 2, INT_DTYPES),

    unary("exp", as_float(np.exp), dtypes=NUMBER_DTYPES),
    *[unary(name, getattr(np, name)) for name in ("exp", "exp2", "expm1", "log", "log1p", "log2", "log10")],
    *[Row(f"{name} near 0", getattr(ops, name), {"small": special(
        (1e-8, -1e-8, 1e-4, -1e-4, 0.03, -0.03, 1e-20, 0.4999, 0.6))}, getattr(np, name))
      for name in ("expm1", "log1p")],
    binary("logaddexp", as_float(np.logaddexp)),
    edge_pairs("logaddexp", np.logaddexp),
    binary("logaddexp2", np.logaddexp2, dtypes=FLOAT_DTYPES),
    binary("xlogy", scipy.special.xlogy, dtypes=FLOAT_DTYPES, low=0),
    unary("sinc", np.sinc, edges=False),
    Row("sinc at 0", ops.sinc, {"zero": special((0.0, -0.0, 1.0, 1e-8))}, np.sinc),
    unary("erf", scipy.special.erf),
    unary("erfc", scipy.special.erfc, rtol=1e-5),
    Row("erfc of large numbers", ops.erfc, {"large": special((-7.0, 4.0, 7.5, 8.5, 9.0))},
        scipy.special.erfc, rtol=1e-5),
    Row("erfinv", ops.erfinv, {**shapes(1, -1, 1), "edges": special((-1, 1, 2, NAN, 0.0, 0.999, 0.99999, 1e-8))},
        scipy.special.erfinv, rtol=3e-6),
    unary("i0", scipy.special.i0, dtypes=("float32",), edges=False),

    unary("sin", as_float(np.sin), dtypes=NUMBER_DTYPES),
    unary("cos", as_float(np.cos), dtypes=NUMBER_DTYPES),
    unary("tan", as_float(np.tan), low=-1.5, high=1.5, dtypes=NUMBER_DTYPES, rtol=1e-5),
    unary("arcsin", np.arcsin, low=-1, high=1),
    unary("arccos", np.arccos, low=-1, high=1),
    *[unary(name, getattr(np, name)) for name in ("arctan", "sinh", "cosh", "tanh", "arcsinh", "deg2rad", "rad2deg")],
    unary("arccosh", np.arccosh, low=1),
    unary("arctanh", np.arctanh, low=-0.99, high=0.99, rtol=4e-6),
    Row("sinh of large and small numbers", ops.sinh, {"far": special((1e-9, -1e-5, 30, -80.5, 0.0))}, np.sinh),
    Row("arcsinh of large and small numbers", ops.arcsinh, {"far": special((1e-9, -1e-5, 3e12, -3e9, 0.0))},
        np.arcsinh),
    binary("arctan2", as_float(np.arctan2)),
    edge_pairs("arctan2", np.arctan2),
]
