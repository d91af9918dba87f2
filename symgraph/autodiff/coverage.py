"""Which operators of the ONNX standard are differentiable here: the table behind `docs/gradients.md`.

`python -c "from symgraph.autodiff.coverage import page; print(page(), end='')"` prints the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from onnx import defs
from onnx.defs import OpSchema

from symgraph.autodiff.expansion import is_defined
from symgraph.core.gradient import find_rule, why_without
from symgraph.core.op import Op, find_op

OLDEST = 7
"""Files from this opset on are imported."""


@dataclass(frozen=True)
class Coverage:
    """One version of one operator: `state` is "rule", "definition" (by other operators), "none" or "missing"."""

    name: str
    version: int
    state: str
    reason: str = ""


@cache
def coverage() -> tuple[Coverage, ...]:
    """Every version of every standard operator that an imported file may hold, by name."""
    rows = []
    for schema in defs.get_all_schemas_with_history():
        if schema.domain or schema.deprecated:
            continue
        op = find_op(schema.name, "", schema.since_version)
        if op.last_version >= OLDEST:
            rows.append(_covered(op))
    return tuple(sorted(rows, key=lambda row: (row.name, row.version)))


def _covered(op: Op) -> Coverage:
    reason = why_without(op)
    if reason is not None:
        return Coverage(op.name, op.version, "none", reason)
    if find_rule(op) is not None:
        return Coverage(op.name, op.version, "rule")
    if not _has_real_output(op):
        return Coverage(op.name, op.version, "none", "its outputs are not real numbers")
    return Coverage(op.name, op.version, "definition" if is_defined(op) else "missing")


def _has_real_output(op: Op) -> bool:
    """Whether any output may hold floating-point numbers; ONNX's schema says which types it may have."""
    assert op.schema is not None
    return any(_is_real(op.schema, parameter.type_str) for parameter in op.schema.outputs)


def _is_real(schema: OpSchema, type_str: str) -> bool:
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    return any("float" in t or "double" in t for t in allowed.get(type_str, [type_str]))


def page() -> str:
    """The page of the documentation, as Markdown."""
    rows = coverage()
    names = list(dict.fromkeys(row.name for row in rows))
    counts = {state: len({row.name for row in rows if row.state == state}) for state in ("rule", "definition", "none")}
    lines = [
        "# Gradients of the ONNX operators", "",
        "Made by `symgraph.autodiff.coverage.page()`; a test keeps it true.", "",
        f"Of {len(names)} operators of the standard, in all versions from opset {OLDEST} on, "
        f"{counts['rule']} have a rule, {counts['definition']} are differentiated through ONNX's own definition by "
        f"other operators, and {counts['none']} pass no gradient on.", "",
        "| operator | gradient |", "|---|---|"]
    words = {"rule": "yes", "definition": "by its definition"}
    for name in names:
        own = [row for row in rows if row.name == name]
        states = dict.fromkeys(words.get(row.state) or f"no: {row.reason or 'missing'}" for row in own)
        lines.append(f"| {name} | {'; '.join(states)} |")
    return "\n".join(lines) + "\n"
