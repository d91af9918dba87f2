"""Where the elements of a dataset come from: arrays, tensors, generators, ranges, other datasets."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import numpy as np

from symgraph.core.errors import DtypeError, TrainingError
from symgraph.core.structure import flatten, in_order_of, map_structure, pack
from symgraph.core.types import as_dtype, numpy_dtype
from symgraph.core.value import convert_array
from symgraph.training.data.columns import Column, columns_of, count_rows
from symgraph.training.data.elements import Element, as_element, number_of, shown
from symgraph.training.data.nodes import Generated, Items, Node, Numbers, Table, Zipped


class DatasetSources:
    """A dataset, and the ways to make one from data."""

    def __init__(self, node: Node) -> None:
        """`node` is the last stage of the pipeline; users call `from_tensor_slices` and its kind instead."""
        self.node = node
        self._passes = itertools.count()

    @classmethod
    def from_tensor_slices(cls, tensors: Any) -> Self:
        """The rows of arrays, of one or of a nesting of them with equally many rows.

        Arrays of NumPy, SciPy (sparse), pandas, PyTorch and of files (np.memmap) are read row by row.

        Errors: `TrainingError` for different numbers of rows.

        >>> import symgraph as sg
        >>> [(x.tolist(), y.item()) for x, y in sg.data.Dataset.from_tensor_slices(([[1, 2], [3, 4]], [5, 6]))]
        [([1, 2], 5), ([3, 4], 6)]
        """
        structure = columns_of("tensors", tensors, keep_dtype=True)
        columns: list[Column] = [] if structure is None else flatten(structure)
        count_rows(columns, allow_none=True)
        return cls(Table(structure, tuple(columns)))

    @classmethod
    def from_tensors(cls, tensors: Any) -> Self:
        """One element: the nesting as it is."""
        return cls(Items([as_element(tensors)]))

    @classmethod
    def array(cls, items: Iterable[Any]) -> Self:
        """The items of a list, each an element; of a nesting dict of lists, the rows (as TensorFlow.js has it)."""
        if isinstance(items, Mapping):
            return cls.from_tensor_slices(items)
        return cls(Items([as_element(item) for item in items]))

    @classmethod
    def from_generator(
            cls, generator: Callable[..., Iterable[Any]], output_signature: Any = None,
            args: tuple[Any, ...] = ()) -> Self:
        """What `generator(*args)`, a function that returns an iterator, gives: called anew for each pass.

        `output_signature`, a nesting of dtypes or of things with a dtype, says what the arrays are cast to.

        >>> import symgraph as sg
        >>> squares = sg.data.Dataset.from_generator(lambda: (i * i for i in range(4)), output_signature="float32")
        >>> [x.item() for x in squares]
        [0.0, 1.0, 4.0, 9.0]
        """
        if not callable(generator):
            raise TrainingError(f"from_generator takes a function that returns an iterator, got "
                                f"{type(generator).__name__}; write the function's name without calling it")
        convert = as_element if output_signature is None else _caster(output_signature)
        return cls(Generated(lambda: generator(*args), convert))

    @classmethod
    def range(cls, *args: Any, output_type: Any = "int64") -> Self:
        """The numbers of Python's `range(*args)`, as int64 unless said otherwise."""
        values = builtins.range(*(number_of(value, "range", -2**63) for value in args))
        return cls(Numbers(values, np.dtype(numpy_dtype(as_dtype(output_type)))))

    @classmethod
    def zip(cls, *datasets: Any) -> Self:
        """Tuples, or another nesting, of the elements of several datasets; the shortest one ends it.

        >>> import symgraph as sg
        >>> a, b = sg.data.Dataset.range(3), sg.data.Dataset.range(10, 12)
        >>> [(x.item(), y.item()) for x, y in sg.data.Dataset.zip(a, b)]
        [(0, 10), (1, 11)]
        """
        is_nested = len(datasets) == 1 and isinstance(datasets[0], tuple | list | dict)
        structure: Any = datasets[0] if is_nested else datasets
        parts = flatten(structure)
        for part in parts:
            if not isinstance(part, DatasetSources):
                raise TrainingError(f"zip takes datasets, got {type(part).__name__}")
        if not parts:
            raise TrainingError("zip takes at least one dataset, got none")
        return cls(Zipped(tuple(part.node for part in parts), map_structure(lambda _: 0, structure)))


def _caster(signature: Any) -> Callable[[Any], Element]:
    dtypes = [as_dtype(leaf if isinstance(leaf, type) else getattr(leaf, "dtype", leaf)) for leaf in flatten(signature)]
    outline = map_structure(lambda _: 0, signature)

    def convert(value: Any) -> Element:
        element = as_element(value)
        leaves = flatten(in_order_of(element, outline))
        if len(leaves) != len(dtypes):
            raise TrainingError(f"the generator gave {shown(element)}, which is not nested as output_signature "
                                f"{signature!r}")
        return pack(outline, [_cast(leaf, dtype) for leaf, dtype in builtins.zip(leaves, dtypes, strict=True)])

    return convert


def _cast(leaf: Any, dtype: str) -> Any:
    if isinstance(leaf, str | bytes):
        if dtype != "string":
            raise DtypeError(f"the generator gave {leaf!r}, where output_signature says {dtype}")
        return leaf
    return convert_array(np.asarray(leaf), dtype)


