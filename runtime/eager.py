"""Eager mode: an op on values is a graph of one node, compiled once for its dtypes and attributes, and kept."""

from __future__ import annotations

import os
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import numpy as np

from symgraph.core.apply import check_count, placeholder
from symgraph.core.errors import OpError, ResourceError, SymgraphError, UnsupportedOpError
from symgraph.core.graph import Graph, bind
from symgraph.core.inference import describe_misfit, freeze_attributes, infer_types
from symgraph.core.op import Op
from symgraph.core.scope import user_source
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import OptionalType, SequenceType, TensorType, ValueType, numpy_dtype
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.ops.einsum import einsum
from symgraph.runtime.compiling import open_session, run_error
from symgraph.runtime.devices import _DEVICE, _HOST, Device, provider_name, resolve_providers, run_on_device
from symgraph.runtime.exporter import to_model
from symgraph.runtime.feeds import bare_run
from symgraph.runtime.legalize import describe_kernel, legalize, missing_kernels
from symgraph.runtime.ort import CPU, Run, failure_reason, is_out_of_memory, session_options

MAX_KERNELS = 4096
MAX_THREADED = 64
LARGE = 65536
"""From this many input elements on, threads pay for themselves (measured with Tanh and MatMul)."""

Operands = tuple[Operand | None, ...]
Observer = Callable[[str, Operands, Callable[[], tuple[Any, ...]]], tuple[Any, ...]]


class KernelFallbackWarning(UserWarning):
    """ONNX Runtime has no kernel for an operator on these dtypes: `onnx.reference`, which is slow, ran it."""


