"""Compiled steps: a graph that runs again and again, and changes variables that live on the device."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, TypeGuard

import numpy as np

from symgraph.core.errors import UnsupportedOpError
from symgraph.core.graph import Graph
from symgraph.core.types import TensorType
from symgraph.core.value import Array
from symgraph.core.variable import MOVING, Home, Variable
from symgraph.runtime.compiling import Provider, open_session, run_error
from symgraph.runtime.devices import Device, check_providers, config, provider_name, resolve_providers
from symgraph.runtime.feeds import PLAIN, as_ort_value, check_feed, from_ort_value
from symgraph.runtime.legalize import legalize, missing_kernels
from symgraph.runtime.ort import CPU, onnxruntime, session_options
from symgraph.runtime.state import DeviceBuffer, State
from symgraph.runtime.writer import variable_inputs

_HOST = Device("CPU", 0)

_TRANSPOSE_OPTIMIZERS = ("TransposeOptimizer", "TransposeOptimizer_CPUExecutionProvider")
"""What of ONNX Runtime's own joins transposes that `passes/split_transposes.py` has split: it runs twice."""


class Step:
    """A graph whose last outputs are the next values of the variables of `state`, in their order.

    `run(feeds)` takes an array for each input of the graph; `results()` gives the other outputs of the last run.
    Inputs of known shape have buffers of their own in `inputs` (None for the others), which may be filled beforehand.
    Variables that it only reads are read again whenever they change. Nothing is copied that lies on the device.

    Errors: `UnsupportedOpError` naming every operator that has no kernel, `ProviderError`, `RunError`. After a run
    that failed the variables are as they were before it.
    """

    def __init__(self, graph: Graph, state: State, providers: str | Provider | Sequence[Provider] | None = None, *,
                 threads: int | None = None) -> None:
        self.graph = graph
        self.state = state
        self.providers = resolve_providers(providers)
        names = tuple(map(provider_name, self.providers))
        self._legal = legalize(graph, names)
        if missing := missing_kernels(self._legal, names):
            raise UnsupportedOpError(f"graph {graph.name!r}: ONNX Runtime has no kernel for {', '.join(missing)}; "
                                     "cast to another dtype, such as float32")
        self._native = self._open(threads)
        self._run = self._native.run_with_iobinding
        self._is_on_host = state.device.kind == "CPU"
        self._types = [x.type for x in graph.inputs]
        self._buffers = [_buffer(t, _HOST) for t in self._types]
        self._on_device = self._buffers if self._is_on_host else [_buffer(t, state.device) for t in self._types]
        self.inputs = [None if b is None else b.array for b in self._buffers]
        self._is_static = all(x is not None for x in self.inputs)
        self._result_buffers = [_buffer(x.type, _HOST) for x in graph.outputs[:len(graph.outputs)
                                                                               - len(state.variables)]]
        inside = frozenset(state.variables)
        pairs = tuple(zip(variable_inputs(self._legal), self._legal.variables, strict=True))
        self._changed = [(name, v) for name, v in pairs if v in inside]
        self._read = [(name, v) for name, v in pairs if v not in inside]
        self._read_versions: dict[Variable, int] = {}
        self._kept_alive: dict[object, Any] = {}
        self._read_in_place: tuple[State, ...] = ()
        self._epoch = -1
        self._bindings = tuple(map(self._bind, range(2)))
        self._last = self._bindings[0]

    def run(self, feeds: Sequence[Array] | None = None) -> None:
        """Run once; without `feeds` on what lies in the buffers `inputs`.

        Threads may run steps at the same time, and read and assign variables: each run sees all of them as they are
        between two runs of other steps.

        Errors: `RunError` naming the node that failed, `DtypeError` and `ShapeError` for arrays that do not fit.
        """
        state = self.state
        if not self._read_in_place:
            with state.turnstile:
                pass
            with state.lock:
                if not state.away and Variable.epoch == self._epoch:
                    self._run_now(feeds)
                    return
        with ExitStack() as held:
            with MOVING:
                for home in self._homes():
                    held.enter_context(home.reading())
                state.settle()
                if Variable.epoch != self._epoch:
                    self._read_again()
            self._run_now(feeds)

    def _homes(self) -> list[Home]:
        """Where variables live that this step reads or changes; for who holds `MOVING`."""
        if Variable.epoch == self._epoch:
            found: list[Home | None] = [v.home for v in self.state.away]
            found += self._read_in_place
        else:
            found = [v.home for v in (*self.state.away, *(v for _, v in self._read))]
        return sorted({self.state, *(home for home in found if home is not None)}, key=lambda home: home.number)

    def _run_now(self, feeds: Sequence[Array] | None) -> None:
        """Run; for who holds the locks of the state and of all that is read in place."""
        state = self.state
        if feeds is not None:
            self._feed(feeds)
        elif not self._is_on_host:
            self._send()
        self._last = binding = self._bindings[state.present]
        try:
            self._run(binding)
            state.runs += 1
        except Exception as error:
            raise run_error(self._legal, error) from None
        finally:
            self._epoch = Variable.announce(self._epoch)

    def results(self) -> list[Array]:
        """Copies of what the last run gave, without the variables."""
        open_ones = None
        found: list[Array] = []
        for i, buffer in enumerate(self._result_buffers):
            if buffer is not None:
                found.append(buffer.read())
                continue
            if open_ones is None:
                open_ones = self._last.get_outputs()
            value_type = self.graph.outputs[i].type
            found.append(from_ort_value(open_ones[i], value_type.dtype if isinstance(value_type, TensorType) else None))
        return found

    def _options(self, threads: int | None) -> Any:
        options = session_options(threads=threads)
        # the layouts that ORT_ENABLE_ALL chooses do not pay for weights that change (shared/LOWERINGS.md, "Session")
        options.graph_optimization_level = onnxruntime().GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        return options

    def _open(self, threads: int | None) -> Any:
        options, is_on_cpu = self._options(threads), provider_name(self.providers[0]) == CPU
        if config.is_strict and not is_on_cpu:
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        native = open_session(self._legal, options, self.providers, variables_as_inputs=True, is_step=True,
                              without=_TRANSPOSE_OPTIMIZERS if is_on_cpu else ())
        check_providers(native, self.providers, fallback=False)
        return native

    def _bind(self, present: int) -> Any:
        """The binding that reads the set `present` of the state and writes the other."""
        binding = self._native.io_binding()
        state, names = self.state, self.graph.output_names
        index = {v: i for i, v in enumerate(state.variables)}
        for name, v in self._changed:
            binding.bind_ortvalue_input(name, state.sets[present][index[v]].value)
        for name, buffer in zip(self.graph.input_names, self._on_device, strict=True):
            if buffer is not None:
                binding.bind_ortvalue_input(name, buffer.value)
        for name, buffer in zip(names, self._result_buffers, strict=False):
            if buffer is None:
                binding.bind_output(name)
            else:
                binding.bind_ortvalue_output(name, buffer.value)
        for name, buffer in zip(names[len(self._result_buffers):], state.sets[1 - present], strict=True):
            binding.bind_ortvalue_output(name, buffer.value)
        return binding

    def _read_again(self) -> None:
        """Bind the variables that are only read, where they have changed."""
        self._epoch = Variable.epoch
        self._read_in_place = tuple({home for _, v in self._read if self._is_near(home := v.home)})
        for name, v in self._read:
            version = v.version
            if self._read_versions.get(v) == version:
                continue
            home = v.home
            if self._is_near(home):
                value = home.value(v)
            else:
                value = self._as_value(v.numpy())
            for binding in self._bindings:
                binding.bind_ortvalue_input(name, value)
            self._read_versions[v], self._kept_alive[v] = version, value

    def _is_near(self, home: Home | None) -> TypeGuard[State]:
        """Whether what lives there can be read where it is."""
        return isinstance(home, State) and home.device == self.state.device

    def _as_value(self, array: Array) -> Any:
        if self._is_on_host:
            return as_ort_value(array)
        buffer = DeviceBuffer(str(array.dtype), array.shape, self.state.device)
        buffer.write(array)
        return buffer.value

    def _feed(self, feeds: Sequence[Array]) -> None:
        for i, (name, x) in enumerate(zip(self.graph.input_names, feeds, strict=True)):
            own = self.inputs[i]
            if not (own is not None and type(x) is np.ndarray and x.dtype == own.dtype and x.shape == own.shape):
                x = check_feed(name, x, self._types[i])
            if own is not None:
                np.copyto(own, x)
            else:
                value = self._as_value(np.asarray(x))
                for binding in self._bindings:
                    binding.bind_ortvalue_input(name, value)
                self._kept_alive[name] = value
        if not self._is_on_host:
            self._send()

    def _send(self) -> None:
        for host, device in zip(self._buffers, self._on_device, strict=True):
            if host is not None and device is not None and host.array is not None:
                device.write(host.array)


def _buffer(value_type: object, device: Device) -> DeviceBuffer | None:
    """A buffer for values of this type, where shape and dtype tell its size."""
    if not isinstance(value_type, TensorType) or value_type.shape is None or value_type.dtype not in PLAIN - {"string"}:
        return None
    if not all(isinstance(d, int) for d in value_type.shape):
        return None
    return DeviceBuffer(value_type.dtype, tuple(value_type.shape), device)  # type: ignore[arg-type]
