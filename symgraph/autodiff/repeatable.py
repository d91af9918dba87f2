"""Bodies that run again on the way back, and must do there what they did before."""

from __future__ import annotations

from symgraph.core.errors import GradientError
from symgraph.core.gradient import Application
from symgraph.core.graph import Graph, node_graphs
from symgraph.core.tensor import Node
from symgraph.core.value import Tensor

_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}


def require_repeatable(each: Application) -> None:
    """Errors: `GradientError` where a body of `each` has operators that draw other random numbers each time."""
    waiting = [graph for graph in each.attributes.values() if isinstance(graph, Graph)]
    while waiting:
        for node in waiting.pop().nodes:
            waiting += node_graphs(node)
            if not node.op.domain and (node.op.name in _RANDOM or _drops(node)):
                raise GradientError(f"{each.describe()}: {node.describe()} inside of it draws other numbers each time, "
                                    "so the way back would not fit; draw them before, as an input")


def _drops(node: Node) -> bool:
    training = node.inputs[2] if node.op.name == "Dropout" and len(node.inputs) > 2 else None
    return training is not None and not (isinstance(training, Tensor) and not training.numpy().any())
