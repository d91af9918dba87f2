"""Nodes of old operator versions become those of the opset that symgraph writes."""

from __future__ import annotations

from symgraph.core.errors import UnsupportedOpError
from symgraph.core.graph import Graph
from symgraph.core.op import DEFAULT_OPSETS
from symgraph.passes.exactness import relaxed
from symgraph.runtime.opsets import choose_opsets, convert, graph_ops, stands_in


@relaxed
def upgrade_opset(graph: Graph) -> Graph:
    """A graph of an old file -> the same at opset 21, so that newer operators may stand in it.

    A graph stays as it is where an operator cannot be converted, or is newer. Relaxed, because ONNX Runtime's kernels
    for another version (AveragePool 7 and 21) may round differently.
    """
    opset = DEFAULT_OPSETS[""]
    ops = [op for op in graph_ops(graph) if not op.domain]
    if any(op.version > opset for op in ops) or choose_opsets(graph)[""] >= opset:
        return graph
    count, names = len(graph.outputs), graph.output_names
    whole = graph.with_outputs((*graph.outputs, *graph.pinned.values()))
    if not all(stands_in(op, opset) for op in ops):
        try:
            whole = convert(whole, opset)
        except UnsupportedOpError:
            return graph
    pinned = dict(zip(graph.pinned, whole.outputs[count:], strict=True))
    return Graph(graph.inputs, whole.outputs[:count], output_names=names, input_names=graph.input_names,
                 captures=graph.captures, pinned=pinned, name=graph.name, opsets={**graph.opsets, "": opset},
                 metadata=graph.metadata)
