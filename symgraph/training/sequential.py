"""A model that is a plain stack of layers, built at once or when its input is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from symgraph.core.errors import LayerError, SymgraphError
from symgraph.core.scope import not_tracing
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.types import TensorType, as_dtype, is_floating
from symgraph.core.value import as_array
from symgraph.layers.input_layer import Input, InputLayer
from symgraph.layers.layer import Layer
from symgraph.training.model import Model


class Sequential(Model):
    """A stack of layers, each fed with the output of the one before.

    It is built as soon as the input's shape is known: from `Input(...)`, `input_shape=` of the first layer or a model
    in its place, from `build(input_shape)`, or from the first data. What was made for data takes others that follow, of
    other sizes or floats after whole numbers, as far as the layers do.

    >>> import symgraph as sg
    >>> model = sg.Sequential([sg.layers.Dense(2, activation="relu"), sg.layers.Dense(1)])
    >>> model.predict(np.zeros((3, 4), np.float32)).shape
    (3, 1)
    """

    def __init__(self, layers: Iterable[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name, trainable=trainable)
        self._stack: list[Layer] = []
        self._entry: SymbolicTensor | None = None
        self._results: list[Any] = []
        self._is_guess = False
        for layer in layers or ():
            self._append(layer)
        self._rebuild()

    def add(self, layer: Any) -> None:
        """Put a layer (or an `Input`) on top."""
        self._append(layer)
        self._rebuild()

    def pop(self) -> Layer:
        """Take the top layer off.

        Errors: `LayerError` where there is none.
        """
        if not self._stack:
            raise LayerError(f'model "{self.name}" has no layers to take off')
        layer = self._stack.pop()
        del self._results[len(self._stack):]
        self._rebuild()
        return layer

    def build(self, input_shape: Any = None) -> None:
        """Build for inputs of this shape, the batch included: `build((None, 28, 28, 1))`."""
        if input_shape is not None and self._entry is None and self._stack:
            self._entry = Input(batch_shape=input_shape, dtype=_input_dtype(self._stack[0]))
            self._rebuild()

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return list(self._stack)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply to symbols or values, building for them first where that is still to do."""
        if args and (self._network is None or self._is_guess):
            x = args[0] if isinstance(args[0], Operand) else as_array(args[0])
            if self._network is None or self._is_too_narrow_for(x):
                self._open_for(x)
        return super().__call__(*args, **kwargs)

    def _connect_to(self, x: Any) -> None:
        self._open_for(x if isinstance(x, Operand) else as_array(x))

    def _feeds(self, x: Any) -> dict[str, Any]:
        if self._is_guess and self._is_too_narrow_for(given := x if isinstance(x, Operand) else as_array(x)):
            self._open_for(given)
        return super()._feeds(x)

    def _build_for(self, types: Any) -> None:
        if self._network is None or (isinstance(types, TensorType) and self._is_too_narrow_for(types)):
            self._open_for(types)

    def _open_for(self, x: Any) -> None:
        """Build for data like `x`; where it is built for other data, for both, if the layers let it."""
        if not self._stack:
            raise LayerError(f'model "{self.name}" has no layers yet; add some first')
        entry, results = self._entry, list(self._results)
        self._entry = _input_for(x, entry if self._is_guess else None)
        self._results.clear()
        try:
            self._rebuild()
        except SymgraphError:
            self._entry, self._results[:] = entry, results
            if not self._is_guess:
                raise
        self._is_guess = True

    def _is_too_narrow_for(self, x: Any) -> bool:
        """Whether the input was made for data of other sizes, or for whole numbers where floats come now."""
        if not self._is_guess or self._entry is None:
            return False
        wider = _input_for(x, self._entry)
        return (wider.dtype, wider.shape) != (self._entry.dtype, self._entry.shape)

    def _append(self, layer: Any) -> None:
        if isinstance(layer, SymbolicTensor) and layer.call is not None and isinstance(layer.call.layer, InputLayer):
            layer = layer.call.layer
        if isinstance(layer, InputLayer):
            if self._stack or self._entry is not None:
                raise LayerError(f'model "{self.name}" already starts with another layer; an input comes first')
            self._entry = layer.output
            return
        if not isinstance(layer, Layer):
            raise LayerError(f'model "{self.name}" is made of layers, got {layer!r}')
        if any(layer.name == other.name for other in self._stack):
            raise LayerError(f'model "{self.name}" already has a layer "{layer.name}"; give each its own name')
        if not self._stack and self._entry is None:
            self._entry = _declared_input(layer)
        self._stack.append(layer)

    def _rebuild(self) -> None:
        """Apply the layers that have not been applied yet, where the input is known; else wait."""
        self._sublayers[:] = self._stack
        if self._entry is None or not self._stack:
            self._network = None
            self.built = False
            return
        with not_tracing():
            for layer in self._stack[len(self._results):]:
                self._results.append(layer(self._results[-1] if self._results else self._entry))
        self._connect(self._entry, self._results[-1])
        self._sublayers[:] = self._stack


def _input_for(x: Any, known: SymbolicTensor | None) -> SymbolicTensor:
    """An input for data like `x`, and for those that `known` takes. The last axis of floats, features, stays."""
    shape, dtype = tuple(x.shape[1:]), as_dtype(x.dtype)
    if known is None or len(known.shape) != len(x.shape):
        return Input(shape, dtype=dtype)
    dtype = known.dtype if is_floating(known.dtype) or not is_floating(dtype) else dtype
    if is_floating(dtype) and shape[-1:] != known.shape[1:][-1:]:
        return Input(known.shape[1:], dtype=dtype)
    return Input(tuple(a if a == b else None for a, b in zip(shape, known.shape[1:], strict=True)), dtype=dtype)


def _declared_input(layer: Layer) -> SymbolicTensor | None:
    """An input as a layer at the bottom says, or as a model there has it."""
    if layer._declared_shape is not None:
        return Input(batch_shape=layer._declared_shape, dtype=_input_dtype(layer))
    if not isinstance(layer, Model) or not layer._is_connected or layer._is_subclass or getattr(
            layer, "_is_guess", False) or not isinstance(layer.input, SymbolicTensor):
        return None
    return Input(batch_shape=layer.input.shape, dtype=layer.input.dtype)


def _input_dtype(layer: Layer) -> str:
    """What a layer at the bottom is fed with: numbers of its dtype, or what it says (`Embedding`: whole numbers)."""
    return getattr(layer, "input_dtype", None) or layer.dtype
