"""Operands of operators, the symbols among them, and the nodes that make symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from symgraph.core.errors import GraphError, ImmutableError, ShapeError
from symgraph.core.op import Op
from symgraph.core.scope import Source, current_layer, user_source
from symgraph.core.types import Shape, TensorType, ValueType

if TYPE_CHECKING:
    from symgraph.core.graph import Graph

METHODS: dict[str, Callable[..., Any]] = {}
"""Functions that are methods of operands too, by name; `symgraph.ops` fills it."""

F = TypeVar("F", bound=Callable[..., Any])

_SERIALS = count()

_NONE: frozenset[int] = frozenset()


def method(function: F) -> F:
    """Make `function` a method of operands as well, under its own name."""
    METHODS[function.__name__] = function
    return function


def _operator(name: str, *, is_reflected: bool = False) -> Callable[..., Operand]:
    def method(self: Operand, *others: object) -> Operand:
        function = METHODS[name]
        result: Operand = function(*others, self) if is_reflected else function(self, *others)
        return result

    return method


class Operand:
    """What an op can be applied to: a symbol, a value or a variable. All of them compute alike.

    Operators, slicing, chained methods (`x.add(y).square()`) and NumPy functions (`np.tanh(x)`) work.
    """

    __slots__ = ("__weakref__",)
    __hash__ = object.__hash__

    type: ValueType | None
    mask: Operand | None = None

    @property
    def dtype(self) -> str:
        """The dtype by its NumPy name, such as `"float32"`."""
        return self._tensor_type.dtype

    @property
    def shape(self) -> Shape:
        """The shape; unknown dimensions are None, named ones are strings."""
        shape = self._tensor_type.shape
        if shape is None:
            raise ShapeError(f"{self!r} has unknown rank, so it has no shape yet")
        return shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    rank = ndim

    @property
    def _tensor_type(self) -> TensorType:
        if not isinstance(self.type, TensorType):
            raise GraphError(f"{self!r} is {self.type or 'of unknown type'}, not a tensor: it has no dtype and shape")
        return self.type

    @property
    def T(self) -> Operand:
        """The transpose."""
        transposed: Operand = METHODS["transpose"](self)
        return transposed

    if TYPE_CHECKING:
        def __getattr__(self, name: str) -> Callable[..., Any]: ...
    else:
        def __getattr__(self, name):
            method = METHODS.get(name)
            if method is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return method.__get__(self)

    __add__, __radd__ = _operator("add"), _operator("add", is_reflected=True)
    __sub__, __rsub__ = _operator("subtract"), _operator("subtract", is_reflected=True)
    __mul__, __rmul__ = _operator("multiply"), _operator("multiply", is_reflected=True)
    __truediv__, __rtruediv__ = _operator("true_divide"), _operator("true_divide", is_reflected=True)
    __floordiv__, __rfloordiv__ = _operator("floor_divide"), _operator("floor_divide", is_reflected=True)
    __mod__, __rmod__ = _operator("mod"), _operator("mod", is_reflected=True)
    __divmod__, __rdivmod__ = _operator("divmod"), _operator("divmod", is_reflected=True)
    __pow__, __rpow__ = _operator("power"), _operator("power", is_reflected=True)
    __matmul__, __rmatmul__ = _operator("matmul"), _operator("matmul", is_reflected=True)
    __and__, __rand__ = _operator("bitwise_and"), _operator("bitwise_and", is_reflected=True)
    __or__, __ror__ = _operator("bitwise_or"), _operator("bitwise_or", is_reflected=True)
    __xor__, __rxor__ = _operator("bitwise_xor"), _operator("bitwise_xor", is_reflected=True)
    __lshift__, __rlshift__ = _operator("left_shift"), _operator("left_shift", is_reflected=True)
    __rshift__, __rrshift__ = _operator("right_shift"), _operator("right_shift", is_reflected=True)
    __lt__, __le__ = _operator("less"), _operator("less_equal")
    __gt__, __ge__ = _operator("greater"), _operator("greater_equal")
    __eq__, __ne__ = _operator("equal"), _operator("not_equal")  # type: ignore[assignment]
    __neg__, __pos__, __abs__ = _operator("negative"), _operator("positive"), _operator("absolute")
    __invert__, __round__ = _operator("bitwise_not"), _operator("round")
    __getitem__ = _operator("getitem")

    def __setitem__(self, key: object, value: object) -> NoReturn:
        raise ImmutableError(
            f"{type(self).__name__} never changes; use sg.slice_update or sg.scatter_update for a changed copy, "
            "or a sg.Variable and variable[...].assign(value)")

    def __len__(self) -> int:
        shape = self.shape
        if not shape:
            raise TypeError("a scalar has no len()")
        if not isinstance(shape[0], int):
            raise TypeError(f"{self!r} has the unknown length {shape[0]}; sg.shape(x)[0] is the length as a symbol")
        return shape[0]

    def __iter__(self) -> Iterator[Operand]:
        if not self.shape:
            raise TypeError("cannot iterate over a scalar")
        return (self[i] for i in range(len(self)))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: object, **options: object) -> object:
        return METHODS["numpy_ufunc"](ufunc, method, inputs, options)

    def __array_function__(
            self, function: Callable[..., object], types: object, args: tuple[object, ...],
            kwargs: Mapping[str, object]) -> object:
        return METHODS["numpy_function"](function, args, kwargs)


class SymbolicTensor(Operand):
    """A tensor that is still to be computed: an output of a node, or an input.

    It has a dtype, a shape with known, named and unknown dimensions, and a name. `mask` says which of its steps
    count, where a layer has said so; ops do not hand it on.
    """

    __slots__ = ("call", "data", "hint", "index", "mask", "node", "type")

    def __init__(self, value_type: ValueType | None, *, name: str | None = None,
                 node: Node | None = None, index: int = 0) -> None:
        self.type = value_type
        self.node = node
        self.index = index
        self.hint = name
        self.data: np.ndarray[Any, Any] | None = None  # for shapes: what is known of the numbers inside
        self.call: Any = None  # the layer call this symbol is an output of
        self.mask: Operand | None = None

    @property
    def name(self) -> str:
        """The name given by the user or the layer, else one made of the operator."""
        if self.hint is not None:
            return self.hint
        if self.node is None:
            return "input"
        return "/".join((*self.node.layer, self.node.op.name))

    def __repr__(self) -> str:
        made_by = f", made by {self.node.describe()}" if self.node is not None else ""
        return f"<SymbolicTensor {self.name!r}: {self.type or 'unknown type'}{made_by}>"

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} has no value yet, so it is neither true nor false; "
                        "use sg.where for elements, sg.cond for branches, & and | for 'and' and 'or'")

    def _no_value(self) -> NoReturn:
        raise TypeError(f"{self!r} has no value yet; make a sg.Model of it and predict, or run sg.runtime.evaluate")

    def __float__(self) -> float:
        self._no_value()

    def __int__(self) -> int:
        self._no_value()

    def __index__(self) -> int:
        self._no_value()

    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn:
        self._no_value()

    def numpy(self) -> NoReturn:
        """A symbol has no value: raises TypeError that says how to get one."""
        self._no_value()


class Node:
    """One application of an op. Never changes; it knows the layer and the user's line it came from.

    `captures` are the values of the surrounding graph that the subgraphs among `attributes`, or `body`,
    use: position i belongs to `graph.captures[i]` of each of them. `body` is the definition of a composite
    op: a graph whose inputs are the node's inputs.

    `layer` and `source` are where the program stands; with `layer` given, `source` is taken as it is given.
    """

    __slots__ = ("__weakref__", "attributes", "body", "captures", "inputs", "layer", "name", "op", "outputs",
                 "serial", "source")

    def __init__(
            self, op: Op, inputs: tuple[Operand | None, ...], attributes: Mapping[str, object],
            types: tuple[ValueType | None, ...], *, captures: tuple[Operand, ...] = (), body: Graph | None = None,
            absent: frozenset[int] = _NONE, name: str = "", layer: tuple[str, ...] | None = None,
            source: Source | None = None) -> None:
        self.op = op
        self.inputs = inputs
        self.attributes = attributes if isinstance(attributes, MappingProxyType) else MappingProxyType(attributes)
        self.captures = captures
        self.body = body
        self.name = name
        self.layer = current_layer() if layer is None else layer
        self.source = user_source() if source is None and layer is None else source
        self.serial = next(_SERIALS)
        self.outputs: tuple[SymbolicTensor | None, ...] = tuple(
            [None if i in absent else SymbolicTensor(t, node=self, index=i) for i, t in enumerate(types)])

    @property
    def operands(self) -> tuple[Operand | None, ...]:
        """Everything the node depends on: its inputs, then its captures."""
        return self.inputs + self.captures

    @property
    def absent(self) -> frozenset[int]:
        """Which outputs were left out."""
        found = [i for i, x in enumerate(self.outputs) if x is None]
        return frozenset(found) if found else _NONE

    @property
    def output(self) -> SymbolicTensor:
        """The first output."""
        first = self.outputs[0]
        assert first is not None
        return first

    def subgraphs(self) -> tuple[tuple[str, Graph], ...]:
        """The graphs among the attributes, with the attribute's name."""
        if not self.attributes or not self.op.may_hold_graphs:
            return ()
        return tuple((name, graph) for name, value in self.attributes.items()
                     for graph in (value if isinstance(value, tuple) else (value,)) if hasattr(graph, "output_names"))

    def describe(self) -> str:
        """`Conv in layer "head" (app.py:12)`."""
        layer = f' in layer "{"/".join(self.layer)}"' if self.layer else ""
        place = f" ({self.source[0].rsplit('/', 1)[-1]}:{self.source[1]})" if self.source else ""
        return f"{self.op}{layer}{place}"

    def __repr__(self) -> str:
        return f"<Node {self.describe()}>"
