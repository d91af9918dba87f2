"""LSTM, GRU and SimpleRNN: recurrent operators of ONNX where the activations are the usual ones, else a Scan."""

from __future__ import annotations

from typing import Any

from symgraph.core.tensor import Operand
from symgraph.core.types import is_integer
from symgraph.layers import activations
from symgraph.layers.counted_steps import count_steps
from symgraph.layers.recurrent_cells import GRUCell, LSTMCell, RecurrentCell, Seed, SimpleRNNCell
from symgraph.layers.rnn import RNN
from symgraph.ops.applying import apply_many
from symgraph.ops.arithmetic import multiply
from symgraph.ops.creation import zeros
from symgraph.ops.indexing import choose
from symgraph.ops.joining import concat, split
from symgraph.ops.promotion import cast_to
from symgraph.ops.shape import expand_dims, reshape, squeeze, swapaxes, transpose

__all__ = ["GRU", "LSTM", "SimpleRNN"]


class OperatorRNN(RNN):
    """A recurrent layer with an operator of its own: weights lie in it by gate, in the operator's order.

    The kernel `(n, gates * units)` becomes `(1, gates * units, n)` by ops on the weight, so gradients reach it.
    """

    ndim = 3
    cell: RecurrentCell
    operator = ""
    order: tuple[int, ...] = (0,)

    @property
    def units(self) -> int:
        """The size of the state."""
        return self.cell.units

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the operator."""
        return {"hidden_size": self.units, "direction": "reverse" if self.go_backwards else "forward"}

    @property
    def is_usual(self) -> bool:
        """Whether the operator computes what the cell does."""
        cell = self.cell
        is_sigmoid = cell.gates == 1 or cell.recurrent_activation is activations.sigmoid
        return self.compute_dtype != "float64" and cell.activation is activations.tanh and is_sigmoid

    def run(self, x: Operand, initial: list[Operand] | None, mask: Any, training: bool) -> tuple[Any, Any, list[Any]]:
        x_mask, h_mask = self.cell.masks or (None, None)
        if h_mask is not None or not self.is_usual:
            return super().run(x, initial, mask, training)
        if is_integer(x.dtype) or x.dtype == "bool":
            x = cast_to(x, self.compute_dtype)
        if x_mask is not None:
            x = multiply(x, expand_dims(x_mask, 1))
        counted = None if mask is None else count_steps(x, mask)
        rows, lengths = (swapaxes(x, 0, 1), None) if counted is None else (counted.rows, counted.lengths)
        given = () if initial is None else (expand_dims(h, 0) for h in initial)
        cell = self.cell
        y, *lasts = apply_many(
            self.operator, rows, self._by_gate(cell.kernel), self._by_gate(cell.recurrent_kernel),
            self._bias() if cell.use_bias else None, lengths, *given, outputs=1 + cell.states, **self.attributes)
        y, states = squeeze(y, axis=1), [squeeze(h, axis=0) for h in lasts]
        if counted is None:
            return (self._ordered(swapaxes(y, 0, 1)) if self.return_sequences else None), states[0], states
        last = choose(counted.has_steps, states[0], 0)
        if initial is not None:
            states = [choose(counted.has_steps, a, b) for a, b in zip(states, initial, strict=True)]
        ys = counted.spread(y, is_reversed=self.go_backwards, is_held=not self.zero_output_for_mask)
        return self._ordered(ys), self._last(last, counted.mask), states

    def _by_gate(self, weight: Operand) -> Operand:
        return expand_dims(self._arranged(transpose(weight), 0), 0)

    def _arranged(self, weight: Operand, axis: int) -> Operand:
        if self.order == tuple(range(len(self.order))):
            return weight
        parts = split(weight, len(self.order), axis=axis)
        return concat([parts[i] for i in self.order], axis=axis)

    def _bias(self) -> Operand:
        """`(1, 2 * gates * units)`: the bias of the input, then that of the state."""
        bias: Operand = self.cell.bias
        if bias.ndim == 2:
            return reshape(bias, (1, -1))
        return expand_dims(concat([self._arranged(bias, 0), zeros(bias.shape, self.compute_dtype)], axis=0), 0)


class SimpleRNN(OperatorRNN):
    """`h = activation(x @ kernel + h @ recurrent_kernel + bias)` step by step (ONNX RNN).

    `(batch, steps, n) -> (batch, units)`; what is returned as `RNN` has it. Weights as `SimpleRNNCell`.

    >>> import symgraph as sg
    >>> sg.layers.SimpleRNN(4).apply(sg.Input((None, 3))).shape
    (None, 4)
    """

    operator = "RNN"

    def __init__(
            self, units: int, activation: object = "tanh", use_bias: bool = True,
            kernel_initializer: object = "glorot_uniform", recurrent_initializer: object = "orthogonal",
            bias_initializer: object = "zeros", kernel_regularizer: object = None,
            recurrent_regularizer: object = None, bias_regularizer: object = None,
            activity_regularizer: object = None, kernel_constraint: object = None,
            recurrent_constraint: object = None, bias_constraint: object = None, dropout: float = 0.0,
            recurrent_dropout: float = 0.0, return_sequences: bool = False, return_state: bool = False,
            go_backwards: bool = False, stateful: bool = False, unroll: bool = False, seed: Seed = None,
            **options: Any) -> None:
        cell = SimpleRNNCell(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint,
            bias_constraint, dropout, recurrent_dropout, seed, dtype=options.get("dtype"), name="simple_rnn_cell")
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll,
                         activity_regularizer=activity_regularizer, **options)


class GRU(OperatorRNN):
    """Gated recurrent units: `h = z * h + (1 - z) * h~` step by step (ONNX GRU).

    `(batch, steps, n) -> (batch, units)`; what is returned as `RNN` has it. Weights as `GRUCell`.

    Source: Cho et al. 2014, https://arxiv.org/abs/1406.1078

    >>> import symgraph as sg
    >>> sg.layers.GRU(4, return_sequences=True).apply(sg.Input((7, 3))).shape
    (None, 7, 4)
    """

    operator = "GRU"
    order = (0, 1, 2)

    def __init__(
            self, units: int, activation: object = "tanh", recurrent_activation: object = "sigmoid",
            use_bias: bool = True, kernel_initializer: object = "glorot_uniform",
            recurrent_initializer: object = "orthogonal", bias_initializer: object = "zeros",
            kernel_regularizer: object = None, recurrent_regularizer: object = None, bias_regularizer: object = None,
            activity_regularizer: object = None, kernel_constraint: object = None,
            recurrent_constraint: object = None, bias_constraint: object = None, dropout: float = 0.0,
            recurrent_dropout: float = 0.0, seed: Seed = None, return_sequences: bool = False,
            return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
            reset_after: bool = True, use_cudnn: object = "auto", **options: Any) -> None:
        del use_cudnn
        cell = GRUCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
            recurrent_constraint, bias_constraint, dropout, recurrent_dropout, reset_after, seed,
            dtype=options.get("dtype"), name="gru_cell")
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll,
                         activity_regularizer=activity_regularizer, **options)
        self.reset_after = reset_after

    @property
    def attributes(self) -> dict[str, Any]:
        return {**super().attributes, "linear_before_reset": int(self.reset_after)}


class LSTM(OperatorRNN):
    """Long short-term memory: `c = f * c + i * c~`, `h = o * activation(c)` step by step (ONNX LSTM).

    `(batch, steps, n) -> (batch, units)`; what is returned as `RNN` has it, with the states h and c. Weights
    as `LSTMCell`.

    Source: Hochreiter and Schmidhuber 1997

    >>> import symgraph as sg
    >>> y, h, c = sg.layers.LSTM(4, return_sequences=True, return_state=True)(sg.ones((2, 7, 3)))
    >>> y.shape, h.shape, c.shape
    ((2, 7, 4), (2, 4), (2, 4))
    """

    operator = "LSTM"
    order = (0, 3, 1, 2)

    def __init__(
            self, units: int, activation: object = "tanh", recurrent_activation: object = "sigmoid",
            use_bias: bool = True, kernel_initializer: object = "glorot_uniform",
            recurrent_initializer: object = "orthogonal", bias_initializer: object = "zeros",
            unit_forget_bias: bool = True, kernel_regularizer: object = None, recurrent_regularizer: object = None,
            bias_regularizer: object = None, activity_regularizer: object = None, kernel_constraint: object = None,
            recurrent_constraint: object = None, bias_constraint: object = None, dropout: float = 0.0,
            recurrent_dropout: float = 0.0, seed: Seed = None, return_sequences: bool = False,
            return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
            use_cudnn: object = "auto", **options: Any) -> None:
        del use_cudnn
        cell = LSTMCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, unit_forget_bias, kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed,
            dtype=options.get("dtype"), name="lstm_cell")
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll,
                         activity_regularizer=activity_regularizer, **options)
