"""Compiled graphs: a session of ONNX Runtime that takes and gives values under the graph's own names."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.core.errors import GraphError, ProviderError, RunError, UnsupportedOpError
from symgraph.core.graph import Graph
from symgraph.core.snapshots import snapshot
from symgraph.core.types import TensorType, ValueType, numpy_dtype
from symgraph.core.value import Array
from symgraph.core.variable import Variable
from symgraph.runtime.compiling import Provider, open_session, run_error
from symgraph.runtime.devices import check_providers, config, provider_name, resolve_providers
from symgraph.runtime.eager import wrap
from symgraph.runtime.feeds import bare_run, check_feed, check_names
from symgraph.runtime.legalize import legalize, missing_kernels
from symgraph.runtime.ort import CPU, Run, onnxruntime, session_options
from symgraph.runtime.writer import variable_inputs


@dataclass(frozen=True)
class PlacedNode:
    """A node as ONNX Runtime runs it, fused ones included, and the execution provider it runs on."""

    name: str
    op: str
    provider: str


@dataclass(frozen=True)
class TimedNode:
    """A node as ONNX Runtime ran it, and how long it took in microseconds, over all runs."""

    name: str
    op: str
    microseconds: float
    runs: int


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A session with the weights as they were; replaced as a whole, so that runs in progress go on."""

    native: Any
    run: Run
    epoch: int
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Input:
    name: str
    type: ValueType | None
    dtype: np.dtype[Any] | None
    rank: int
    static: tuple[tuple[int, int], ...]


