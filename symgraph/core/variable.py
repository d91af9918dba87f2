"""Variables: the values that change. A graph refers to them; it does not copy them."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from symgraph.core.errors import DisposedError, DtypeError, GraphError, ImmutableError, ShapeError
from symgraph.core.memory import ledger
from symgraph.core.recording import recorders
from symgraph.core.scope import autocast_dtype, autocasting, current_trace
from symgraph.core.tensor import METHODS, Operand, SymbolicTensor
from symgraph.core.types import TensorType, as_dtype, as_shape, is_floating
from symgraph.core.value import Array, Tensor, as_array, convert_array

_NAMES = itertools.count()


MOVING = threading.RLock()
"""Held while a variable is assigned, or goes to live elsewhere. Who holds the lock of a home does not wait for it."""

_ANNOUNCING = threading.Lock()


class Home(Protocol):
    """Where variables live while a compiled step changes them, run after run: buffers of a device."""

    runs: int
    """How often the step has run: each run gives every variable that lives here another value."""

    number: int
    """Homes are held in this order, where somebody needs several."""

    def reading(self) -> AbstractContextManager[None]:
        """Inside, no step changes what lives here."""
        ...

    def fetch(self, variable: Variable) -> Array:
        """The present value, as an array that later runs do not change."""
        ...

    def leave(self, variable: Variable) -> None:
        """From now on the variable has its value itself; it is read again before the next run."""
        ...


class Variable(Operand):
    """A tensor whose value can be assigned; dtype and shape stay. Every op accepts it.

    `value` is data, or a function of (shape, dtype) such as an initializer, which then needs `shape`.

    >>> import symgraph as sg
    >>> v = sg.Variable([[1.0, 2.0], [3.0, 4.0]], name="v")
    >>> _ = v[:, 1].assign([0.0, 0.0])
    >>> v.numpy().tolist()
    [[1.0, 0.0], [3.0, 0.0]]
    """

    __slots__ = ("_place", "_snapshot", "_trainable", "autocast", "constraint", "name", "regularizer", "type")

    epoch = 0
    """Grows whenever any variable is assigned: whoever holds copies of values looks here first."""

    def __init__(
            self, value: object, shape: object = None, dtype: object = None, trainable: bool = True,
            name: str | None = None) -> None:
        wanted = None if dtype is None else as_dtype(dtype)
        if callable(value):
            if shape is None:
                raise ShapeError("a variable made by an initializer needs its shape")
            value = value(as_shape(shape), wanted or "float32")
        array = as_array(value, wanted)
        if shape is not None and array.shape != as_shape(shape):
            raise ShapeError(f"variable {name!r}: the value has shape {array.shape}, asked for {as_shape(shape)}")
        if isinstance(value, Tensor):
            array = np.array(array)
        self._take(array, trainable, name)

    @classmethod
    def adopt(cls, array: Array, *, name: str, trainable: bool = True) -> Variable:
        """A variable that takes over `array` without copying it, such as a mapped file: it must never change again."""
        variable = cls.__new__(cls)
        variable._take(array, trainable, name)
        return variable

    def _take(self, array: Array, trainable: bool, name: str | None) -> None:
        number = next(_NAMES)
        self.name = name or (f"variable_{number}" if number else "variable")
        self._trainable = trainable
        # value, home, version without the runs of the home: one tuple, so that threads and interrupts see all of a
        # change or nothing of it
        self._place: tuple[Array | None, Home | None, int] = array, None, 0
        self._snapshot: weakref.ref[Tensor] | None = None
        self.autocast = True
        self.constraint: Callable[..., Any] | None = None
        self.regularizer: Callable[..., Any] | None = None
        self.type = TensorType(as_dtype(array.dtype), array.shape)
        array.flags.writeable = False
        ledger.change(1, array.nbytes)

    @classmethod
    def announce(cls, seen: int = -1) -> int:
        """Tell that a variable has changed. Gives the new epoch to one who had `seen` the last, to others `seen`."""
        with _ANNOUNCING:
            is_current = seen == Variable.epoch
            Variable.epoch += 1
            return Variable.epoch if is_current else seen

    @property
    def version(self) -> int:
        """Grows whenever the variable is assigned, also by a compiled step."""
        _, home, version = self._place
        return version if home is None else version + home.runs

    @property
    def home(self) -> Home | None:
        """The buffers of the compiled step that changes it, if it lives there."""
        return self._place[1]

    def move(self, home: Home) -> None:
        """Live in the buffers of `home` from now on, which has copied the value and holds `MOVING`."""
        held, old, version = self._held(), self.home, self.version
        if old is not home:
            if old is not None:
                old.leave(self)
            self._place = np.broadcast_to(np.zeros((), held.dtype), held.shape), home, version - home.runs

    @property
    def path(self) -> str:
        """The name with the names of the layers around it: `dense/kernel`."""
        return self.name

    @property
    def trainable(self) -> bool:
        """Whether training changes it; never for integers and booleans."""
        return self._trainable and is_floating(self.dtype)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    @property
    def value(self) -> Tensor:
        """The present value as an immutable tensor; the same one again until it changes, while somebody holds it."""
        known = self._snapshot() if self._snapshot is not None else None
        if known is None or known.is_disposed or known.buffer is not self.numpy():
            known = Tensor(self.numpy())
            self._snapshot = weakref.ref(known)
        for recorder in recorders():
            recorder.alias(self, known)
        return known

    def read_value(self) -> Tensor:
        """The present value as an immutable tensor."""
        return self.value

    def numpy(self) -> Array:
        """The present value; a later assignment does not change what was returned."""
        array, home, _ = self._place
        if home is not None:
            return home.fetch(self)
        return self._held() if array is None else array

    def _held(self) -> Array:
        """The value, or something of its shape and dtype while it lives elsewhere."""
        array = self._place[0]
        if array is None:
            raise DisposedError(f"variable {self.name!r} was used after dispose()")
        return array

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._held().size

    @property
    def nbytes(self) -> int:
        """The number of bytes the value takes."""
        return self._held().nbytes

    @property
    def device(self) -> str:
        """Where the value lies."""
        return "CPU:0"

    @property
    def is_disposed(self) -> bool:
        """Whether `dispose` was called."""
        return self._place[0] is None

    def dispose(self) -> None:
        """Free the memory now; any later use raises `DisposedError`."""
        with MOVING:
            array, home, _ = self._place
            if array is None:
                return
            if home is not None:
                home.leave(self)
            self._place = None, None, self.version
        ledger.change(-1, -array.nbytes)

    def __del__(self) -> None:
        place = getattr(self, "_place", None)
        if place is not None and place[0] is not None:  # nobody else knows it, and its home goes with it
            ledger.change(-1, -place[0].nbytes)

    def assign(self, value: object) -> Variable:
        """Set the whole value; numbers are cast to the variable's dtype.

        Errors: `ShapeError` for another shape, `DtypeError` for floats into integers.
        """
        trace = current_trace()
        if trace is not None:
            if not isinstance(value, Operand):
                value = Tensor(self._fitting(value))
            value = self._uncast(value)
            self._check(value)
            trace.updates[self] = value
            return self
        if isinstance(value, Operand) and not isinstance(value, Tensor | Variable):
            raise GraphError(f"variable {self.name!r} was assigned the symbol {value!r} outside of a traced function; "
                             "assign values, or assign inside a function decorated with @sg.function")
        self._set(self._fitting(value))
        return self

    def assign_add(self, delta: object) -> Variable:
        """Add `delta` to the value."""
        with autocasting(None):
            return self.assign(METHODS["add"](self.latest(), delta))

    def assign_sub(self, delta: object) -> Variable:
        """Subtract `delta` from the value."""
        with autocasting(None):
            return self.assign(METHODS["subtract"](self.latest(), delta))

    def latest(self) -> Operand:
        """The variable, or what the trace being recorded has assigned to it last."""
        trace = current_trace()
        return self if trace is None else trace.updates.get(self, self)

    def _fitting(self, value: object) -> Array:
        array = value.numpy() if isinstance(value, Tensor | Variable) else as_array(value)
        if array.shape != self.shape:
            raise ShapeError(f"variable {self.name!r} has shape {self.shape}, got a value of shape {array.shape}")
        if array.dtype.kind in "fc" and not is_floating(self.dtype) and not self.dtype.startswith("complex"):
            raise DtypeError(f"variable {self.name!r} is {self.dtype}, got {as_dtype(array.dtype)}; cast it first")
        fitted = convert_array(array, self.dtype)
        return np.array(fitted) if fitted is value else fitted

    def _uncast(self, value: Operand) -> Operand:
        """A value computed in the dtype of a layer of mixed precision, in the variable's own."""
        dtype = autocast_dtype()
        if dtype is None or not isinstance(value.type, TensorType) or value.dtype != dtype or (
                dtype == self.dtype or not is_floating(self.dtype)):
            return value
        cast: Operand = METHODS["cast"](value, self.dtype)
        return cast

    def _check(self, value: Operand) -> None:
        if value.type is not None and len(value.shape) != len(self.shape):
            raise ShapeError(f"variable {self.name!r} has shape {self.shape}, got a value of shape {value.shape}")
        if value.type is not None and value.dtype != self.dtype:
            raise DtypeError(f"variable {self.name!r} is {self.dtype}, got {value.dtype}; cast it first")

    def _set(self, array: Array) -> None:
        array.flags.writeable = False
        with MOVING:
            held, home, _ = self._place
            if held is None:
                raise DisposedError(f"variable {self.name!r} was assigned after dispose()")
            if home is not None:
                home.leave(self)
            self._place = array, None, self.version + 1
        Variable.announce()

    def __getitem__(self, key: object) -> Operand:
        part: Operand = METHODS["getitem"](self.latest(), key)
        if isinstance(part, Tensor):
            cut = VariableSlice(self, key, part)
            for recorder in recorders():
                recorder.alias(part, cut)
            return cut
        return part

    def __setitem__(self, key: object, value: object) -> NoReturn:
        raise ImmutableError(f"assign to parts of variable {self.name!r} with variable[...].assign(value)")

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        array = self.numpy()
        return np.array(array, dtype) if copy or dtype is not None else array

    def __dlpack__(self, **options: Any) -> Any:
        return np.array(self.numpy()).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __float__(self) -> float:
        return float(self.numpy().item())

    def __int__(self) -> int:
        return int(self.numpy().item())

    def __index__(self) -> int:
        return self.value.__index__()

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def item(self) -> Any:
        """The only element as a Python number."""
        return self.numpy().item()

    def print(self) -> None:
        """Print the value."""
        print(self.numpy())

    def __repr__(self) -> str:
        if self.is_disposed:
            return f"<Variable {self.name!r} {self.type}, disposed>"
        values = np.array2string(self.numpy(), separator=", ", threshold=100)
        gap = "\n" if "\n" in values else " "
        return f"<Variable {self.name!r} shape={self.shape} dtype={self.dtype}, value={gap}{values}>"

    def __reduce__(self) -> tuple[Callable[..., Variable], tuple[Any, ...], tuple[None, dict[str, Any]]]:
        rules = {"constraint": self.constraint, "regularizer": self.regularizer, "autocast": self.autocast}
        return Variable, (np.array(self.numpy()), None, self.dtype, self._trainable, self.name), (None, rules)

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        copy = Variable(np.array(self.numpy()), None, self.dtype, self._trainable, self.name)
        copy.constraint, copy.regularizer, copy.autocast = self.constraint, self.regularizer, self.autocast
        return copy


