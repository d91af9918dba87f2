"""The engine: from the gradients of what comes out to the gradients of what went in.

It walks back over applications of ops, nodes of a graph or records of a tape, and asks the rule of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

from symgraph.autodiff.bodies import Found, through_body
from symgraph.autodiff.expansion import is_defined, through_expansion
from symgraph.autodiff.lifting import lift_node
from symgraph.autodiff.straight_through import is_quantized
from symgraph.core.errors import GradientError
from symgraph.core.gradient import Application, GradientRule, find_rule, why_without
from symgraph.core.graph import node_graphs
from symgraph.core.scope import in_place_of
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import SequenceType, TensorType, is_floating
from symgraph.ops.applying import apply
from symgraph.ops.creation import zeros_like
from symgraph.ops.sequence_gradient import add_sequences
from symgraph.ops.summing import sum_to


def backpropagate(applications: Sequence[Application], ys: Sequence[Operand], dys: Sequence[Operand],
                  xs: Iterable[Operand]) -> dict[Operand, Operand]:
    """The gradients of the `xs` that `ys` depend on, given those of `ys`: `dx = Σ dy · ∂y/∂x`.

    `applications` come in the order in which they ran.

    Errors: `GradientError` naming every op on the way that has no rule, before anything is made.
    """
    xs = tuple(xs)
    carriers, path = _path(applications, ys, xs)
    _require_rules(path)
    found: dict[Operand, list[Operand]] = {}
    for y, dy in zip(ys, dys, strict=True):
        found.setdefault(y, []).append(dy)
    for each in reversed(path):
        gradients = tuple(None if y is None else _total(found, y) for y in each.outputs)
        if all(dy is None for dy in gradients):
            continue
        with _in_place_of(each):
            results = _through(each, gradients, carriers)
        for x, dx in results:
            found.setdefault(x, []).append(dx)
    totals = {x: _total(found, x) for x in xs}
    return {x: dx for x, dx in totals.items() if dx is not None}


def _path(applications: Sequence[Application], ys: Iterable[Operand], xs: Iterable[Operand],
          ) -> tuple[set[Operand], list[Application]]:
    """The values that depend on `xs`, and the applications that lie between `xs` and `ys`."""
    carriers = carried_by(applications, xs)
    needed, path = set(ys), []
    for each in reversed(applications):
        if needed.isdisjoint(y for y in each.outputs if y is not None) or why_without(each.op) is not None:
            continue
        inner = [x for x in sources_of(each) if x in carriers]
        if inner:
            needed.update(inner)
            path.append(each)
    return carriers, path[::-1]


def carried_by(applications: Sequence[Application], xs: Iterable[Operand]) -> set[Operand]:
    """The values that depend on `xs`, which are among them."""
    carriers = set(xs)
    for each in applications:
        if why_without(each.op) is None and not carriers.isdisjoint(sources_of(each)):
            carriers.update([y for y in each.outputs if y is not None and (
                carries_gradient(y) or is_quantized(each, y, carriers))])
    return carriers


def sources_of(each: Application) -> list[Operand]:
    """What an application depends on: its operands, and the variables read inside its subgraphs and its body."""
    operands = [x for x in each.operands if x is not None]
    if isinstance(each, Node):
        operands += dict.fromkeys(v for graph in node_graphs(each) for v in graph.variables)
    return operands


def carries_gradient(x: Operand) -> bool:
    """Whether gradients flow through a value: real numbers, and lists of them; unknown types count."""
    value_type = x.type.element if isinstance(x.type, SequenceType) else x.type
    return not isinstance(value_type, TensorType) or is_floating(value_type.dtype)


def _require_rules(path: Iterable[Application]) -> None:
    missing = [each for each in path if each.body is None and find_rule(each.op) is None
               and getattr(each, "gradient", None) is None and not is_defined(each.op)]
    if missing:
        names = list(dict.fromkeys(str(each.op) for each in missing))
        places = ", ".join(dict.fromkeys(each.describe() for each in missing))
        raise GradientError(f"no gradient rule for {', '.join(names)} ({places}); add one with "
                            f'@sg.gradient_of("{missing[0].op.name}"), or cut the path with sg.stop_gradient')


def _in_place_of(each: Application) -> AbstractContextManager[None]:
    return in_place_of(each.layer, each.source) if isinstance(each, Node) else nullcontext()


def _total(found: dict[Operand, list[Operand]], x: Operand) -> Operand | None:
    """The sum of all contributions to the gradient of `x`."""
    parts = found.get(x)
    if parts is None:
        return None
    total = parts[0]
    for part in parts[1:]:
        total = add_sequences(total, part) if isinstance(x.type, SequenceType) else apply("Add", total, part)
    found[x] = [total]
    return total


def _through(each: Application, dys: Found, carriers: set[Operand]) -> list[tuple[Operand, Operand]]:
    """The gradients of what an application depends on, as pairs."""
    each = lift_node(each) if isinstance(each, Node) else each
    sources: list[Operand | None] = list(each.operands)
    sources += sources_of(each)[len([x for x in each.operands if x is not None]):]
    wanted = tuple(x is not None and x in carriers for x in sources)
    own = getattr(each, "gradient", None)
    rule = None if each.body is not None and each.body.gradient is not None else find_rule(each.op)
    if own is not None:
        results = own(*(zeros_like(y) if dy is None else dy for y, dy in zip(each.outputs, dys, strict=True)))
    elif rule is not None and not rule.expands:
        results = _applied(rule, each, dys, wanted)
    elif each.body is None:
        results = through_expansion(rule, each, dys, wanted, backpropagate)
    else:
        results = through_body(each, dys, sources, wanted, backpropagate)
    pairs = []
    for x, dx, is_wanted in zip(sources, results, wanted, strict=False):
        if is_wanted and dx is not None and x is not None:
            pairs.append((x, _fitting(each, x, sum_to(dx, x) if rule is not None and rule.broadcasts else dx)))
    return pairs


def _applied(rule: GradientRule, each: Application, dys: Found, wanted: Sequence[bool]) -> Found:
    if rule.whole:
        results = rule.function(each, dys, wanted)
    elif rule.every_output:
        results = rule.function(dys, each.outputs, *each.inputs, **each.attributes)
    elif dys[0] is None:
        raise GradientError(f"{each.describe()}: only its first output has a gradient")
    else:
        results = rule.function(dys[0], each.outputs[0], *each.inputs, **each.attributes)
    results = tuple(results) if isinstance(results, tuple | list) else (results,)
    if any(dx is not None and not _is_function(dx) for dx in results[len(wanted):]):  # of inputs that are left out
        raise GradientError(f"the gradient rule of {each.op} gave {len(results)} gradients for {len(wanted)} inputs")
    return tuple(dx() if needed and _is_function(dx) else None if _is_function(dx) else dx
                 for dx, needed in zip(results, wanted, strict=False))


def _is_function(dx: object) -> bool:
    return callable(dx) and not isinstance(dx, Operand)


def _fitting(each: Application, x: Operand, dx: Operand) -> Operand:
    """`dx`, which must look like `x`.

    Errors: `GradientError` naming the rule that is wrong.
    """
    if isinstance(x.type, TensorType) and isinstance(dx.type, TensorType) and (
            (carries_gradient(x) and x.type.dtype != dx.type.dtype) or not _is_alike(x.type, dx.type)):
        raise GradientError(f"the gradient rule of {each.op} gave {dx.type} for an operand of {x.type}")
    return dx


def _is_alike(a: TensorType, b: TensorType) -> bool:
    if a.shape is None or b.shape is None:
        return True
    return len(a.shape) == len(b.shape) and all(
        m == n for m, n in zip(a.shape, b.shape, strict=True) if isinstance(m, int) and isinstance(n, int))
