"""A dense layer between any axes, said as an einsum equation."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from symgraph.core.tensor import Operand
from symgraph.core.types import Dim
from symgraph.layers import constraints, regularizers
from symgraph.layers.checked import CheckedLayer
from symgraph.ops.arithmetic import add
from symgraph.ops.einsum import einsum
from symgraph.ops.linalg import matmul
from symgraph.ops.shape import reshape, shape

__all__ = ["EinsumDense"]

_EQUATION = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class EinsumDense(CheckedLayer):
    """`activation(einsum(equation, x, kernel) + bias)`.

    `equation` is like `"abc,cd->abd"`; an ellipsis may begin or end input and output. `output_shape` has the sizes
    of the output's letters without the batch (all letters where an ellipsis begins it), None where the input tells.

    Weights: `kernel`, glorot_uniform, of the sizes of its letters; `bias`, zeros, of those of `bias_axes`, if given.

    >>> import symgraph as sg
    >>> sg.layers.EinsumDense("abc,cd->abd", output_shape=(None, 64), bias_axes="d").apply(sg.Input((32, 128))).shape
    (None, 32, 64)
    """

    def __init__(
            self, equation: str, output_shape: int | Sequence[int | None], activation: object = None,
            bias_axes: str | None = None, kernel_initializer: object = "glorot_uniform",
            bias_initializer: object = "zeros", kernel_regularizer: object = None, bias_regularizer: object = None,
            kernel_constraint: object = None, bias_constraint: object = None, activity_regularizer: object = None,
            **options: Any) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        match = _EQUATION.fullmatch(equation.replace(" ", ""))
        if match is None:
            raise self.error(f'equation must be like "abc,cd->abd", "...c,cd->...d" or "bc...,cd->bd...", '
                             f"got {equation!r}")
        before, self._read, after, self._inner, new_before, self._written, new_after = match.groups()
        if (before, after) != (new_before, new_after) or (before and after):
            raise self.error(f"input and output of an equation have the same ellipsis, one at most, got {equation!r}")
        self._starts_open, self._ends_open = bool(before), bool(after)
        self.equation = match.string
        wanted = output_shape if isinstance(output_shape, list | tuple) else (output_shape,)
        self.partial_output_shape = tuple(
            None if d is None else self.whole("an entry of output_shape", d) for d in wanted)
        self.activation = self.as_activation(activation)
        self.bias_axes = bias_axes
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Any) -> None:
        sizes = self._sizes(input_shape)
        self.kernel = self.add_weight(
            self._known(self._inner, sizes), self.kernel_initializer, name="kernel",
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint)
        if self.bias_axes:
            self.bias = self.add_weight(
                self._bias_shape(sizes, len(input_shape) - len(self._read)), self.bias_initializer, name="bias",
                regularizer=self.bias_regularizer, constraint=self.bias_constraint)
        at_end = len(self._read) if self._starts_open else 0
        self.axes = {i - at_end: size for i, letter in enumerate(self._read) if letter in self._inner
                     for size in [sizes[letter]] if isinstance(size, int)}

    def _sizes(self, input_shape: Any) -> dict[str, Dim]:
        """The size of each letter, from the input and from `output_shape`."""
        is_open = self._starts_open or self._ends_open
        letters = self._read
        if len(input_shape) < len(letters) or (len(input_shape) > len(letters) and not is_open):
            raise self.error(f"equation {self.equation!r} does not fit an input of shape {tuple(input_shape)}")
        dims = input_shape[-len(letters):] if self._starts_open else input_shape[:len(letters)]
        sizes: dict[str, Dim] = dict(zip(letters, dims, strict=True))
        named = self._written if self._starts_open else self._written[1:]
        if len(self.partial_output_shape) != len(named):
            raise self.error(f"output_shape {self.partial_output_shape} must have {len(named)} entries, for "
                             f"{', '.join(named)} of equation {self.equation!r}")
        for letter, size in zip(named, self.partial_output_shape, strict=True):
            known = sizes.get(letter)
            if isinstance(known, int) and size is not None and known != size:
                raise self.error(f"output_shape {self.partial_output_shape} says {letter} is {size}, but it is {known} "
                                 f"in an input of shape {tuple(input_shape)}")
            if size is not None or letter not in sizes:
                sizes[letter] = size
        return sizes

    def _known(self, letters: str, sizes: dict[str, Dim]) -> tuple[int, ...]:
        found = []
        for letter in letters:
            size = sizes.get(letter)
            if not isinstance(size, int):
                raise self.error(f"the size of {letter} in equation {self.equation!r} is known neither from the input "
                                 f"nor from output_shape {self.partial_output_shape}")
            found.append(size)
        return tuple(found)

    def _bias_shape(self, sizes: dict[str, Dim], elided: int) -> tuple[int, ...]:
        axes = self.bias_axes or ""
        odd = [letter for letter in axes if letter not in self._written]
        if odd:
            raise self.error(f"bias_axes {axes!r}: {', '.join(odd)} is not in the output of equation {self.equation!r}")
        first = min(self._written.index(letter) for letter in axes)
        shape = [self._known(letter, sizes)[0] if letter in axes else 1 for letter in self._written[first:]]
        return (*shape, *((1,) * elided if self._ends_open else ()))

    def call(self, inputs: Operand) -> Any:
        if self._is_product:
            return self.activation(self._multiplied(inputs))
        y = einsum(self.equation, inputs, self.kernel)
        return self.activation(add(y, self.bias) if self.bias_axes else y)

    @property
    def _is_product(self) -> bool:
        """Whether the last letters of the input become the last ones of the output, those of the bias."""
        inner = "".join(c for c in self._inner if c not in self._written)
        new = self._inner.removeprefix(inner)
        kept = self._read.removesuffix(inner)
        return bool(inner and new) and not self._ends_open and (inner + new, kept + inner, kept + new) == (
            self._inner, self._read, self._written) and (self.bias_axes or new) == new

    def _multiplied(self, x: Operand) -> Operand:
        """One product of matrices: the bias is added before the axes are split, where it fuses with the product."""
        count = sum(c not in self._written for c in self._inner)
        sizes = [size for size in self.kernel.shape if isinstance(size, int)]
        rows, columns = sizes[:count], sizes[count:]
        n, m = math.prod(rows), math.prod(columns)
        if count > 1:
            x = reshape(x, (*shape(x)[:-count], n))
        y = matmul(x, reshape(self.kernel, (n, m)))
        if self.bias_axes:
            y = add(y, reshape(self.bias, (m,)))
        return y if len(columns) == 1 else reshape(y, (*shape(y)[:-1], *columns))
