"""State on a device: where variables live while a compiled step changes them, run after run."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from symgraph.core.errors import UnsupportedOpError
from symgraph.core.types import ELEM_TYPES, numpy_dtype
from symgraph.core.value import Array
from symgraph.core.variable import Variable
from symgraph.runtime.devices import GPU_PROVIDERS, Device, gpu_provider
from symgraph.runtime.feeds import PACKED, as_ort_value, from_ort_value
from symgraph.runtime.ort import onnxruntime

_NUMBERS = itertools.count()

ALIGNMENT = 64
"""Buffers begin at multiples of this many bytes, as ONNX Runtime's own do."""


class DeviceBuffer:
    """Memory of a device for values of one dtype and shape; on the CPU `array` is that memory."""

    __slots__ = ("array", "dtype", "shape", "value")

    def __init__(self, dtype: str, shape: tuple[int, ...], device: Device, memory: Array | None = None) -> None:
        self.dtype, self.shape = dtype, shape
        self.array: Array | None = None
        if device.kind == "CPU":
            self.array = _aligned(shape, numpy_dtype(dtype)) if memory is None else memory
            self.value = as_ort_value(self.array)
        else:
            self.value = onnxruntime().OrtValue.ortvalue_from_shape_and_type(
                list(shape), ELEM_TYPES[dtype], GPU_PROVIDERS[gpu_provider()], device.index)

    def write(self, array: Array) -> None:
        """Copy an array of this dtype and shape in."""
        if self.array is not None:
            np.copyto(self.array, array)
        else:
            bits = as_ort_value(array).numpy() if array.dtype.isbuiltin == 1 else array.view(f"u{array.itemsize}")
            self.value.update_inplace(np.ascontiguousarray(bits))

    def read(self) -> Array:
        """A copy of the value."""
        return np.array(self.array if self.array is not None else from_ort_value(self.value, self.dtype))


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    return _together([(shape, dtype)])[0]


def _together(kinds: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]) -> list[Array]:
    """Arrays of these shapes and dtypes in one piece of memory; NumPy asks for huge pages where it is large."""
    sizes = [int(np.prod(shape, dtype=np.int64)) * dtype.itemsize for shape, dtype in kinds]
    places = [0, *itertools.accumulate(-(-size // ALIGNMENT) * ALIGNMENT for size in sizes)]
    raw = np.empty(places[-1] + ALIGNMENT, np.uint8)
    raw = raw[-raw.ctypes.data % ALIGNMENT:]
    return [raw[place:place + size].view(dtype).reshape(shape)
            for place, size, (shape, dtype) in zip(places, sizes, kinds, strict=False)]


def _set_of_buffers(kinds: Sequence[tuple[str, tuple[int, ...]]], device: Device) -> tuple[DeviceBuffer, ...]:
    """A buffer for each dtype and shape."""
    memory: Sequence[Array | None] = [None] * len(kinds)
    if device.kind == "CPU":
        memory = _together([(shape, numpy_dtype(dtype)) for dtype, shape in kinds])
    return tuple(DeviceBuffer(dtype, shape, device, own) for (dtype, shape), own in zip(kinds, memory, strict=True))


class State:
    """Two sets of buffers for the values of `variables`: a run reads one and writes the other, then they change places.

    So ONNX Runtime never writes what it reads, and a run that fails leaves the values as they were. A variable that
    is read on the host is copied from here; one that is assigned there, or that another step takes, is copied back
    before the next run.

    A step holds `lock` while it runs; other threads read between two runs, and a step lets those go first that wait
    (`turnstile`).
    """

    def __init__(self, variables: Iterable[Variable], device: Device) -> None:
        self.variables = tuple(variables)
        self.device = device
        self.runs = 0
        self.number = next(_NUMBERS)
        self.lock, self.turnstile = threading.RLock(), threading.RLock()
        for v in self.variables:
            if v.dtype in PACKED or v.dtype == "string":
                raise UnsupportedOpError(f"variable {v.name!r} of dtype {v.dtype} cannot be assigned in a compiled "
                                         "step")
        kinds = [(v.dtype, v.numpy().shape) for v in self.variables]
        self.sets = tuple(_set_of_buffers(kinds, device) for _ in range(2))
        self._index = {v: i for i, v in enumerate(self.variables)}
        self.away = dict.fromkeys(self.variables)
        self._fetched: dict[Variable, tuple[int, Array]] = {}

    @property
    def present(self) -> int:
        """The set that holds the present values: a run that is over changes it and `runs` in one."""
        return self.runs & 1

    def settle(self) -> None:
        """Take in the variables that were assigned elsewhere since the last run; for who holds `MOVING` and `lock`."""
        present = self.sets[self.present]
        for v in list(self.away):
            present[self._index[v]].write(v.numpy())
            v.move(self)
            del self.away[v]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Inside, no step runs here."""
        if not self.lock.acquire(blocking=False):
            with self.turnstile:
                self.lock.acquire()
        try:
            yield
        finally:
            self.lock.release()

    def value(self, variable: Variable) -> Any:
        """The OrtValue that holds the present value of a variable that lives here."""
        return self.sets[self.present][self._index[variable]].value

    def fetch(self, variable: Variable) -> Array:
        """The present value, as an array that later runs do not change."""
        with self.reading():
            known = self._fetched.get(variable)
            if known is None or known[0] != self.runs:
                array = self.sets[self.present][self._index[variable]].read()
                array.flags.writeable = False
                self._fetched[variable] = known = self.runs, array
            return known[1]

    def before(self, variable: Variable) -> Array:
        """The value before the last run."""
        with self.reading():
            return self.sets[1 - self.present][self._index[variable]].read()

    def leave(self, variable: Variable) -> None:
        """From now on the variable has its value itself; it is read again before the next run."""
        self.away[variable] = None
        self._fetched.pop(variable, None)
