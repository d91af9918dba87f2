"""Applying an op: one function for symbols, values and pattern variables.

Where any operand is a symbol a node is recorded; where all are values the evaluator runs. While something is
traced, variables count as symbols, so that a compiled graph reads them when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.core.errors import DtypeError, OpError
from symgraph.core.inference import describe_misfit, infer_types, propagate_data
from symgraph.core.op import Captured, Op, check_attributes, find_op
from symgraph.core.recording import recorders
from symgraph.core.scope import autocast_dtype
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, ValueType, as_dtype, as_shape
from symgraph.core.value import Tensor, as_array, convert_array, scalar_fits
from symgraph.core.variable import autocast, read_variables

Evaluator = Callable[[Op, tuple[Operand | None, ...], Mapping[str, Any], tuple[bool, ...]], tuple[Any, ...]]

_EVALUATORS: list[Evaluator] = []
_ONE = (True,)
_ONLY_TENSORS = {Tensor}


def register_evaluator(evaluator: Evaluator) -> None:
    """Say who runs ops on values; the runtime does, when it is imported."""
    _EVALUATORS[:] = [evaluator]


def apply_op(op: str | Op, *inputs: object, outputs: int | Sequence[bool] = 1, **attributes: object) -> Any:
    """Apply the ONNX operator `op` to symbols, values, variables, arrays and Python numbers.

    An input of None is an optional input left out; an attribute of None is not given. Python numbers and
    lists take the dtype of the other operands of the same type variable. `outputs` is how many outputs are
    wanted, or which (`(True, False, True)`).

    Returns one operand, or a tuple where more than one output is asked for.

    Errors: `OpError` naming op, operand types, layer and the user's line.
    """
    if isinstance(op, str):
        op = find_op(op)
    wanted = _ONE if outputs == 1 else (True,) * outputs if isinstance(outputs, int) else tuple(outputs)
    checked = check_attributes(op, attributes)
    if set(map(type, inputs)) == _ONLY_TENSORS:  # the common case of eager mode, where microseconds count
        results = evaluate_op(op, inputs, checked, wanted)  # type: ignore[arg-type]
        return results[0] if len(wanted) == 1 else results
    operands, is_recorded = read_variables(as_operands(op, inputs))
    run = record if is_recorded else evaluate_op
    results = run(op, operands, checked, wanted)
    if len(wanted) == 1:
        return results[0]
    return results


def evaluate_op(op: Op, operands: tuple[Operand | None, ...], attributes: Mapping[str, Any],
                wanted: tuple[bool, ...]) -> tuple[Any, ...]:
    """Run one op on values; tapes see it."""
    if not _EVALUATORS:
        raise OpError("nothing is registered that runs ops on values; import symgraph, not symgraph.core alone")
    results = _EVALUATORS[0](op, operands, attributes, wanted)
    for recorder in recorders():
        recorder.record(op, operands, attributes, results)
    return results


def record(op: Op, inputs: tuple[Operand | None, ...], attributes: Mapping[str, Any], wanted: tuple[bool, ...],
           ) -> tuple[SymbolicTensor | None, ...]:
    """Make a node of `op`, with inferred types."""
    check_count(op, inputs)
    is_pattern = any(type(value) is Captured for value in attributes.values())
    types = (None,) * len(wanted) if is_pattern else infer_types(op, inputs, attributes, len(wanted))
    node = Node(op, inputs, attributes, types, absent=op.absent_outputs(wanted))
    first = node.outputs[0]
    if first is not None and not is_pattern:
        first.data = propagate_data(op, inputs, attributes)
    return tuple(x if w else None for x, w in zip(node.outputs, wanted, strict=True))


def check_count(op: Op, inputs: tuple[Operand | None, ...]) -> None:
    """Errors: `OpError` where `op` does not take this many inputs."""
    schema = op.schema
    if schema is None:
        return
    if not schema.min_input <= len(inputs) <= schema.max_input:
        expected = str(schema.min_input) if schema.min_input == schema.max_input else (
            f"{schema.min_input} to {schema.max_input}" if schema.max_input < 2**30 else f"at least {schema.min_input}")
        raise describe_misfit(op, inputs, f"takes {expected} inputs, got {len(inputs)}")


def as_operands(op: Op, inputs: Sequence[object]) -> tuple[Operand | None, ...]:
    """Make operands of arrays and Python numbers, in the dtype that the op wants beside its other operands."""
    if autocast_dtype() is not None:
        inputs = [autocast(x) for x in inputs]
    if all(isinstance(x, Operand) or x is None for x in inputs):
        return tuple(x if isinstance(x, Operand) else None for x in inputs)
    anchors: dict[str, str] = {}
    for i, x in enumerate(inputs):
        dtype = _own_dtype(x)
        if dtype is not None:
            anchors.setdefault(op.constraint(i)[0], dtype)
    return tuple(_as_operand(op, i, x, anchors) for i, x in enumerate(inputs))


def _own_dtype(x: object) -> str | None:
    if isinstance(x, Operand):
        return x.type.dtype if isinstance(x.type, TensorType) else None
    if isinstance(x, np.ndarray | np.generic):
        return as_dtype(x.dtype)
    return None


def _as_operand(op: Op, index: int, x: object, anchors: Mapping[str, str]) -> Operand | None:
    if x is None or isinstance(x, Operand):
        return x
    variable, allowed = op.constraint(index)
    dtype = anchors.get(variable)
    if isinstance(x, bool | int | float | complex) and not isinstance(x, np.generic):
        return Tensor(_scalar_array(op, index, x, dtype or _only_dtype(allowed)))
    if dtype is None and isinstance(x, list | tuple | range):
        dtype = _only_dtype(allowed)
    if isinstance(x, list | tuple | range):
        return Tensor(as_array(list(x), dtype))
    return Tensor(as_array(x))


def _scalar_array(op: Op, index: int, x: complex, dtype: str | None) -> np.ndarray[Any, Any]:
    if dtype is None:
        return as_array(x)
    if not scalar_fits(x, dtype):
        raise DtypeError(f"{op}: {op.input_name(index)} is {dtype}, which cannot hold {x!r}; cast one of the operands")
    return convert_array(np.array(x), dtype)


def _only_dtype(allowed: frozenset[str]) -> str | None:
    """`int64` where an input takes nothing else, such as axes and shapes."""
    if len(allowed) != 1:
        return None
    (name,) = allowed
    inner = name.removeprefix("tensor(").removesuffix(")")
    return as_dtype(inner) if name.startswith("tensor(") else None


def placeholder(value_type: ValueType | None, name: str | None = None) -> SymbolicTensor:
    """A symbol that stands for an input."""
    return SymbolicTensor(value_type, name=name)


def symbol(shape: object, dtype: object = "float32", name: str | None = None) -> SymbolicTensor:
    """An input symbol of exactly this shape (`None` and names for open dimensions), without a batch dimension added."""
    return placeholder(TensorType(as_dtype(dtype), as_shape(shape)), name)
