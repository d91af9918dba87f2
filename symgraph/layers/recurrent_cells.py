"""Cells of recurrent layers: one step from an input and the states to an output and the new states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType
from symgraph.layers import constraints, initializers, regularizers
from symgraph.layers.checked import CheckedLayer
from symgraph.ops.arithmetic import add, multiply, subtract
from symgraph.ops.creation import ones, zeros
from symgraph.ops.joining import concat, split
from symgraph.ops.linalg import matmul
from symgraph.ops.random_numbers import SeedGenerator, dropout
from symgraph.ops.sizes import dimension

__all__ = ["GRUCell", "LSTMCell", "RecurrentCell", "SimpleRNNCell"]

Seed = int | SeedGenerator | Mapping[str, Any] | None
Step = tuple[Operand, list[Operand]]


class RecurrentCell(CheckedLayer):
    """What the cells have in common: weights of `gates` parts side by side, and dropout of inputs and of states."""

    gates = 1
    states = 1
    ndim = 2

    def __init__(
            self, units: int, activation: object, recurrent_activation: object, use_bias: bool,
            kernel: Sequence[object], recurrent: Sequence[object], bias: Sequence[object],
            rates: tuple[float, float], seed: Seed, **options: Any) -> None:
        super().__init__(**options)
        self.units = self.whole("units", units)
        self.activation = self.as_activation(activation)
        self.recurrent_activation = self.as_activation(recurrent_activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.recurrent_initializer, self.bias_initializer = (
            initializers.get(each[0]) for each in (kernel, recurrent, bias))
        self.kernel_regularizer, self.recurrent_regularizer, self.bias_regularizer = (
            regularizers.get(each[1]) for each in (kernel, recurrent, bias))
        self.kernel_constraint, self.recurrent_constraint, self.bias_constraint = (
            constraints.get(each[2]) for each in (kernel, recurrent, bias))
        self.dropout = self.share("dropout", rates[0])
        self.recurrent_dropout = self.share("recurrent_dropout", rates[1])
        if isinstance(seed, Mapping):
            seed = SeedGenerator.from_config(dict(seed["config"]))
        self.seed_generator = seed if isinstance(seed, SeedGenerator) else SeedGenerator(seed)
        self.masks: tuple[Operand | None, Operand | None] | None = None

    @property
    def state_size(self) -> int | list[int]:
        """The size of the state, or of each."""
        return self.units if self.states == 1 else [self.units] * self.states

    @property
    def output_size(self) -> int:
        """The size of the output."""
        return self.units

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """The shape of the bias."""
        return (self.units * self.gates,)

    def build(self, input_shape: Any) -> None:
        n = self.known_size(input_shape, -1)
        self.axes = {-1: n}
        self.kernel = self.add_weight((n, self.units * self.gates), self.kernel_initializer, name="kernel",
                                      regularizer=self.kernel_regularizer, constraint=self.kernel_constraint)
        self.recurrent_kernel = self.add_weight(
            (self.units, self.units * self.gates), self.recurrent_initializer, name="recurrent_kernel",
            regularizer=self.recurrent_regularizer, constraint=self.recurrent_constraint)
        if self.use_bias:
            self.bias = self.add_weight(self.bias_shape, self.first_bias, name="bias",
                                        regularizer=self.bias_regularizer, constraint=self.bias_constraint)

    def first_bias(self, shape: Any, dtype: Any = None) -> Any:
        """The value that the bias starts from."""
        return initializers.get(self.bias_initializer or "zeros")(shape, dtype)  # type: ignore[misc]

    def get_initial_state(self, batch_size: object) -> list[Operand]:
        """The first states, zeros `(batch_size, units)`."""
        return [zeros((batch_size, self.units), self.compute_dtype) for _ in range(self.states)]

    def draw_masks(self, inputs: Operand) -> tuple[Operand | None, Operand | None]:
        """What dropout multiplies inputs and states with: one draw for all steps of a sequence."""
        batch = dimension(inputs, 0)
        return (self._mask((batch, self.kernel.shape[0]), self.dropout),
                self._mask((batch, self.units), self.recurrent_dropout))

    def _mask(self, shape: tuple[Any, ...], rate: float) -> Operand | None:
        return dropout(ones(shape, self.compute_dtype), rate, seed=self.seed_generator) if rate else None

    def call(self, inputs: Operand, states: Any, training: bool = False) -> Any:
        """The output and the new states: a list, or a tensor where the one state was given as a tensor."""
        given = self._checked([states] if isinstance(states, Operand) else list(states))
        inner = given[0]
        if training:
            x_mask, h_mask = self.draw_masks(inputs) if self.masks is None else self.masks
            inputs = inputs if x_mask is None else multiply(inputs, x_mask)
            inner = inner if h_mask is None else multiply(inner, h_mask)
        h, new = self.step(inputs, inner, given)
        return h, new[0] if isinstance(states, Operand) else new

    def _checked(self, states: list[Operand]) -> list[Operand]:
        if len(states) != self.states:
            raise self.error(f"expects a list of {self.states} states, got {len(states)}")
        for state in states:
            shape = state.type.shape if isinstance(state.type, TensorType) else None
            if shape is not None and (len(shape) != 2 or (isinstance(shape[1], int) and shape[1] != self.units)):
                raise self.error(f"expects states of shape (batch, {self.units}), got {state.type}")
        return states

    def step(self, inputs: Operand, inner: Operand, states: list[Operand]) -> Step:
        """One step; `inner` is the first state as the recurrent kernel is to see it."""
        raise NotImplementedError

    def project(self, inputs: Operand) -> Operand:
        """The inputs times the kernel, with the bias."""
        x = matmul(inputs, self.kernel)
        return add(x, self.bias) if self.use_bias else x


class SimpleRNNCell(RecurrentCell):
    """`h = activation(x @ kernel + h @ recurrent_kernel + bias)`; states `[h]`.

    Inputs `(batch, n)` and a list of states, or the state itself; returns `(h, [h])`, or `(h, h)`. Weights: `kernel`
    (n, units), `recurrent_kernel` (units, units), `bias` (units,).

    >>> import symgraph as sg
    >>> h, states = sg.layers.SimpleRNNCell(4)(sg.ones((2, 3)), [sg.zeros((2, 4))])
    >>> h.shape, len(states)
    ((2, 4), 1)
    """

    def __init__(
            self, units: int, activation: object = "tanh", use_bias: bool = True,
            kernel_initializer: object = "glorot_uniform", recurrent_initializer: object = "orthogonal",
            bias_initializer: object = "zeros", kernel_regularizer: object = None,
            recurrent_regularizer: object = None, bias_regularizer: object = None, kernel_constraint: object = None,
            recurrent_constraint: object = None, bias_constraint: object = None, dropout: float = 0.0,
            recurrent_dropout: float = 0.0, seed: Seed = None, **options: Any) -> None:
        super().__init__(
            units, activation, None, use_bias, (kernel_initializer, kernel_regularizer, kernel_constraint),
            (recurrent_initializer, recurrent_regularizer, recurrent_constraint),
            (bias_initializer, bias_regularizer, bias_constraint), (dropout, recurrent_dropout), seed, **options)

    def step(self, inputs: Operand, inner: Operand, states: list[Operand]) -> Step:
        """One step."""
        h = self.activation(add(self.project(inputs), matmul(inner, self.recurrent_kernel)))
        return h, [h]


class GRUCell(RecurrentCell):
    """`h = z * h + (1 - z) * h~`, with gates z and r, and `h~` of the input and of `r * h`; states `[h]`.

    With `reset_after` the reset gate multiplies `h @ recurrent_kernel + bias[1]`, otherwise `h` before it.
    Weights, parts in the order z, r, h: `kernel` (n, 3 units), `recurrent_kernel` (units, 3 units), `bias`
    (2, 3 units), or (3 units,) without `reset_after`.

    Source: Cho et al. 2014, https://arxiv.org/abs/1406.1078

    >>> import symgraph as sg
    >>> h, states = sg.layers.GRUCell(4)(sg.ones((2, 3)), [sg.zeros((2, 4))])
    >>> h.shape, len(states)
    ((2, 4), 1)
    """

    gates = 3

    def __init__(
            self, units: int, activation: object = "tanh", recurrent_activation: object = "sigmoid",
            use_bias: bool = True, kernel_initializer: object = "glorot_uniform",
            recurrent_initializer: object = "orthogonal", bias_initializer: object = "zeros",
            kernel_regularizer: object = None, recurrent_regularizer: object = None, bias_regularizer: object = None,
            kernel_constraint: object = None, recurrent_constraint: object = None, bias_constraint: object = None,
            dropout: float = 0.0, recurrent_dropout: float = 0.0, reset_after: bool = True, seed: Seed = None,
            **options: Any) -> None:
        super().__init__(
            units, activation, recurrent_activation, use_bias,
            (kernel_initializer, kernel_regularizer, kernel_constraint),
            (recurrent_initializer, recurrent_regularizer, recurrent_constraint),
            (bias_initializer, bias_regularizer, bias_constraint), (dropout, recurrent_dropout), seed, **options)
        self.reset_after = reset_after

    @property
    def bias_shape(self) -> tuple[int, ...]:
        size = self.units * self.gates
        return (2, size) if self.reset_after else (size,)

    def step(self, inputs: Operand, inner: Operand, states: list[Operand]) -> Step:
        """One step."""
        x, recurrent_kernel = matmul(inputs, self.kernel), self.recurrent_kernel
        if self.reset_after:
            hidden = matmul(inner, recurrent_kernel)
            if self.use_bias:
                x, hidden = add(x, self.bias[0]), add(hidden, self.bias[1])
            xz, xr, xh = split(x, 3, axis=1)
            hz, hr, hh = split(hidden, 3, axis=1)
            z, r = self.recurrent_activation(add(xz, hz)), self.recurrent_activation(add(xr, hr))
            candidate = self.activation(add(xh, multiply(r, hh)))
        else:
            xz, xr, xh = split(self.project(inputs), 3, axis=1)
            kz, kr, kh = split(recurrent_kernel, 3, axis=1)
            z = self.recurrent_activation(add(xz, matmul(inner, kz)))
            r = self.recurrent_activation(add(xr, matmul(inner, kr)))
            candidate = self.activation(add(xh, matmul(multiply(r, inner), kh)))
        h = add(multiply(z, states[0]), multiply(subtract(1.0, z), candidate))
        return h, [h]


class LSTMCell(RecurrentCell):
    """`c = f * c + i * c~`, `h = o * activation(c)`, with the gates i, f and o; states `[h, c]`.

    Weights, parts in the order i, f, c, o: `kernel` (n, 4 units), `recurrent_kernel` (units, 4 units), `bias`
    (4 units,), which starts as ones for f with `unit_forget_bias`.

    Source: Hochreiter and Schmidhuber 1997

    >>> import symgraph as sg
    >>> h, states = sg.layers.LSTMCell(4)(sg.ones((2, 3)), [sg.zeros((2, 4)), sg.zeros((2, 4))])
    >>> h.shape, len(states)
    ((2, 4), 2)
    """

    gates = 4
    states = 2

    def __init__(
            self, units: int, activation: object = "tanh", recurrent_activation: object = "sigmoid",
            use_bias: bool = True, kernel_initializer: object = "glorot_uniform",
            recurrent_initializer: object = "orthogonal", bias_initializer: object = "zeros",
            unit_forget_bias: bool = True, kernel_regularizer: object = None, recurrent_regularizer: object = None,
            bias_regularizer: object = None, kernel_constraint: object = None, recurrent_constraint: object = None,
            bias_constraint: object = None, dropout: float = 0.0, recurrent_dropout: float = 0.0, seed: Seed = None,
            **options: Any) -> None:
        super().__init__(
            units, activation, recurrent_activation, use_bias,
            (kernel_initializer, kernel_regularizer, kernel_constraint),
            (recurrent_initializer, recurrent_regularizer, recurrent_constraint),
            (bias_initializer, bias_regularizer, bias_constraint), (dropout, recurrent_dropout), seed, **options)
        self.unit_forget_bias = unit_forget_bias

    def first_bias(self, shape: Any, dtype: Any = None) -> Any:
        if not self.unit_forget_bias:
            return super().first_bias(shape, dtype)
        first, rest = super().first_bias((self.units,), dtype), super().first_bias((2 * self.units,), dtype)
        return concat([first, ones((self.units,), first.dtype), rest], axis=0)

    def step(self, inputs: Operand, inner: Operand, states: list[Operand]) -> Step:
        """One step."""
        z = add(self.project(inputs), matmul(inner, self.recurrent_kernel))
        i, f, c, o = split(z, 4, axis=1)
        i, f, o = (self.recurrent_activation(gate) for gate in (i, f, o))
        c = add(multiply(f, states[1]), multiply(i, self.activation(c)))
        h = multiply(o, self.activation(c))
        return h, [h, c]
