"""What an old file writes out becomes an operator that came later."""

from __future__ import annotations

from symgraph.core.graph import Graph
from symgraph.passes.exactness import relaxed
from symgraph.passes.recognize_activations import recognize_activations
from symgraph.passes.recognize_normalization import recognize_normalization
from symgraph.passes.upgrade_opset import upgrade_opset


@relaxed
def use_newer_operators(graph: Graph) -> Graph:
    """A graph of an old opset -> the same at opset 21, where activations or normalisations are recognised there.

    Where none is, the graph stays at the opset it has. Rounds differently.
    """
    newer = upgrade_opset(graph)
    if newer is graph:
        return graph
    found = recognize_normalization(recognize_activations(newer))
    return graph if found is newer else found
