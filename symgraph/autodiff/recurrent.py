"""Gradients of the recurrent operators: in closed form with their usual activations, else through a Scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgraph.autodiff.backward import backpropagate
from symgraph.autodiff.bodies import Found
from symgraph.autodiff.expansion import through_expansion
from symgraph.core.apply import apply_op
from symgraph.core.composite import apply_composite
from symgraph.core.gradient import NEWEST, Application, GradientRule, gradient_of
from symgraph.core.tensor import Operand
from symgraph.ops.recurrent import directions, gru, lstm, rnn
from symgraph.ops.recurrent_gradient import recurrent_gradient
from symgraph.ops.sizes import of_rank

INPUTS = {"X": 3, "W": 3, "R": 3, "B": 2, "sequence_lens": 1, "initial_h": 3, "initial_c": 3}
"""The inputs that the closed form takes, with their ranks, which a file may leave open."""

OUTPUTS = {"dY": 4, "dY_h": 3, "dY_c": 3}

_USUAL = {"RNN": ("tanh",), "GRU": ("sigmoid", "tanh"), "LSTM": ("sigmoid", "tanh", "tanh")}


def _register(kind: str, function: Callable[..., Any]) -> None:
    general = GradientRule(function, 7, NEWEST, expands=True)

    @gradient_of(kind, first=7, whole=True)
    def gradient(each: Application, dys: Found, wanted: Sequence[bool]) -> Found:
        if not _is_usual(each):
            return through_expansion(general, each, dys, wanted, backpropagate)
        given: dict[str, Operand] = {name: x for name, x in zip(INPUTS, each.inputs, strict=False) if x is not None}
        y = each.outputs[0]
        given["Y"] = apply_op(each.op, *each.inputs, **each.attributes) if y is None else y
        given.update((name, dy) for name, dy in zip(OUTPUTS, dys, strict=False) if dy is not None)
        given = {name: of_rank(x, {**INPUTS, **OUTPUTS, "Y": 4}[name]) for name, x in given.items()}
        needed = tuple(name for name, is_wanted in zip(INPUTS, wanted, strict=False) if is_wanted)
        found = apply_composite(
            f"{kind}Grad", recurrent_gradient, *given.values(), kind=kind, names=tuple(given), wanted=needed,
            reversed=directions(each.attributes.get("direction", "forward")),
            is_linear=bool(each.attributes.get("linear_before_reset", 0)))
        results = dict(zip(needed, [found] if len(needed) == 1 else found, strict=True))
        return tuple(results.get(name) for name, _ in zip(INPUTS, each.inputs, strict=False))


def _is_usual(each: Application) -> bool:
    """Whether there are no peepholes, and no options but the direction and `linear_before_reset`."""
    options = each.attributes
    names = [x.decode() if isinstance(x, bytes) else str(x) for x in options.get("activations") or ()]
    usual = _USUAL[each.op.name]
    return (len(each.inputs) <= len(INPUTS) or each.inputs[len(INPUTS)] is None) and not (
        options.get("clip") or options.get("input_forget") or options.get("layout")) and tuple(
        name.lower() for name in names) in ((), usual, usual + usual)


_register("RNN", rnn)
_register("GRU", gru)
_register("LSTM", lstm)