class Session:
    """A graph compiled for ONNX Runtime, with the weights as they are now.

    `run(feeds)` takes arrays by input name and returns a list of NumPy arrays that later calls never change.
    Threads may run it at the same time. `providers` are names such as `"cuda"`; `strict` refuses to run any node
    elsewhere (None: `config.is_strict`), `fallback` goes on without a provider that is not there. `threads` is one a
    core if None; `optimize=False` switches ONNX Runtime's own optimiser off; `profile=True` times every node.
    With `variables_as_inputs` the weights are read anew at every run, which spares compiling when they change.

    Errors: `UnsupportedOpError` naming every operator that has no kernel, `ProviderError`, `RunError`.
    """

    def __init__(self, graph: Graph, providers: str | Provider | Sequence[Provider] | None = None, *,
                 optimize: bool = True, strict: bool | None = None, fallback: bool = False,
                 threads: int | None = None, profile: bool = False, variables_as_inputs: bool = False) -> None:
        self.graph = graph
        self.providers = resolve_providers(providers, fallback=fallback)
        self.input_names = graph.input_names
        self.output_names = graph.output_names
        self._optimize = optimize
        self._is_strict = config.is_strict if strict is None else strict
        self._fallback = fallback
        self._threads = threads
        self._profile_prefix = os.path.join(tempfile.mkdtemp(prefix="symgraph"), "run") if profile else None
        names = tuple(map(provider_name, self.providers))
        self._legal = legalize(graph, names)
        missing = missing_kernels(self._legal, names)
        if missing:
            raise UnsupportedOpError(f"graph {graph.name!r}: ONNX Runtime has no kernel for {', '.join(missing)}; "
                                     "cast to another dtype, such as float32")
        self._inputs = tuple(_input(name, x.type) for name, x in zip(self.input_names, graph.inputs, strict=True))
        self._outputs = list(self.output_names)
        self._state: dict[str, Variable] = {}
        if variables_as_inputs:
            self._state.update(zip(variable_inputs(self._legal), self._legal.variables, strict=True))
        self._lock = threading.Lock()
        self._compiled = self._compile()

    def weights(self) -> dict[str, Array]:
        """With `variables_as_inputs`, the values of the variables now, all of one moment: for several runs."""
        return dict(zip(self._state, snapshot(tuple(self._state.values())), strict=True))

    def run(self, feeds: Mapping[str, Any], *, timeout: float | None = None,
            weights: Mapping[str, Array] | None = None) -> list[Any]:
        """Run once on arrays given by input name; `timeout` is in seconds, `weights` what `weights()` gave.

        Anything array-like will do for a value; lists and numbers take the declared dtype.

        Errors: `GraphError` for wrong names, `DtypeError` and `ShapeError` for values that do not fit, `RunError`
        where a node fails or the time is over, `ResourceError` where memory does not suffice.
        """
        values = self.check(feeds)
        if self._state:
            values.update(self.weights() if weights is None else weights)
        if timeout is not None:
            return self._run_for(values, timeout)
        try:
            return self._compiled.run(self._outputs, values, None)
        except Exception as error:
            raise run_error(self._legal, error) from None

    @property
    def is_stale(self) -> bool:
        """Whether a variable of the graph was assigned since the weights were compiled in."""
        compiled = self._compiled
        return not self._state and Variable.epoch != compiled.epoch and compiled.versions != self._versions()

    def refresh(self) -> None:
        """Compile anew with the weights as they are now, if any has changed."""
        with self._lock:
            if self.is_stale:
                self._compiled = self._compile()

    def placement(self) -> list[PlacedNode]:
        """Which execution provider runs which node, after ONNX Runtime's own optimisation.

        Errors: `ProviderError` where the installed ONNX Runtime cannot tell (before 1.24).
        """
        options = self._options()
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        native = open_session(self._legal, options, self.providers)
        if not hasattr(native, "get_provider_graph_assignment_info"):
            raise ProviderError(f"onnxruntime {onnxruntime().__version__} does not tell where nodes run; "
                                "install 1.24 or newer for a placement report")
        return [PlacedNode(node.name, node.op_type, subgraph.ep_name)
                for subgraph in native.get_provider_graph_assignment_info() for node in subgraph.get_nodes()]

    def timings(self) -> list[TimedNode]:
        """How long each node took in all runs so far, slowest first; ends the profiling.

        Errors: `RunError` for a session made without `profile=True`.
        """
        if self._profile_prefix is None:
            raise RunError("this session was made without profile=True, so nothing was timed")
        path = self._compiled.native.end_profiling()
        with open(path, encoding="utf-8") as file:
            events = [e for e in json.load(file) if e.get("cat") == "Node" and e["name"].endswith("_kernel_time")]
        os.unlink(path)
        found: dict[tuple[str, str], list[float]] = {}
        for event in events:
            key = event["name"].removesuffix("_kernel_time"), event["args"]["op_name"]
            found.setdefault(key, []).append(event["dur"])
        timed = [TimedNode(name, op, sum(times), len(times)) for (name, op), times in found.items()]
        return sorted(timed, key=lambda node: -node.microseconds)

    def _versions(self) -> tuple[int, ...]:
        return tuple([x.version for x in self._legal.variables])

    def _options(self) -> Any:
        options = session_options(threads=self._threads, optimize=self._optimize)
        if self._is_strict and provider_name(self.providers[0]) != CPU:
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return options

    def _compile(self) -> _Compiled:
        epoch, versions = Variable.epoch, self._versions()
        options = self._options()
        if self._profile_prefix is not None:
            options.enable_profiling = True
            options.profile_file_prefix = self._profile_prefix
        native = open_session(self._legal, options, self.providers, variables_as_inputs=bool(self._state))
        check_providers(native, self.providers, fallback=self._fallback)
        return _Compiled(native, bare_run(native, [x.type for x in self.graph.outputs]), epoch, versions)

    def check(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """The values as ONNX Runtime takes them; the errors are those of `run`."""
        values = {}
        if len(feeds) != len(self._inputs) or any([name not in feeds for name in self.input_names]):
            check_names(feeds, self.input_names, f"graph {self.graph.name!r}")
        for given in self._inputs:
            x = feeds[given.name]
            if not (type(x) is np.ndarray and x.dtype == given.dtype and x.ndim == given.rank and (
                    not given.static or all([x.shape[axis] == size for axis, size in given.static]))):
                x = check_feed(given.name, x, given.type)
            values[given.name] = x
        return values

    def _run_for(self, values: Mapping[str, Any], timeout: float) -> list[Any]:
        options = onnxruntime().RunOptions()
        options.log_severity_level = 4
        timer = threading.Timer(timeout, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            return self._compiled.run(self._outputs, values, options)
        except Exception as error:
            if options.terminate:
                raise RunError(f"graph {self.graph.name!r}: stopped after {timeout:g} s, as timeout= says") from None
            raise run_error(self._legal, error) from None
        finally:
            timer.cancel()


def _input(name: str, value_type: ValueType | None) -> _Input:
    if not isinstance(value_type, TensorType) or value_type.shape is None or value_type.dtype == "string":
        return _Input(name, value_type, None, -1, ())
    static = tuple((i, d) for i, d in enumerate(value_type.shape) if isinstance(d, int))
    return _Input(name, value_type, numpy_dtype(value_type.dtype), len(value_type.shape), static)


def evaluate(graph: Graph, *values: object) -> list[Any]:
    """Run a graph once on values, in the order of its inputs, with ONNX Runtime's own optimiser off.

    Returns tensors (lists of tensors for sequences). The errors are those of `Session`.
    """
    if len(values) != len(graph.inputs):
        raise GraphError(f"graph {graph.name!r} has {len(graph.inputs)} inputs "
                         f"({', '.join(graph.input_names) or 'none'}), got {len(values)} values")
    session = Session(graph, CPU, optimize=False)
    return [wrap(x) for x in session.run(dict(zip(graph.input_names, values, strict=True)))]

