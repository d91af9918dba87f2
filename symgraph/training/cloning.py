"""Models made anew of equal layers with weights of their own. Public as `sg.utils.clone_model`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.core.errors import LayerError
from symgraph.core.structure import flatten, map_structure, pack
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.types import is_floating
from symgraph.core.variable import Variable
from symgraph.layers.input_layer import Input, InputLayer
from symgraph.layers.layer import Layer, serialize
from symgraph.training.model import Model
from symgraph.training.sequential import Sequential

__all__ = ["clone_model"]

CloneFunction = Callable[[Layer], Layer]
CallFunction = Callable[..., Any]


def clone_model(model: Model, input_tensors: Any = None, clone_function: CloneFunction | None = None,
                call_function: CallFunction | None = None, recursive: bool = False) -> Model:
    """A model with the layers of `model` made anew: equal arguments and names, new weights with first values.

    A layer that is used twice is made once. `input_tensors` are symbols to build it on, new inputs unless given.
    `clone_function(layer)` makes a layer in place of `type(layer).from_config(layer.get_config())`; for models inside
    it is asked too, and with `recursive` for their layers instead. `call_function(layer, *args, **kwargs)` applies the
    new layers, in a model of inputs and outputs. Variables that ops use without a layer are copied, with their values.
    A compiled model gives a compiled one, with an optimizer and metrics of its own at their start.

    A model of a class with a `call` of its own is made by its `get_config` and `from_config`, which it must define.

    Errors: `LayerError` for what cannot be cloned, and for inputs that do not fit.

    >>> import symgraph as sg
    >>> model = sg.Sequential([sg.Input((4,)), sg.layers.Dense(2)])
    >>> twin = clone_model(model)
    >>> twin.set_weights(model.get_weights())
    >>> bool((twin(np.ones((1, 4))).numpy() == model(np.ones((1, 4))).numpy()).all())
    True
    """
    if not isinstance(model, Model):
        raise LayerError(f"clone_model: expects a model, got {model!r}")
    if recursive and clone_function is None:
        raise LayerError("clone_model: recursive says what clone_function is asked for; give clone_function")
    twin = _clone(model, input_tensors, _copier(clone_function, recursive=recursive), clone_function, call_function)
    if model.compiled:
        twin.compile(**map_structure(_fresh, model._compile_arguments))
    return twin


def _clone(model: Model, input_tensors: Any, copy: CloneFunction, clone_function: CloneFunction | None,
           call_function: CallFunction | None) -> Model:
    if isinstance(model, Sequential):
        if call_function is not None:
            raise LayerError("clone_model: call_function is for models of inputs and outputs, a Sequential calls its "
                             "layers itself")
        return _clone_sequential(model, input_tensors, copy)
    if model._network is None or model._is_subclass:
        if clone_function is not None or call_function is not None or input_tensors is not None:
            raise LayerError(f'clone_model: model "{model.name}" computes by its own call(), so its layers cannot be '
                             "exchanged; give a Sequential, or a model of inputs and outputs")
        if type(model).get_config is Model.get_config:
            raise LayerError(f'clone_model: model "{model.name}" is of class {type(model).__name__}, which must define '
                             "get_config() with the arguments of its constructor")
        twin = type(model).from_config(model.get_config())
        assert isinstance(twin, Model)
        return twin
    return _clone_connected(model, input_tensors, copy, call_function)


def _copier(clone_function: CloneFunction | None, *, recursive: bool) -> CloneFunction:
    """What makes a layer anew, each once."""
    made: dict[Layer, Layer] = {}

    def copy(layer: Layer) -> Layer:
        if layer not in made:
            if isinstance(layer, Model) and (clone_function is None or recursive):
                twin: Layer = clone_model(layer, clone_function=clone_function, recursive=recursive)
            else:
                twin = (clone_function or _anew)(layer)
            if not isinstance(twin, Layer):
                raise LayerError(f"clone_model: clone_function must return a layer, got {twin!r} for {layer!r}")
            made[layer] = twin
        return made[layer]

    return copy


def _anew(layer: Layer) -> Layer:
    """A layer of an equal configuration. What a class does not read itself is given as it is, not by its name."""
    config = layer.get_config()
    if _reads_nothing(type(layer)):
        config.update({name: map_structure(_fresh, argument) for name, argument in layer._arguments.items()
                       if name in config and _is_made_of_objects(argument) and config[name] == serialize(argument)})
    return type(layer).from_config(config)


def _reads_nothing(cls: type[Layer]) -> bool:
    return cls.from_config.__func__ is Layer.from_config.__func__  # type: ignore[attr-defined]


def _is_made_of_objects(argument: Any) -> bool:
    return any(callable(x) or hasattr(x, "get_config") for x in flatten(argument))


def _fresh(argument: Any) -> Any:
    """An argument for another layer: layers and objects anew, functions as they are."""
    if isinstance(argument, Layer):
        return _anew(argument)
    if hasattr(argument, "get_config") and hasattr(type(argument), "from_config"):
        return type(argument).from_config(argument.get_config())
    return argument


def _clone_sequential(model: Sequential, input_tensors: Any, copy: CloneFunction) -> Sequential:
    given = flatten(input_tensors) if input_tensors is not None else []
    if len(given) > 1:
        raise LayerError(f'clone_model: model "{model.name}" has one input, got {len(given)}')
    entry = given[0] if given else model._entry
    if given and not (isinstance(entry, SymbolicTensor) and entry.call is not None
                      and isinstance(entry.call.layer, InputLayer)):
        raise LayerError(f"clone_model: a Sequential starts at an sg.Input(...), got {entry!r}")
    layers = [copy(layer) for layer in model._stack]
    start = [] if entry is None else [entry if given else _new_input(entry)]
    return Sequential([*start, *layers], name=model.name, trainable=model.trainable)


def _clone_connected(model: Model, input_tensors: Any, copy: CloneFunction, call_function: CallFunction | None,
                     ) -> Model:
    inputs = [_new_input(x) for x in model.inputs] if input_tensors is None else flatten(input_tensors)
    if len(inputs) != len(model.inputs) or not all(isinstance(x, SymbolicTensor) for x in inputs):
        raise LayerError(f'clone_model: model "{model.name}" has {len(model.inputs)} inputs '
                         f"({', '.join(model.input_names)}), which are symbols; got {input_tensors!r}")
    variables: dict[Operand, Operand] = {v: _new_variable(v) for v in model._weights if is_floating(v.dtype)}

    def call(layer: Layer, *args: Any, **kwargs: Any) -> Any:
        twin = copy(layer)
        return twin(*args, **kwargs) if call_function is None else call_function(twin, *args, **kwargs)

    network = model._network
    assert network is not None
    outputs = network.run(inputs, model._output_structure, None, call, variables)
    makes_itself = type(model).__init__ is not Model.__init__
    cls = Model if makes_itself else type(model)
    twin = cls(pack(model._input_structure, inputs), outputs, name=model.name)
    twin._trainable = model.trainable  # that of the layers inside is their own
    shared = [v.name for v in twin.graph.variables if v in variables]
    if shared:
        raise LayerError(f'clone_model: model "{model.name}" uses the variable {shared[0]!r} inside of a loop or a '
                         "branch without a layer; make a layer of it")
    return twin


def _new_input(x: SymbolicTensor) -> SymbolicTensor:
    return Input(batch_shape=x.shape, dtype=x.dtype, name=x.name)


def _new_variable(v: Variable) -> Variable:
    return Variable(np.array(v.numpy()), trainable=v.trainable, name=v.name)
