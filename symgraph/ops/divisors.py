"""The greatest common divisor and the least common multiple."""

from __future__ import annotations

from typing import cast

from symgraph.core.errors import DtypeError
from symgraph.core.tensor import Operand, method
from symgraph.core.types import is_integer
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import absolute, add, multiply
from symgraph.ops.comparison import equal, not_equal
from symgraph.ops.division import floor_divide
from symgraph.ops.loops import while_loop
from symgraph.ops.promotion import as_operand, promote
from symgraph.ops.reductions import any

__all__ = ["gcd", "lcm"]


def _integers(who: str, x1: object, x2: object) -> tuple[Operand, Operand]:
    x, y = promote(x1, x2)
    if not is_integer(x.dtype):
        raise DtypeError(f"{who}: works on integers, got {x.type}; cast it first")
    zeros = multiply(add(x, y), as_operand(0, x.dtype))
    return add(absolute(x), zeros), add(absolute(y), zeros)


@method
def gcd(x1: object, x2: object) -> Operand:
    """The greatest common divisor of `|x1|` and `|x2|`, by Euclid; `gcd(0, 0)` is 0.

    Errors: `DtypeError` for what is not integers.
    """
    x, y = _integers("gcd", x1, x2)
    found = while_loop(lambda a, b: any(not_equal(b, 0)), _euclid, (x, y))
    return cast(Operand, found[0])


def _euclid(a: Operand, b: Operand) -> tuple[Operand, Operand]:
    is_done = equal(b, 0)
    rest = apply("Mod", a, apply("Where", is_done, as_operand(1, a.dtype), b))
    return apply("Where", is_done, a, b), apply("Where", is_done, b, rest)


@method
def lcm(x1: object, x2: object) -> Operand:
    """The least common multiple of `|x1|` and `|x2|`; 0 where one of them is 0.

    Errors: `DtypeError` for what is not integers.
    """
    x, y = _integers("lcm", x1, x2)
    divisor = gcd(x, y)
    return multiply(floor_divide(x, apply("Max", divisor, as_operand(1, divisor.dtype))), y)
