"""Every operator of the standard has a rule, or a reason to have none, and a case that checks the rule."""

import inspect
from pathlib import Path

import pytest
from onnx import defs

import symgraph as sg
from symgraph.autodiff.coverage import coverage, page
from symgraph.core.gradient import _RULES, find_rule, why_without
from symgraph.core.graph import node_graphs
from symgraph.core.op import find_op
from tests.autodiff.test_rules import CASES

ROOT = Path(__file__).parents[2]
ROWS = coverage()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}-{row.version}")
def test_an_operator_has_a_rule_or_a_reason(row) -> None:
    assert row.state != "missing"


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.state == "rule"], ids=lambda row: f"{row.name}-{row.version}")
def test_a_rule_takes_all_inputs_and_attributes_of_its_operator(row) -> None:
    op = find_op(row.name, "", row.version)
    rule = find_rule(op)
    if rule.whole:
        return
    schema = op.schema
    variadic = schema.inputs and schema.inputs[-1].option == defs.OpSchema.FormalParameterOption.Variadic
    given = [object()] * (0 if rule.expands else 2) + [object()] * (len(schema.inputs) + bool(variadic))

    inspect.signature(rule.function).bind(*given, **dict.fromkeys(schema.attributes))


def test_no_operator_has_both_a_rule_and_a_reason_to_have_none() -> None:
    both = [name for domain, name in _RULES if not domain and why_without(find_op(name)) is not None]

    assert both == []


def test_every_rule_is_checked_by_a_case() -> None:
    seen: set[str] = set()

    def look(graph) -> None:
        for node in graph.nodes:
            seen.add(node.op.name)
            for inner in node_graphs(node):
                look(inner)

    for case in CASES:
        symbols = [sg.symbol(x.shape, case.dtype if not case.float32 else "float32") for x in case.point]
        outputs = case.function(*symbols)
        outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
        look(sg.Graph(symbols, outputs))
        look(sg.Graph(symbols, sg.gradients(outputs, symbols, unconnected_gradients="zero")))
    unseen = sorted(name for _, name in _RULES if name not in seen)

    # test_checkpoint.py checks the first; the others refuse, as tests/ops/test_random.py checks
    assert unseen == ["Checkpoint", "RandomBeta", "RandomGamma"]


def test_the_page_of_the_documentation_is_up_to_date() -> None:
    assert (ROOT / "docs" / "gradients.md").read_text() == page()