class Kernel:
    """A compiled graph without weights that change: a session of one thread, and one of many for large inputs."""

    __slots__ = ("_threaded", "graph", "outputs", "run", "slots", "types")

    def __init__(self, graph: Graph, slots: Sequence[str], run: Run | None = None) -> None:
        self.graph = graph
        self.slots = slots  # the input name of each operand, also of those that are absent
        self.outputs = list(graph.output_names)
        self.types = [x.type for x in graph.outputs]
        self._threaded: Run | None = run
        self.run = run or self._compile(1)

    def _compile(self, threads: int | None) -> Run:
        options = session_options(threads=threads, optimize=False, spin=False)
        return bare_run(open_session(self.graph, options, [CPU]), self.types)

    def run_large(self, names: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
        """Run with a thread a core."""
        run = self._threaded
        if run is None:
            run = self.run if os.cpu_count() == 1 else self._compile(None)
            self._threaded = run
            with _LOCK:
                _THREADED[self] = None
                while len(_THREADED) > MAX_THREADED:
                    next(iter(_THREADED)).forget_threads()
        return run(names, feeds, None)

    def forget_threads(self) -> None:
        """Give the threads back; the next large run makes new ones."""
        _THREADED.pop(self, None)
        self._threaded = None


_OBSERVER: ContextVar[Observer | None] = ContextVar("observer", default=None)
_LOCK = threading.Lock()
_KERNELS: dict[object, Kernel] = {}
_THREADED: dict[Kernel, None] = {}
_FALLBACKS: Counter[str] = Counter()


def evaluate_op(op: Op, operands: Operands, attributes: Mapping[str, Any],
                wanted: tuple[bool, ...]) -> tuple[Any, ...]:
    """Run one op on values.

    Errors: `OpError` naming op, operand types, layer and the user's line; `ResourceError` where the result
    does not fit into memory.
    """
    if _OBSERVER.get() is not None:
        return _observe(op.name, operands, lambda: evaluate_op(op, operands, attributes, wanted))
    if _DEVICE.get() is not _HOST:
        return _evaluate_on(_DEVICE.get(), op, operands, attributes, wanted)
    key = (op, wanted, freeze_attributes(attributes) if attributes else None,
           *[None if x is None else x.type.dtype for x in operands])  # type: ignore[union-attr]
    kernel = _KERNELS.get(key)
    if kernel is None:
        kernel = _keep(key, _op_kernel(op, operands, attributes, wanted))
    feeds, size = {}, 0
    for name, x in zip(kernel.slots, operands):  # noqa: B905 lengths are equal, and microseconds count
        if x is not None:
            feeds[name] = array = x.numpy()
            size += array.size
    if op.name == "Einsum" and not all([x.size for x in feeds.values()]):  # ONNX Runtime's kernel kills the process
        return (einsum(attributes["equation"], *operands),)
    try:
        if size < LARGE:
            results = kernel.run(kernel.outputs, feeds, None)
        else:
            results = kernel.run_large(kernel.outputs, feeds)
    except SymgraphError:
        raise
    except Exception as error:
        raise _op_error(op, operands, attributes, wanted, error) from None
    if len(results) == len(wanted):
        return tuple([Tensor(x) if type(x) is np.ndarray else wrap(x) for x in results])
    found = iter(results)
    return tuple([wrap(next(found)) if w else None for w in wanted])


def wrap(value: Any) -> Any:
    """What a run gives, as tensors that own it: lists of tensors for sequences, None for an absent optional."""
    if isinstance(value, np.ndarray):
        return Tensor(value)
    if isinstance(value, np.generic):
        return Tensor(np.asarray(value))
    return [wrap(x) for x in value] if isinstance(value, list) else value


def evaluate_graph(graph: Graph, operands: tuple[Operand, ...]) -> tuple[Any, ...]:
    """Run the body of a composite op on values, compiled once and kept.

    Errors: `RunError` and `ResourceError` naming the node that failed.
    """
    if _OBSERVER.get() is not None:
        return _observe(graph.name, operands, lambda: evaluate_graph(graph, operands))
    if _DEVICE.get() is not _HOST:
        return bind(graph, operands)
    key = (graph, *[x.version for x in graph.variables]) if graph.leaves else graph
    kernel = _KERNELS.get(key)
    if kernel is None:
        legal = legalize(graph)
        if missing_kernels(legal):
            return bind(graph, operands)
        kernel = _keep(key, Kernel(legal, legal.input_names))
    arrays = [x.numpy() for x in operands]
    feeds = dict(zip(kernel.slots, arrays, strict=True))
    try:
        if sum([x.size for x in arrays]) < LARGE:
            results = kernel.run(kernel.outputs, feeds, None)
        else:
            results = kernel.run_large(kernel.outputs, feeds)
    except SymgraphError:
        raise
    except Exception as error:
        raise run_error(kernel.graph, error) from None
    return tuple([wrap(x) for x in results])


@contextmanager
def observed_by(observer: Observer | None) -> Iterator[None]:
    """Let `observer(name, operands, run)` run every op inside; None lets them run unobserved."""
    token = _OBSERVER.set(observer)
    try:
        yield
    finally:
        _OBSERVER.reset(token)


def _observe(name: str, operands: Operands, run: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    observer = _OBSERVER.get()
    assert observer is not None
    return observer(name, operands, run)


def fallbacks() -> Mapping[str, int]:
    """How often ops ran on `onnx.reference` for want of a kernel, by op and dtypes."""
    return MappingProxyType(dict(_FALLBACKS))


def _keep(key: object, kernel: Kernel) -> Kernel:
    with _LOCK:
        kernel = _KERNELS.setdefault(key, kernel)
        while len(_KERNELS) > MAX_KERNELS:
            oldest = next(iter(_KERNELS))
            _KERNELS.pop(oldest).forget_threads()
    return kernel


def _op_kernel(op: Op, operands: Operands, attributes: Mapping[str, Any], wanted: tuple[bool, ...]) -> Kernel:
    graph = one_node(op, operands, attributes, wanted)
    legal = legalize(graph)
    if missing_kernels(legal):
        return _reference_kernel(op, operands, graph)
    try:
        return Kernel(legal, _slots(operands))
    except UnsupportedOpError:
        return _reference_kernel(op, operands, graph)
    except SymgraphError as error:
        raise describe_misfit(op, operands, str(error)) from None


def one_node(op: Op, operands: Operands, attributes: Mapping[str, Any], wanted: tuple[bool, ...]) -> Graph:
    """The graph of one node for values of these dtypes and any shape."""
    check_count(op, operands)
    types = infer_types(op, operands, attributes, len(wanted))
    inputs = [None if x is None else placeholder(_open(x.type), name)
              for name, x in zip(_slots(operands), operands, strict=True)]
    node = Node(op, tuple(inputs), attributes, tuple(map(_open, types)), layer=(), source=("", 0),
                absent=op.absent_outputs(wanted))
    outputs = [x for x, w in zip(node.outputs, wanted, strict=True) if x is not None and w]
    return Graph([x for x in inputs if x is not None], outputs, name=op.name)


def _slots(operands: Operands) -> tuple[str, ...]:
    return tuple(f"i{i}" for i in range(len(operands)))


def _open(value_type: ValueType | None) -> ValueType | None:
    match value_type:
        case TensorType(dtype, _):
            return TensorType(dtype, None)
        case SequenceType(element):
            return SequenceType(_open(element))
        case OptionalType(element):
            return OptionalType(_open(element))
    return value_type


def _reference_kernel(op: Op, operands: Operands, graph: Graph) -> Kernel:
    """Run by `onnx.reference`: said once per op and dtypes, and counted."""
    from onnx.reference import ReferenceEvaluator

    from symgraph.runtime.reference_ops import REPLACED

    name = describe_kernel(op, operands)
    try:
        evaluator = ReferenceEvaluator(to_model(graph, allow_newer=True).model, new_ops=REPLACED)
    except Exception as error:
        raise describe_misfit(op, operands, f"neither ONNX Runtime nor onnx.reference runs it on these dtypes "
                                            f"({failure_reason(error)})") from None
    if name not in _FALLBACKS:
        place = user_source() or ("symgraph", 0)
        warnings.warn_explicit(
            f"ONNX Runtime has no kernel for {name}; onnx.reference runs it, which is slow", KernelFallbackWarning,
            place[0], place[1])
    dtypes = [numpy_dtype(x.type.dtype) if isinstance(x.type, TensorType) else None for x in graph.outputs]

    def run(names: Sequence[str], feeds: Mapping[str, Any], options: Any = None) -> list[Any]:
        _FALLBACKS[name] += 1
        results = evaluator.run(list(names), {k: np.array(v) for k, v in feeds.items()})
        return [x if dtype is None else np.array(x, dtype) for x, dtype in zip(results, dtypes, strict=True)]

    return Kernel(graph, _slots(operands), run)


def _op_error(op: Op, operands: Operands, attributes: Mapping[str, Any], wanted: tuple[bool, ...],
              error: Exception) -> SymgraphError:
    if is_out_of_memory(error):
        misfit = describe_misfit(op, operands, f"the result does not fit into memory: {failure_reason(error)}")
        return ResourceError(str(misfit))
    try:
        infer_types(op, operands, attributes, len(wanted))
    except OpError as misfit:
        return misfit
    return describe_misfit(op, operands, failure_reason(error))


_DEVICE_SESSIONS: dict[object, tuple[Graph, Any]] = {}


def _evaluate_on(where: Device, op: Op, operands: Operands, attributes: Mapping[str, Any],
                 wanted: tuple[bool, ...]) -> tuple[Any, ...]:
    """Run one op on another device and leave its results there."""
    key = (where, op, wanted, freeze_attributes(attributes),
           *[None if x is None else x.type for x in operands])
    found = _DEVICE_SESSIONS.get(key)
    if found is None:
        providers = resolve_providers([where.provider])
        graph = legalize(one_node(op, operands, attributes, wanted), tuple(map(provider_name, providers)))
        found = graph, open_session(graph, session_options(threads=1, optimize=False), providers)
        with _LOCK:
            _DEVICE_SESSIONS[key] = found
            while len(_DEVICE_SESSIONS) > MAX_KERNELS:
                _DEVICE_SESSIONS.pop(next(iter(_DEVICE_SESSIONS)))
    graph, session = found
    given = [x.value if isinstance(x, Variable) else x for x in operands if isinstance(x, Tensor | Variable)]
    outputs = [(name, x.dtype) for name, x in zip(graph.output_names, graph.outputs, strict=True)]
    try:
        results = iter(run_on_device(session, list(zip(graph.input_names, given, strict=True)), outputs, where))
    except Exception as error:
        raise _op_error(op, operands, attributes, wanted, error) from None
    return tuple([next(results) if w else None for w in wanted])
