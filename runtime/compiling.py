"""From a legalised graph to an ONNX Runtime session: weights handed over, errors put into our words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnx import ModelProto, TensorProto

from symgraph.core.errors import ResourceError, RunError, SymgraphError, UnsupportedOpError
from symgraph.core.graph import Graph
from symgraph.core.scope import describe_place
from symgraph.core.snapshots import steady
from symgraph.core.tensor import Node, SymbolicTensor
from symgraph.core.types import ELEM_TYPES
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.runtime.exporter import to_model
from symgraph.runtime.feeds import PACKED, as_ort_value
from symgraph.runtime.guards import refusal
from symgraph.runtime.leaf_order import order_leaves
from symgraph.runtime.ort import failed_node, failure_reason, is_out_of_memory, onnxruntime
from symgraph.runtime.tensors import write_tensor

Provider = str | tuple[str, dict[str, Any]]

INLINE_BYTES = 65536
"""Weights larger than this are handed to ONNX Runtime as they are, not through protobuf (which ends at 2 GB)."""


def open_session(graph: Graph, options: Any, providers: Sequence[Provider], *, variables_as_inputs: bool = False,
                 without: Sequence[str] = (), is_step: bool = False) -> Any:
    """Compile a legalised graph. Nodes are called after their first output, so that they are found again.

    With `variables_as_inputs` variables are no weights but inputs, under their names, after the others. `without` names
    optimisations of ONNX Runtime's that are left out. `is_step` puts nodes in the order that suits updates.

    Errors: `RunError`, `ResourceError` or `UnsupportedOpError` with ONNX Runtime's reason.
    """
    ort = onnxruntime()
    with steady(() if variables_as_inputs else graph.variables):
        exported = to_model(graph, keep_weights_out=True, allow_newer=True, variables_as_inputs=variables_as_inputs)
        model = exported.model
        handed_over = {name: leaf for name, leaf in exported.weights.items() if not _add_inline(model, name, leaf)}
        values = [as_ort_value(leaf.numpy()) for leaf in handed_over.values()]  # live until the session has copied them
    if values:
        options.add_external_initializers(list(handed_over), values)
    if is_step:
        order_leaves(model.graph)
    for node in model.graph.node:
        node.name = next((name for name in node.output if name), node.name)
    try:
        return ort.InferenceSession(model.SerializeToString(), options, providers=list(providers),
                                    disabled_optimizers=list(without))
    except Exception as error:
        raise compile_error(graph, error) from None


def _add_inline(model: ModelProto, name: str, leaf: Tensor | Variable) -> bool:
    """Write a small weight into the model, of a large one only what it is and that it lies elsewhere."""
    array = leaf.numpy()
    if array.nbytes <= INLINE_BYTES or leaf.dtype == "string" or leaf.dtype in PACKED:
        write_tensor(model.graph.initializer.add(), array, name)
        return True
    stub = TensorProto(name=name, dims=array.shape, data_type=ELEM_TYPES[leaf.dtype],
                       data_location=TensorProto.EXTERNAL)
    stub.external_data.add(key="location", value="handed over in memory")
    model.graph.initializer.append(stub)
    return False


def compile_error(graph: Graph, error: Exception) -> SymgraphError:
    """The error for a graph that ONNX Runtime does not compile."""
    text = f"ONNX Runtime cannot compile graph {graph.name!r}: {failure_reason(error)}"
    if is_out_of_memory(error):
        return ResourceError(text)
    return UnsupportedOpError(text) if type(error).__name__ == "NotImplemented" else RunError(text)


def run_error(graph: Graph, error: Exception) -> SymgraphError:
    """The error for a run that failed, with the node at fault and the user's line it came from."""
    reason = failure_reason(error)
    node = _find_node(graph, failed_node(error))
    if node is None:
        who, place = f"graph {graph.name!r}", ""
    elif refusal(node):
        return RunError(f"{refusal(node)}{describe_place(node.layer, node.source)}")
    else:
        operands = ", ".join(f"{node.op.input_name(i)}: {x.type or '?'}" for i, x in enumerate(node.inputs)
                             if x is not None)
        who, place = f"{node.op}({operands})", describe_place(node.layer, node.source)
    kind = ResourceError if is_out_of_memory(error) else RunError
    return kind(f"{who}: {reason}{place}")


def _find_node(graph: Graph, name: str) -> Node | None:
    """The node whose first output has this name."""
    for x, known in graph.names.items():
        if known == name and isinstance(x, SymbolicTensor):
            return x.node
    return None
