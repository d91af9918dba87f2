"""The base of all layers: weights made when shapes are known, one `call` for symbols and for values."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op, symbol
from symgraph.core.errors import LayerError, ShapeError, SymgraphError, nearest
from symgraph.core.memory import dispose
from symgraph.core.scope import (
    Trace,
    autocast_dtype,
    autocasting,
    current_layer,
    current_trace,
    describe_place,
    layer_scope,
    not_tracing,
    tracing,
    user_source,
)
from symgraph.core.structure import flatten, map_structure, pack
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.types import Shape, TensorType, as_dtype, as_shape, format_dims, is_floating
from symgraph.core.value import Tensor, as_array
from symgraph.core.variable import Variable
from symgraph.layers import constraints, initializers, regularizers
from symgraph.layers import dtype_policy as dtype_policies
from symgraph.layers.added_losses import add_loss, added_losses, forget_losses, penalize_activity
from symgraph.layers.arguments import (
    build_arguments,
    call_parameters,
    constructor_arguments,
    is_plain_data,
    marking_built,
    serialize,
)
from symgraph.layers.input_spec import check_inputs
from symgraph.layers.masking import adopt_mask, carry, hand_on, symbols_among, take_masks
from symgraph.layers.naming import clear_session, snake_case, unique_layer_name
from symgraph.ops.casting import cast

_TRAINING: ContextVar[bool] = ContextVar("training", default=False)


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One application of a layer to symbols: what a model is made of.

    `masks` are those that `call` took from its inputs besides what was said, `assigned` the variables that it changes.
    """

    layer: Layer
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: Any
    masks: tuple[SymbolicTensor, ...] = ()
    assigned: tuple[Variable, ...] = ()

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The symbols among the arguments."""
        return [x for x in flatten((self.args, dict(self.kwargs))) if isinstance(x, SymbolicTensor)]


class Layer:
    """A function with weights. `layer.apply(x)`, or `layer(x)`: symbol in, symbol out; value in, value out.

    A layer of your own overrides `build(input_shape)`, which makes weights with `add_weight`, and
    `call(inputs)`, which computes with ops; `call` may take `training`, and `mask`: which steps of the inputs
    count, where something before has said so. A layer that hands the mask on sets `supports_masking = True`; one
    whose outputs have another mask, or set one themselves, overrides `compute_mask`.

    >>> import symgraph as sg
    >>> class Scale(sg.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight((input_shape[-1],), initializer="ones", name="scale")
    ...     def call(self, inputs):
    ...         return inputs * self.scale
    >>> Scale().apply(sg.Input((3,))).shape
    (None, 3)
    """

    _arguments: dict[str, Any]
    _calls: list[LayerCall]
    _losses: list[Operand]
    _sublayers: list[Layer]
    _weights: list[Variable]
    built: bool

    _has_own_mask = False
    supports_masking: bool = False
    """Whether outputs carry the mask that `compute_mask` says; otherwise a mask of the inputs ends here."""

    input_spec: Any = None
    """An `InputSpec`, or a list of them: what the first argument must be. `build` may set it."""

    autocast = True
    """Whether inputs and weights in floating point are cast to `compute_dtype`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Layer:
        self = super().__new__(cls)
        self.__dict__.update(_weights=[], _sublayers=[], _calls=[], _losses=[], built=False, _name="",
                             _trainable=True, activity_regularizer=None)
        self.__dict__["_arguments"] = constructor_arguments(cls, args, kwargs)
        return self

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "build" in cls.__dict__:
            cls.build = marking_built(cls.build)  # type: ignore[method-assign]
        if "compute_mask" in cls.__dict__:
            cls._has_own_mask = True
            cls.supports_masking = cls.__dict__.get("supports_masking", True)

    def __init__(
            self, *, activity_regularizer: object = None, name: str | None = None, trainable: bool = True,
            dtype: object = None, autocast: bool = True,
            input_shape: object = None, input_dim: int | None = None, batch_size: int | None = None,
            batch_input_shape: object = None, batch_shape: object = None, **unknown: object) -> None:
        if unknown:
            word = next(iter(unknown))
            raise LayerError(f"{type(self).__name__}: no argument {word!r}; {nearest(word, self._arguments_known())}")
        self._name = name or unique_layer_name(snake_case(type(self).__name__))
        self._trainable = trainable
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._dtype_policy = dtype_policies.get(dtype)
        self.autocast = autocast and type(self).autocast
        batch_input_shape = batch_input_shape if batch_input_shape is not None else batch_shape
        if input_dim is not None:
            input_shape = (input_dim,)
        self._declared_shape: Shape | None = None
        if batch_input_shape is not None:
            self._declared_shape = as_shape(batch_input_shape)
        elif input_shape is not None:
            self._declared_shape = (batch_size, *as_shape(input_shape))

    def _arguments_known(self) -> list[str]:
        names = [*inspect.signature(type(self).__init__).parameters, *inspect.signature(Layer.__init__).parameters]
        return [n for n in dict.fromkeys(names) if n not in ("self", "options", "unknown")]

    # What a layer of one's own overrides.

    def build(self, input_shape: Any) -> None:
        """Make the weights, knowing the shape (or the list of shapes) of the first argument of `call`.

        Several parameters that end in `_shape` are those of the arguments: `build(self, query_shape, value_shape)`.
        """

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs."""
        raise LayerError(f'layer "{self.name}" of class {type(self).__name__} has no call(); define it')

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the outputs, or a list with that of each; that of the inputs, unless a layer says another."""
        return previous_mask

    # Applying.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the layer to symbols or to values."""
        given = self._as_operands(args, kwargs)
        args, kwargs = (map_structure(self._convert_leaf, each) for each in given)
        operands = [x for x in flatten((args, kwargs)) if isinstance(x, Operand)]
        is_definition = current_trace() is None and any(isinstance(x, SymbolicTensor) for x in operands)
        if not current_layer():
            forget_losses({layer for layer, _ in self._walk_layers()})
        youngest = max((x.node.serial for x in operands if isinstance(x, SymbolicTensor) and x.node), default=-1)
        with layer_scope(self.name):
            self._ensure_built(args, kwargs)
            call_kwargs, training = self._with_training(kwargs)
            masks, first, previous = take_masks(self, call_parameters(type(self)), args, call_kwargs)
            token = _TRAINING.set(training)
            try:
                with autocasting(self._autocast_dtype()), (
                        tracing(Trace(is_definition=True)) if is_definition else nullcontext()) as trace:
                    outputs = self._own_outputs(self.call(*args, **{**call_kwargs, **masks}), youngest)
                    outputs = hand_on(self, operands, first, outputs, previous)
            finally:
                _TRAINING.reset(token)
            if self.activity_regularizer is not None and not is_definition:
                penalize_activity(self, outputs)
            if trace is not None:
                self.record_call(given[0], given[1], outputs, symbols_among(masks), tuple(trace.updates))
        return outputs

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the layer to symbols or to values; the same as calling it."""
        return self(*args, **kwargs)

    def _as_operands(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with arrays as tensors."""
        if not kwargs and len(args) == 1 and isinstance(args[0], Operand):
            return args, kwargs
        if args and isinstance(args[0], list | tuple) and is_plain_data(args[0]):
            args = (Tensor(as_array(args[0])), *args[1:])
        arguments: tuple[tuple[Any, ...], dict[str, Any]] = map_structure(
            lambda x: Tensor(as_array(x)) if isinstance(x, np.ndarray | np.generic) else x, (args, kwargs))
        return arguments

    def _convert_leaf(self, x: Any) -> Any:
        """Floating-point operands in the dtype in which the layer computes."""
        dtype = self.compute_dtype
        if self.autocast and isinstance(x, Operand) and isinstance(x.type, TensorType) and (
                x.type.dtype != dtype and is_floating(x.type.dtype) and is_floating(dtype)):
            return carry(cast(x, dtype), x.mask)
        return x

    def _autocast_dtype(self) -> str | None:
        """The dtype in which `call` reads variables; None where they are read as they are."""
        policy = self._dtype_policy
        is_mixed = policy.compute_dtype != policy.variable_dtype or autocast_dtype() is not None
        return policy.compute_dtype if is_mixed and self.autocast and is_floating(policy.compute_dtype) else None

    def _ensure_built(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        first = args[0] if args else next(iter(kwargs.values()), None)
        if self.input_spec is not None:
            check_inputs(self, self.input_spec, first)
        if self.built:
            return
        shapes, named = build_arguments(self, args, kwargs)
        with not_tracing():
            self.build(*shapes, **named)
        self.built = True

    def _with_training(self, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """The keyword arguments of `call`, and whether this is training: as said, else as around us."""
        given = dict(kwargs)
        said = given.pop("training", None)
        training = _TRAINING.get() if said is None else bool(said)
        if "training" in call_parameters(type(self)):
            given["training"] = training
        return given, training

    def _own_outputs(self, outputs: Any, youngest: int) -> Any:
        """Outputs that are symbols made by this very call, named after the layer."""
        path = "/".join(current_layer())
        named: list[Any] = []
        for i, x in enumerate(flatten(outputs)):
            if isinstance(x, SymbolicTensor):
                if x.node is None or x.node.serial <= youngest or any(x is n for n in named):
                    x = carry(apply_op("Identity", x), x.mask if any(x is n for n in named) else None)
                x.hint = path if i == 0 else f"{path}:{i}"
            elif isinstance(x, Variable):
                x = apply_op("Identity", x)
            named.append(x)
        return pack(outputs, named)

    def record_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], outputs: Any,
                    masks: tuple[SymbolicTensor, ...] = (), assigned: tuple[Variable, ...] = ()) -> None:
        """Remember an application to symbols, and let its outputs, and the masks it made, remember it."""
        call = LayerCall(self, args, kwargs, outputs, masks, assigned)
        self._calls.append(call)
        for x in flatten(outputs):
            if isinstance(x, SymbolicTensor):
                x.call = call
                adopt_mask(x.mask, call, current_layer())

    # Weights.

    def add_weight(
            self, shape: object = (), initializer: object = None, dtype: object = None, trainable: bool = True,
            regularizer: object = None, constraint: object = None, name: str | None = None,
            autocast: bool = True) -> Variable:
        """Make a weight. Floats start as `glorot_uniform` unless an initializer is given, other dtypes as zeros.

        `regularizer(weight)` is added to the `losses`; `constraint(weight)` takes the weight's place after each update.
        The dtype is `variable_dtype` unless given; `call` reads the weight in `compute_dtype`, unless `autocast` is
        False.
        """
        dtype = as_dtype(dtype or self.variable_dtype)
        wanted = as_shape(shape)
        if any(not isinstance(d, int) for d in wanted):
            raise ShapeError(
                f'layer "{self.name}" cannot make weight {name or "weight"!r} of shape ({format_dims(wanted)}): '
                "the size must be known; give the input a fixed size there")
        start = initializers.get(initializer or ("glorot_uniform" if is_floating(dtype) else "zeros"))
        path = current_layer() or (self.name,)
        with not_tracing():
            variable = Variable(start, shape=wanted, dtype=dtype, trainable=trainable,
                                name="/".join((*path, name or f"weight_{len(self._weights)}")))
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.autocast = autocast
        self._weights.append(variable)
        return variable

    def __setattr__(self, name: str, value: Any) -> None:
        for x in flatten(value) if isinstance(value, list | tuple | dict | Layer | Variable) else ():
            if isinstance(x, Layer) and x is not self and not any(x is known for known in self._sublayers):
                self._sublayers.append(x)
            elif isinstance(x, Variable) and not any(x is known for known in self._weights):
                self._weights.append(x)
        super().__setattr__(name, value)

    @property
    def weights(self) -> list[Variable]:
        """All weights, each once: a layer's own, trainable ones first, then those of the layers inside."""
        return [v for v, _ in self._walk_weights()]

    @property
    def variables(self) -> list[Variable]:
        """The weights."""
        return self.weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes; none where `trainable` is False."""
        return [v for v, is_trainable in self._walk_weights() if is_trainable]

    @property
    def trainable_variables(self) -> list[Variable]:
        """The same as `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training leaves alone."""
        return [v for v, is_trainable in self._walk_weights() if not is_trainable]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The same as `non_trainable_weights`."""
        return self.non_trainable_weights

    @property
    def losses(self) -> list[Any]:
        """What to add to the loss: what was added in the last call, then the penalties of all trainable weights.

        In a compiled function these are its own symbols, and the penalties those of the weights as they are there.
        """
        added = added_losses(dict.fromkeys(layer for layer, _ in self._walk_layers()))
        return [*added, *(v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None)]

    def add_loss(self, loss: Any) -> None:
        """Add a scalar, or several, to the `losses` until the layer, or one around it, is called again.

        Errors: `LayerError` for what is no tensor.
        """
        add_loss(self, loss)

    def _walk_weights(self) -> list[tuple[Variable, bool]]:
        found: dict[Variable, bool] = {}
        for layer, is_trainable in self._walk_layers():
            for variable in sorted(layer._weights, key=lambda v: not v.trainable):
                found.setdefault(variable, is_trainable and variable.trainable)
        return list(found.items())

    def _walk_layers(self, is_trainable: bool = True) -> Iterator[tuple[Layer, bool]]:
        is_trainable = is_trainable and self._trainable
        yield self, is_trainable
        for layer in self._sublayers:
            yield from layer._walk_layers(is_trainable)

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """The values of all weights, in the order of `weights`; changing them changes nothing here."""
        return [np.array(v.numpy()) for v in self.weights]

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Set all weights, in the order of `get_weights`.

        Errors: `LayerError` naming the first that does not fit; then nothing is set.
        """
        variables, values = self.weights, [as_array(w) for w in weights]
        if len(values) != len(variables):
            names = ", ".join(f"{v.name} {v.shape}" for v in variables) or "none"
            raise LayerError(f'layer "{self.name}" has {len(variables)} weights ({names}), got {len(values)} arrays')
        for i, variable in enumerate(variables):
            try:
                values[i] = variable._fitting(values[i])
            except (SymgraphError, ValueError) as error:
                raise LayerError(f'layer "{self.name}": weight {variable.name!r} does not fit: {error}') from None
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """The number of numbers in all weights."""
        if not self.built and not self.weights:
            raise LayerError(f'layer "{self.name}" has no weights yet; apply it to an input first')
        return sum(v.size for v in self.weights)

    def dispose(self) -> None:
        """Free all weights."""
        dispose(self.weights)

    # Looking.

    @property
    def name(self) -> str:
        """The name, unique among layers unless it was given."""
        return self._name

    @property
    def path(self) -> str:
        """The name."""
        return self._name

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; set, it is that of the layers inside as well."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self._sublayers:
            layer.trainable = value

    @property
    def dtype_policy(self) -> dtype_policies.DTypePolicy:
        """The dtypes of computation and weights."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: object) -> None:
        self._dtype_policy = dtype_policies.get(value)

    @property
    def compute_dtype(self) -> str:
        """The dtype in which the layer computes, and that of its outputs."""
        return self._dtype_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of the weights."""
        return self._dtype_policy.variable_dtype

    @property
    def dtype(self) -> str:
        """The dtype of the weights, as `variable_dtype`."""
        return self.variable_dtype

    @property
    def input(self) -> Any:
        """The symbol (or symbols) the layer was first applied to."""
        symbols = self._first_call().inputs
        return symbols[0] if len(symbols) == 1 else symbols

    @property
    def output(self) -> Any:
        """The symbol (or symbols) that came of the first application."""
        return self._first_call().outputs

    @property
    def input_shape(self) -> Any:
        """The shape of `input`."""
        return map_structure(lambda x: x.shape, self.input)

    @property
    def output_shape(self) -> Any:
        """The shape of `output`."""
        return map_structure(lambda x: x.shape, self.output)

    def _first_call(self) -> LayerCall:
        if not self._calls:
            raise LayerError(f'layer "{self.name}" has not been applied to a symbol yet, so it has no input and output')
        return self._calls[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for an input of this shape (or a list of them)."""
        inputs = [symbol(s) for s in input_shape] if isinstance(input_shape, list) else symbol(input_shape)
        with tracing():
            return map_structure(lambda x: x.shape, self(inputs))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer: `type(layer).from_config(config)`."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype_policy.name}
        config.update({k: serialize(v) for k, v in self._arguments.items() if k not in config})
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Layer:
        """A layer made of what `get_config` returned."""
        return cls(**config)

    def error(self, message: str) -> LayerError:
        """An error that names the layer and the user's line."""
        path = current_layer() or (self.name,)
        place = describe_place(path[:-1], user_source())
        return LayerError(f'layer "{path[-1]}" ({type(self).__name__}): {message}{place}')

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}{'' if self.built else ', not built'}>"


def takes_mask(layer: Layer) -> bool:
    """Whether the layer's `call` has an argument `mask`."""
    return "mask" in call_parameters(type(layer))


__all__ = ["Layer", "LayerCall", "clear_session", "serialize", "takes_mask", "unique_layer_name"]
