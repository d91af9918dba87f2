"""Gradient rules: for each op what the gradients of its inputs are, given those of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from symgraph.core.graph import Graph
from symgraph.core.op import Op
from symgraph.core.tensor import Node, Operand

NEWEST = 10**9

Gradients = Sequence["Operand | Callable[[], Operand | None] | None"]
"""One gradient an input: an operand, a function that makes it where it is wanted, or None for none."""

F = TypeVar("F", bound=Callable[..., Any])


class Application(Protocol):
    """An op applied to operands: a node of a graph, or what a tape has seen."""

    op: Op

    @property
    def inputs(self) -> tuple[Operand | None, ...]: ...
    @property
    def operands(self) -> tuple[Operand | None, ...]: ...
    @property
    def outputs(self) -> tuple[Operand | None, ...]: ...
    @property
    def attributes(self) -> Mapping[str, Any]: ...
    @property
    def body(self) -> Graph | None: ...
    def describe(self) -> str: ...


@dataclass(frozen=True)
class GradientRule:
    """`function(dy, y, *inputs, **attributes)`: one gradient an input, a single one bare, None for none.

    With `every_output` it is `function(dys, ys, *inputs, **attributes)`, tuples with None for what is absent. With
    `broadcasts` gradients come in the shape of the output, and are summed to that of the input by the engine.
    With `whole` it is `function(application, dys, wanted)`, with one gradient for each of `application.operands`,
    None where it is not `wanted`.
    With `expands` it is `function(*inputs, **attributes)`, which computes the outputs by other ops: they have rules.
    """

    function: Callable[..., Any]
    first: int
    last: int
    broadcasts: bool = False
    every_output: bool = False
    whole: bool = False
    expands: bool = False


_RULES: dict[tuple[str, str], list[GradientRule]] = {}
_WITHOUT: dict[tuple[str, str], str] = {}

Expander = Callable[[Node], "Graph | None"]
_EXPANDERS: list[Expander] = []


def register_expander(expander: Expander) -> None:
    """Say who knows the definitions by other ops that ONNX gives for some of its own; the runtime does."""
    _EXPANDERS[:] = [expander]


def definition_of(node: Node) -> Graph | None:
    """ONNX's own definition of a node's op by other ops, from the inputs that are there; None where it has none."""
    return _EXPANDERS[0](node) if _EXPANDERS else None


def gradient_of(*names: str, domain: str = "", first: int = 1, last: int = NEWEST, broadcasts: bool = False,
                every_output: bool = False, whole: bool = False) -> Callable[[F], F]:
    """Register the gradient rule of the ops called `names`, in their versions `first` to `last`.

    `rule(dy, y, *inputs, **attributes)` returns one gradient an input, None for none; `GradientRule` tells of other
    forms. It is plain calculus made of ops: no shape repair, no reading of values. Attributes left out take the rule's
    own defaults, which are ONNX's. An entry of what it returns may be a function without arguments, which is called
    only where that gradient is wanted. A rule registered later takes the place of an earlier one:

        @sg.gradient_of("Round")
        def straight(dy, y, x):
            return dy
    """

    def register(function: F) -> F:
        rule = GradientRule(function, first, last, broadcasts, every_output, whole)
        _register(rule, names, domain)
        return function

    return register


def _register(rule: GradientRule, names: tuple[str, ...], domain: str) -> None:
    """The last rule registered counts, also over a reason to have none."""
    for name in names:
        _RULES.setdefault((domain, name), []).insert(0, rule)
        _WITHOUT.pop((domain, name), None)


def expansion_of(*names: str, domain: str = "", first: int = 1, last: int = NEWEST) -> Callable[[F], F]:
    """Register `function(*inputs, **attributes)`, which computes what the ops called `names` do by other ops.

    It returns all outputs, one bare. The gradients go through those ops, in one node `NameGrad`.
    """

    def register(function: F) -> F:
        rule = GradientRule(function, first, last, expands=True)
        _register(rule, names, domain)
        return function

    return register


def not_differentiable(reason: str, *names: str, domain: str = "") -> None:
    """Say that the ops called `names` pass no gradients on, and why."""
    _WITHOUT.update(((domain, name), reason) for name in names)


def find_rule(op: Op) -> GradientRule | None:
    """The rule of an op in its version, if there is one."""
    for rule in _RULES.get((op.domain, op.name), ()):
        if rule.first <= op.version <= rule.last:
            return rule
    return None


def why_without(op: Op) -> str | None:
    """Why an op passes no gradients on; None where nobody has said that it does not."""
    return _WITHOUT.get((op.domain, op.name))
