"""Models: layers and ops between inputs and outputs, to predict with, look into, cut apart and export."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symgraph import passes
from symgraph.core.errors import GraphError, LayerError, nearest
from symgraph.core.graph import Graph
from symgraph.core.scope import current_eager_step, current_trace, warn_user
from symgraph.core.structure import flatten, map_structure, pack
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.types import TensorType, is_floating
from symgraph.core.value import Tensor, as_array
from symgraph.core.variable import Variable
from symgraph.layers.input_layer import Input
from symgraph.layers.layer import Layer
from symgraph.layers.masking import carry, with_mask
from symgraph.layers.network import Network
from symgraph.layers.rnn import RNN
from symgraph.ops.casting import cast
from symgraph.ops.seeds import SeedGenerator, global_generator
from symgraph.ops.shape import expand_dims, squeeze
from symgraph.runtime.exporter import save
from symgraph.runtime.importer import load_graph
from symgraph.runtime.session import Session
from symgraph.training import fitting
from symgraph.training.batches import DEFAULT_BATCH, Batches, fixed_batch, run_on
from symgraph.training.checkpoints import SUFFIX
from symgraph.training.function import HOLE, Traced, as_value, trace
from symgraph.training.input_checks import NUMBERS, fitted_shape
from symgraph.training.step_variables import held_by
from symgraph.training.summary import format_summary
from symgraph.training.trainer import Trainer
from symgraph.training.weights_files import load_weights, save_weights

Array = np.ndarray[Any, Any]


class Model(Trainer):
    """What lies between `inputs` and `outputs`, or a subclass with a `call` of its own.

    `inputs` and `outputs` are symbols, or lists or dicts of symbols. Any symbol will do, from the inside of
    another model too: `Model(model.inputs, model.get_layer("conv").output)` is a submodel that shares the
    weights and computes only what is asked for.

    >>> import symgraph as sg
    >>> x = sg.Input((4,))
    >>> model = sg.Model(x, sg.layers.Dense(2)(x))
    >>> model.predict(np.zeros((3, 4), np.float32)).shape
    (3, 2)
    """

    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.autocast = self.autocast and self._is_subclass  # others take what their inputs are
        self._network: Network | None = None
        self._graph: Graph | None = None
        self._sessions: dict[tuple[str, ...] | None, tuple[Session, Session | None]] = {}
        self._predicted_with: dict[tuple[str, ...] | None, tuple[int, ...]] = {}
        self._traces: dict[tuple[bool, tuple[tuple[int, int], ...]], Traced] = {}
        self._batches: Batches | None = None
        self._forget_steps()
        if (inputs is None) != (outputs is None):
            raise LayerError("a model is made of inputs and outputs; one of them is missing")
        if inputs is not None:
            self._connect(inputs, outputs)

    def _connect(self, inputs: Any, outputs: Any) -> None:
        for kind, structure in (("inputs", inputs), ("outputs", outputs)):
            for x in flatten(structure):
                if not isinstance(x, SymbolicTensor):
                    raise LayerError(f"{kind} of a model must be symbols, such as sg.Input(...) and what layers make "
                                     f"of it; got {type(x).__name__}: {x!r}")
        self._input_structure, self._output_structure = inputs, outputs
        self._graph = None
        self._sessions.clear()
        self._traces.clear()
        self._network = Network(flatten(inputs), flatten(outputs))
        if not self._is_subclass:
            self._sublayers[:] = self._network.layers
            self._own_weights()
        self.built = True

    def _own_weights(self) -> None:
        """Variables that ops use directly belong to the model itself; states and seeds that layers hold do not."""
        own = {v for layer in self._sublayers for v in layer.weights}
        for x in (x for layer in self._sublayers for _, x in held_by(layer)):
            if isinstance(x, Variable | SeedGenerator):
                own.add(x if isinstance(x, Variable) else x.state)
        self._weights[:] = [v for v in self.graph.variables if v not in own and v is not global_generator().state]

    @property
    def _is_subclass(self) -> bool:
        return type(self).call is not Model.call

    # What it is made of.

    @property
    def graph(self) -> Graph:
        """The graph from inputs to outputs, for inference."""
        self._require()
        if self._graph is None:
            self._graph = Graph(self.inputs, self.outputs, name=self.name)
        return self._graph

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The input symbols."""
        self._require()
        return flatten(self._input_structure)

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The output symbols."""
        self._require()
        return flatten(self._output_structure)

    @property
    def input(self) -> Any:
        """The inputs, nested as they were given."""
        self._require()
        return self._input_structure

    @property
    def output(self) -> Any:
        """The outputs, nested as they were given."""
        self._require()
        return self._output_structure

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, as in an exported file."""
        return list(self.graph.input_names)

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs, as in an exported file."""
        return list(self.graph.output_names)

    @property
    def layers(self) -> list[Layer]:
        """The layers, inputs first."""
        return list(self._sublayers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of this name, or at this position in `layers`.

        Errors: `LayerError` listing the names there are.
        """
        if (name is None) == (index is None):
            raise LayerError("get_layer wants either a name or an index")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise LayerError(f'model "{self.name}" has {len(self.layers)} layers, so no layer {index}')
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise LayerError(f'model "{self.name}" has no layer "{name}"; '
                         f'{nearest(str(name), [layer.name for layer in self.layers], limit=50)}')

    def get_tensor(self, name: str) -> SymbolicTensor:
        """The symbol of this name anywhere in the model, or the output of the layer of this name.

        Errors: `GraphError` listing the near names.
        """
        for x in self._require().outputs_of(name):
            return x
        try:
            found = self.graph.find(name)
        except GraphError as error:
            known = [layer.name for layer in self._sublayers] + list(self.graph.names.values())
            raise GraphError(f'model "{self.name}" has no layer or tensor "{name}"; {nearest(name, known)}') from error
        if not isinstance(found, SymbolicTensor):
            raise GraphError(f'"{name}" is a weight or constant of model "{self.name}", not a tensor computed by it')
        return found

    # Running.

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        """Compute the outputs. On values the whole model runs as one compiled graph; subclasses say what to compute.

        `mask` is that of the input, or a list or dict with one or None for each of several, in place of their own.
        """
        if self._network is None:
            raise LayerError(f'model "{self.name}" has no inputs and outputs, and its class no call(); '
                             "give Model(inputs, outputs), add layers, or define call")
        operands = [self._as_operand(x, arg) for x, arg in zip(self.inputs, self._arrange(inputs), strict=True)]
        if mask is None:
            given = [None] * len(operands)
        else:
            given = self._arrange(mask) if isinstance(mask, Mapping) else flatten(mask)
        if len(given) != len(operands):
            raise LayerError(f'model "{self.name}" has {len(operands)} inputs, got {len(given)} masks')
        operands = [x if m is None else with_mask(x, m) for x, m in zip(operands, given, strict=True)]
        if current_trace() is None and current_eager_step() is None and not any(
                isinstance(x, SymbolicTensor) for x in operands):
            masks = {i: x.mask for i, x in enumerate(operands) if x.mask is not None}
            traced = self._compiled(training, tuple((i, mask.ndim) for i, mask in masks.items()))
            return traced.run([*operands, *masks.values()])
        return self._network.run(operands, self._output_structure, training)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """None: the outputs carry the masks that the layers inside have given them."""

    def _compiled(self, training: bool, masked: tuple[tuple[int, int], ...]) -> Traced:
        """The whole model as one graph, for masks of these ranks at these inputs."""
        traced = self._traces.get((training, masked))
        if traced is None:
            network, outputs = self._network, self._output_structure
            assert network is not None
            types = [*(x.type for x in self.inputs), *(TensorType("bool", (None,) * rank) for _, rank in masked)]
            traced = self._traces[training, masked] = trace(
                lambda *symbols: network.run(symbols, outputs, training), types,
                (tuple(HOLE for _ in self.inputs), {}), list(self.graph.input_names), self.name,
                [i for i, _ in masked])
        return traced

    def _as_operand(self, wanted: SymbolicTensor, given: Any) -> Any:
        if not isinstance(given, Operand):
            return Tensor(as_array(given, wanted.dtype))
        if not isinstance(given.type, TensorType) or not isinstance(wanted.type, TensorType):
            return given
        fitted = given
        shape = None if given.type.shape is None else fitted_shape(given.shape, wanted.shape)
        if shape is not None and len(shape) != given.ndim:
            fitted = squeeze(given, -1) if len(shape) < given.ndim else expand_dims(given, -1)
        if given.dtype != wanted.dtype and is_floating(wanted.dtype) and given.dtype in NUMBERS:
            fitted = cast(fitted, wanted.dtype)
        return given if fitted is given else carry(fitted, given.mask)

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None,
                callbacks: Any = None) -> Any:
        """The outputs for data, computed in batches (of 32 unless said otherwise), as NumPy arrays.

        `x` is an array, a list of arrays for several inputs, a dict by input name, or anything that gives batches, as
        for `fit`. An empty batch gives empty results. An imported model runs on everything at once unless `batch_size`
        is given. `steps` is the number of batches at most; `verbose` as in `fit`, "auto" shows a bar on a terminal.
        Numbers of other dtypes are cast where an input takes floats, as in training.

        Errors: `LayerError` naming the input, what it got and what it expected.
        """
        if fitting.needs_loop(self, x, verbose, callbacks):
            return fitting.predict(self, x, batch_size, verbose, steps, callbacks)
        feeds = self._feeds(x)
        if self._assigned:  # known only now that the inputs are
            return fitting.predict(self, x, batch_size, 0, steps, callbacks)
        size = DEFAULT_BATCH if batch_size is None and self._sublayers else batch_size
        session = self._session(None)
        if self._batches is None or self._batches.session is not session:
            self._batches = Batches(session)
        return pack(self._output_structure, self._batches.run(feeds, size, steps))

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, whatever its size, as NumPy arrays."""
        feeds = self._feeds(x)
        if self._assigned:
            batch = pack(self._input_structure, map(np.asarray, feeds.values()))
            return self._run_step("predict", (batch, None, None))
        return pack(self._output_structure, run_on(self._session(None), feeds))

    def execute(self, inputs: Any, outputs: str | Sequence[str] | None = None) -> Any:
        """The tensors called `outputs`: names of layers, or of any tensor inside. Only what they need is computed.

        One name gives one tensor, a list of names a list; without names come the model's outputs. Variables that layers
        change stay as they are.

        Errors: `GraphError` listing the near names.
        """
        feeds = self._feeds(inputs)
        if outputs is None:
            return pack(self._output_structure, map(as_value, run_on(self._session(None), feeds)))
        names = (outputs,) if isinstance(outputs, str) else tuple(outputs)
        session = self._session(names)
        results = [as_value(x) for x in run_on(session, {name: feeds[name] for name in session.input_names})]
        return results[0] if isinstance(outputs, str) else results

    def _session(self, names: tuple[str, ...] | None) -> Session:
        """The compiled graph to these tensors.

        Weights are compiled in. When they change, the graph is compiled once more with weights as inputs, which serves
        until they have stayed the same from one call to the next.
        """
        fixed, moving = self._sessions.get(names, (None, None))
        if fixed is not None and not fixed.is_stale:
            return fixed
        graph = self.graph if names is None else self._subgraph(names)
        versions = tuple(v.version for v in graph.variables)
        if fixed is None or (moving is not None and self._predicted_with.get(names) == versions):
            fixed = Session(graph)
        elif moving is None:
            moving = Session(graph, variables_as_inputs=True)
        self._sessions[names], self._predicted_with[names] = (fixed, moving), versions
        return fixed if moving is None or not fixed.is_stale else moving

    def _subgraph(self, names: tuple[str, ...]) -> Graph:
        """The graph to the tensors of these names, from those inputs that they need."""
        symbols = [self.get_tensor(name) for name in names]
        reached = {x for node in self.graph.with_outputs(symbols).nodes for x in node.operands}
        pairs = [(x, name) for x, name in zip(self.graph.inputs, self.graph.input_names, strict=True)
                 if x in reached or any(x is s for s in symbols)]
        return Graph([x for x, _ in pairs], symbols, input_names=[name for _, name in pairs], name=self.name,
                     opsets=self.graph.opsets, output_names=names if len(set(names)) == len(names) else None)

    def _feeds(self, x: Any) -> dict[str, Any]:
        """Arrays by input name."""
        if not self._is_connected:
            self._connect_to(x)
        names = self.graph.input_names
        if len(names) == 1 and isinstance(x, np.ndarray):
            return {names[0]: x}
        return dict(zip(names, map(_as_feed, self._arrange(x)), strict=True))

    def _arrange(self, x: Any) -> list[Any]:
        """What was given for the inputs, in their order."""
        wanted = self.inputs
        if isinstance(x, Mapping):
            keys = list(self._input_structure) if isinstance(self._input_structure, dict) else self.input_names
            unknown = [k for k in x if k not in keys]
            missing = [k for k in keys if k not in x]
            if unknown or missing:
                raise LayerError(f'model "{self.name}" has the inputs {", ".join(map(repr, keys))}; '
                                 f"got {', '.join(map(repr, x)) or 'none'}")
            return [x[k] for k in keys]
        if len(wanted) == 1 and not self._is_list_of_one(x):
            return [x]
        if not isinstance(x, list | tuple) or len(x) != len(wanted):
            got = f"{len(x)} arrays" if isinstance(x, list | tuple) else "one array"
            raise LayerError(f'model "{self.name}" has {len(wanted)} inputs '
                             f"({', '.join(self.input_names)}), got {got}")
        return list(x)

    def _is_list_of_one(self, x: Any) -> bool:
        """Whether `x` is a list with the array for the only input, not one whose first row is an array."""
        if not isinstance(x, list | tuple) or len(x) != 1 or not isinstance(x[0], np.ndarray | Operand | TensorType):
            return False
        rank = len(x[0].shape or ())
        return isinstance(self._input_structure, list | tuple) or rank >= len(self.inputs[0].shape)

    # Subclasses with a call of their own.

    @property
    def _is_connected(self) -> bool:
        return self._network is not None

    def _connect_to(self, x: Any) -> None:
        """Make inputs for data like `x` and call the model on them."""
        if not self._is_subclass:
            raise LayerError(f'model "{self.name}" has no inputs and outputs yet; give it data or an input shape first')
        if isinstance(x, list | tuple) and _is_plain(x):
            x = as_array(x)
        inputs = map_structure(lambda a: _open_input(as_array(a)), x)
        self._connect(inputs, self(inputs))

    def _build_for(self, types: Any) -> None:
        """Make inputs for data of these types and call the model on them, unless it has inputs."""
        if self._is_connected:
            return
        if not self._is_subclass:
            raise LayerError(f'model "{self.name}" has no inputs and outputs yet; give it layers first')
        inputs = map_structure(lambda t: Input(t.shape[1:], dtype=t.dtype), types)
        self._connect(inputs, self(inputs))

    @property
    def _assigned(self) -> list[Variable]:
        """The variables that layers change in every call, training or not: no graph of values alone does that."""
        return [] if self._network is None else self._network.assigned

    @property
    def _fixed_batch(self) -> int | None:
        """The batch size that is part of the inputs, if there is one."""
        return None if self._network is None else fixed_batch(self.inputs)

    def reset_state(self) -> None:
        """Start the states of all recurrent layers with `stateful` anew, in models inside as well."""
        for layer, _ in self._walk_layers():
            if isinstance(layer, RNN):
                layer.reset_state()

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        self.reset_state()

    def _output_log_names(self) -> list[str] | None:
        """What logs call the outputs: the layers that gave them, or as they are called in a file."""
        if self._network is None:
            return None
        return [x.call.layer.name if x.call is not None else name
                for x, name in zip(self.outputs, self.output_names, strict=True)]

    def _require(self) -> Network:
        if self._network is None:
            raise LayerError(f'model "{self.name}" has no inputs and outputs yet; '
                             "call it on data, or give an input shape")
        return self._network

    # Files and text.

    def export(self, path: str | os.PathLike[str], optimize: bool = True, opset: int | None = None,
               metadata: Mapping[str, str] | None = None, pin: Sequence[str] = ()) -> None:
        """Write the model for inference as plain ONNX, which any ONNX Runtime from 1.20 on runs.

        Weights go in as they are now. `pin` names layers or tensors that must stay in the file under their names;
        `optimize=False` keeps all of them. More than 2 GB of weights go to a file beside it. The file appears whole
        or not at all.

        A file changes no variables. Where layers do, such as recurrent ones with `stateful`, every run of it starts
        with the values as they are now, of which a warning tells.

        Errors: `UnsupportedOpError` where an operator does not exist at `opset`.
        """
        if self._assigned:
            names = ", ".join(dict.fromkeys(v.path for v in self._assigned))
            warn_user(f'model "{self.name}": the file keeps no states; {names} are constants in it, as now, and '
                      "every run starts with them. For states that go on from run to run, export a model that takes "
                      "them as inputs (initial_state) and gives them back (return_state)")
        graph = self.graph.pin({name: self.get_tensor(name) for name in pin}) if pin else self.graph
        if optimize:
            graph = passes.optimize(graph)
        save(graph, path, opset=opset, metadata=metadata)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write all weights to a `.ckpt` file, which appears whole or not at all.

        Errors: `LayerError` for other endings, and where the file is there and `overwrite` is False.
        """
        path = self._weights_path(filepath)
        if not overwrite and path.exists():
            raise LayerError(f'model "{self.name}": {path} is there already; give overwrite=True to replace it')
        save_weights(self, path)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Set all weights to those in a `.ckpt` file, in their order; the names may differ.

        Errors: `CheckpointError` listing all that does not fit, and then nothing is set; `FormatError` for other files.
        """
        load_weights(self, self._weights_path(filepath))

    def _weights_path(self, filepath: str | os.PathLike[str]) -> Path:
        path = Path(filepath)
        if path.suffix != SUFFIX:
            raise LayerError(f'model "{self.name}": weights go to {SUFFIX} files, got {path.name}; Keras\'s files come '
                             "with the Keras formats, export writes ONNX")
        return path

    def summary(self, print_fn: Callable[[str], object] | None = None, line_length: int = 100) -> None:
        """Print the layers with output shapes and numbers of parameters."""
        (print_fn or print)(format_summary(self, line_length))

    def get_config(self) -> dict[str, Any]:
        """Not for models yet: they are saved with `export`."""
        raise LayerError(f'model "{self.name}": a configuration of a whole model comes with the Keras formats; '
                         "use export")

    @classmethod
    def from_graph(cls, graph: Graph, name: str | None = None) -> Model:
        """A model that runs this graph: its variables are the weights, its tensors keep their names."""
        model = cls(name=name or graph.name or None)
        model._input_structure = graph.inputs[0] if len(graph.inputs) == 1 else list(graph.inputs)
        model._output_structure = graph.outputs[0] if len(graph.outputs) == 1 else list(graph.outputs)
        model._graph = graph
        model._network = Network(graph.inputs, graph.outputs)
        model._sublayers[:] = model._network.layers
        model._own_weights()
        model.built = True
        return model

    def __repr__(self) -> str:
        if self._network is None:
            return f"<{type(self).__name__} {self.name!r}, not built>"
        return f"<{type(self).__name__} {self.name!r}: {', '.join(self.input_names)} -> {', '.join(self.output_names)}>"


def load_onnx(path: Any, trainable: bool = False, name: str | None = None) -> Model:
    """A model from an ONNX file: to run, look into, cut, build upon and export again under the same names.

    `path` is a file, bytes, or an onnx.ModelProto. Weights are variables; `trainable=True` lets them be trained.

    Errors: `FormatError` and its kind, saying what is wrong with the file and what to do.
    """
    graph = load_graph(path, trainable=trainable)
    return Model.from_graph(graph, name)


def _as_feed(x: Any) -> Any:
    return x.numpy() if isinstance(x, Tensor | Variable) else x


def _is_plain(x: Any) -> bool:
    return all(isinstance(v, bool | int | float | np.generic) for v in flatten(x))


def _open_input(array: Array) -> SymbolicTensor:
    return Input(array.shape[1:], dtype=array.dtype)