class VariableSlice(Tensor):
    """A part of a variable: a value like any other that can also be assigned to."""

    __slots__ = ("_key", "_variable")

    def __init__(self, variable: Variable, key: object, part: Tensor) -> None:
        assert isinstance(part.type, TensorType)
        super().__init__(part.buffer, part.type)
        self._variable = variable
        self._key = key

    def assign(self, value: object) -> Variable:
        """Set this part of the variable; `value` broadcasts as in NumPy."""
        array = np.array(self._variable.numpy())
        key = _numpy_key(self._key)
        new = convert_array(as_array(value), self._variable.dtype)
        try:
            array[key] = new
        except ValueError:
            raise ShapeError(f"variable {self._variable.name!r}: a part of shape {self.shape} "
                             f"got a value of shape {new.shape}") from None
        return self._variable.assign(array)

    def assign_add(self, delta: object) -> Variable:
        """Add `delta` to this part."""
        return self.assign(METHODS["add"](self, delta))

    def assign_sub(self, delta: object) -> Variable:
        """Subtract `delta` from this part."""
        return self.assign(METHODS["subtract"](self, delta))


def read_variables(operands: tuple[Operand | None, ...]) -> tuple[tuple[Operand | None, ...], bool]:
    """The operands as they stand now, and whether an op on them is recorded instead of run.

    While something is traced variables count as symbols, and one that was assigned stands for its new value.
    """
    if current_trace() is None:
        return operands, any(isinstance(x, SymbolicTensor) for x in operands)
    is_recorded = any(isinstance(x, SymbolicTensor | Variable) for x in operands)
    return tuple(x.latest() if isinstance(x, Variable) else x for x in operands), is_recorded


def autocast(x: Any) -> Any:
    """What `x` is read as where a layer of mixed precision is called: a variable in the layer's dtype; others as is."""
    dtype = autocast_dtype()
    if dtype is None or not isinstance(x, Variable) or not x.autocast or x.dtype == dtype or not is_floating(x.dtype):
        return x
    with autocasting(None):
        return METHODS["cast"](x, dtype)


def _numpy_key(key: object) -> Any:
    if isinstance(key, tuple):
        return tuple(_numpy_key(k) for k in key)
    return key.numpy() if isinstance(key, Tensor | Variable) else key
