"""Empty tensors kept away from kernels that would take the process with them.

Measured on ONNX Runtime 1.31: LSTM and GRU end the process at a batch of 0, GRU also at a sequence or an input size of
0, InstanceNormalization where there is a channel but nothing in it, attention without heads or their size,
GroupQueryAttention at a batch of 0 as well; Conv of no channels, where it pads, does not come back, nor with an empty
kernel (looked after where it is known, for a check of each would cost time).
Where all sizes are known and none is 0, nothing is added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import numpy as np

from symgraph.core.apply import placeholder
from symgraph.core.errors import UnsupportedOpError
from symgraph.core.graph import Graph, copy_node
from symgraph.core.inference import infer_types
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import Shape, TensorType, numpy_dtype
from symgraph.runtime.functions import constant

Outputs = tuple[Operand | None, ...]
Legalize = Callable[[Graph], Graph]

RECURRENT = frozenset({"LSTM", "GRU"})
_REASONS: WeakKeyDictionary[Node, str] = WeakKeyDictionary()


def refusal(node: Node) -> str:
    """What a guard that failed says in place of ONNX Runtime's reason; empty for other nodes."""
    return _REASONS.get(node, "")


def guard_empty(node: Node, inputs: Outputs, opset: int, legal: Legalize) -> Outputs | None:
    """The results of a node that ends the process on some empty inputs, made so that it does not; None: it is safe.

    Recurrent operators and instance normalisation run in a branch, beside one for nothing; attention behind a reshape
    that fails. `legal` makes a graph of the node alone fit to run.

    Errors: `UnsupportedOpError` for a convolution whose kernel is known to be empty.
    """
    name, domain = node.op.name, node.op.domain
    if not domain and opset >= 11 and name in RECURRENT:
        return _guard_recurrent(node, inputs, opset, legal)
    if not domain and opset >= 11 and name == "InstanceNormalization":
        return _guard_normalization(node, inputs, opset, legal)
    if name in ("Conv", "FusedConv"):
        return _guard_convolution(node, inputs, opset)
    if (name, domain) in _ATTENTION:
        return _check_attention(node, inputs, opset)
    return None


def _shape(x: Operand | None) -> Shape | None:
    return x.type.shape if x is not None and isinstance(x.type, TensorType) else None


def _is_positive(size: object) -> bool:
    return isinstance(size, int) and size > 0


class _Maker:
    """Makes nodes of one opset on behalf of another node."""

    def __init__(self, like: Node, opset: int) -> None:
        self.like, self.opset = like, opset

    def __call__(self, name: str, *inputs: Operand | None, **attributes: object) -> SymbolicTensor:
        op = find_op(name, "", self.opset)
        types = infer_types(op, inputs, attributes, 1)
        return Node(op, inputs, attributes, types, layer=self.like.layer, source=self.like.source).output

    def longs(self, *values: int) -> Operand:
        return constant(np.array(values, np.int64))

    def zeros(self, like: Operand, *sizes: Operand) -> SymbolicTensor:
        dtype = like.type.dtype if isinstance(like.type, TensorType) else "float32"
        return self("Expand", constant(np.zeros((), numpy_dtype(dtype))), self("Concat", *sizes, axis=0))

    def wider(self, x: Operand) -> SymbolicTensor:
        """Of three axes, with a last column of zeros; there is no Pad for float16."""
        sizes = self("Gather", self("Shape", x), self.longs(0, 1))
        return self("Concat", x, self.zeros(x, sizes, self.longs(1)), axis=2)


def _guard_recurrent(node: Node, inputs: Outputs, opset: int, legal: Legalize) -> Outputs | None:
    """Of nothing comes an empty sequence of states, and the state that was given, or zeros."""
    x, weight = inputs[0], inputs[1]
    shape, wide = _shape(x) or (None, None, None), (_shape(weight) or (None, None, None))[-1]
    if x is None or weight is None or node.attributes.get("layout", 0):  # ONNX Runtime refuses that layout
        return None
    is_known = all(map(_is_positive, shape[:2])) or (node.op.name == "LSTM" and _is_positive(shape[1]))
    is_wide = _is_positive(shape[2]) or _is_positive(wide)
    if is_known and (is_wide or node.op.name == "LSTM"):
        return None
    make = _Maker(node, opset)
    if not is_wide:  # one column more, of zeros, changes nothing
        x, weight = make.wider(x), make.wider(weight)
        inputs = (x, weight, *inputs[2:])

    def nothing(given: Outputs) -> list[Operand]:
        x, recurrence = given[0], given[2]
        assert x is not None and recurrence is not None
        shape, state = make("Shape", x), make("Shape", recurrence)
        length, batch = (make("Gather", shape, make.longs(i)) for i in (0, 1))
        directions, size = (make("Gather", state, make.longs(i)) for i in (0, 2))
        results: list[Operand] = []
        for i, old in enumerate(node.outputs):
            start = given[4 + i] if i and len(given) > 4 + i else None  # initial_h, initial_c
            if old is None:
                continue
            if i == 0:
                results.append(make.zeros(x, length, directions, batch, size))
            else:
                results.append(make.zeros(x, directions, batch, size) if start is None else make("Identity", start))
        return results

    return _branch(node, inputs, x, make, nothing, legal)


def _guard_normalization(node: Node, inputs: Outputs, opset: int, legal: Legalize) -> Outputs | None:
    x = inputs[0]
    shape = _shape(x)
    if x is None or (shape is not None and all(map(_is_positive, shape[2:]))):
        return None
    make = _Maker(node, opset)

    def nothing(given: Outputs) -> list[Operand]:
        assert given[0] is not None
        return [make("Identity", given[0])]

    return _branch(node, inputs, x, make, nothing, legal)


def _branch(node: Node, inputs: Outputs, x: Operand, make: _Maker, nothing: Callable[[Outputs], list[Operand]],
            legal: Legalize) -> Outputs:
    """`nothing()` where `x` has no elements, else the node. Either alone where it is known which."""
    shape = _shape(x)
    places = [i for i, y in enumerate(node.outputs) if y is not None]
    if shape is not None and 0 in shape:
        return _spread(node, places, nothing(inputs))
    captured = tuple(dict.fromkeys(y for y in inputs if isinstance(y, SymbolicTensor)))
    branches = []
    for is_empty in (True, False):
        inner: dict[Operand, SymbolicTensor] = {y: placeholder(y.type, y.name) for y in captured}
        given = tuple(None if y is None else inner.get(y, y) for y in inputs)
        results = nothing(given) if is_empty else [
            y for y in copy_node(node, given).outputs if y is not None]
        body = Graph([], results, captures=inner.values(), name="empty" if is_empty else "filled")
        branches.append(legal(body))
    is_float = isinstance(x.type, TensorType) and x.type.dtype == "float32"  # no kernel of Size for all others
    size = make("Size", x) if is_float else make("ReduceProd", make("Shape", x), keepdims=0)
    is_empty_now = make("Equal", size, constant(np.zeros((), np.int64)))
    types = tuple(y.type for y in node.outputs if y is not None)
    made = Node(find_op("If", "", make.opset), (is_empty_now,), {
        "then_branch": branches[0], "else_branch": branches[1]}, types, captures=captured, layer=node.layer,
        source=node.source)
    return _spread(node, places, made.outputs)


def _spread(node: Node, places: Sequence[int], results: Sequence[Operand | None]) -> Outputs:
    found: list[Operand | None] = [None] * len(node.outputs)
    for place, result in zip(places, results, strict=True):
        found[place] = result
    return tuple(found)


_ATTENTION = {
    ("Attention", ""): (4, (1,), (0, 0, -1, 0)), ("MultiHeadAttention", "com.microsoft"): (3, (2,), (0, -1, 0)),
    ("GroupQueryAttention", "com.microsoft"): (3, (0, 2), (0, -1, 0))}
"""Operator -> the rank of its queries, the axes that must not be empty, and a shape to which empty ones do not go."""


def _check_attention(node: Node, inputs: Outputs, opset: int) -> Outputs | None:
    query = inputs[0]
    shape = _shape(query)
    rank, axes, target = _ATTENTION[node.op.name, node.op.domain]
    if query is None or shape is None or len(shape) != rank or all(_is_positive(shape[i]) for i in axes):
        return None
    make = _Maker(node, opset)
    checked = make("Reshape", query, make.longs(*target))
    assert checked.node is not None
    _REASONS[checked.node] = f"{node.op}: its queries are empty, for which ONNX Runtime would end the process"
    return copy_node(node, (checked, *inputs[1:])).outputs


def _guard_convolution(node: Node, inputs: Outputs, opset: int) -> Outputs | None:
    """A channel of zeros, where there is none, changes nothing."""
    x, weight = inputs[:2]
    shape = _shape(weight) or ()
    if 0 in shape[2:] or (0 in shape[1:2] and (node.attributes.get("group", 1) != 1 or opset < 11)):
        raise UnsupportedOpError(f"{node.op}: a kernel of shape {list(shape)} has nothing to sum up, and ONNX Runtime "
                                 "would not come back; leave the convolution out")
    if 0 not in shape[1:2]:
        return None
    make, pads = _Maker(node, opset), [0] * (2 * len(shape))
    pads[len(shape) + 1] = 1
    padded = tuple(make("Pad", y, make.longs(*pads)) for y in (x, weight))
    return copy_node(node, (*padded, *inputs[2:])).outputs
