"""Devices and execution providers: what there is, what was asked for, and where a value lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from symgraph.core.errors import ProviderError, nearest
from symgraph.core.types import TensorType
from symgraph.core.value import Array, Tensor
from symgraph.runtime.compiling import Provider
from symgraph.runtime.feeds import as_ort_value, from_ort_value
from symgraph.runtime.ort import CPU, onnxruntime

GPU_PROVIDERS = {"CUDAExecutionProvider": "cuda", "ROCMExecutionProvider": "cuda", "DmlExecutionProvider": "dml"}
"""Providers of a GPU, and what ONNX Runtime calls the memory of each."""


@dataclass(frozen=True)
class PhysicalDevice:
    """A device of this machine, named as TensorFlow names it."""

    name: str
    device_type: str


@dataclass(frozen=True)
class Device:
    """Where values lie and ops run: `CPU:0`, `GPU:1`."""

    kind: str
    index: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.index}"

    @property
    def provider(self) -> Provider:
        """The execution provider that runs there."""
        return CPU if self.kind == "CPU" else (gpu_provider(), {"device_id": self.index})


_HOST = Device("CPU", 0)
_DEVICE: ContextVar[Device] = ContextVar("device", default=_HOST)


class Buffer:
    """A value in the memory of a device, held by ONNX Runtime."""

    __slots__ = ("device", "dtype", "value")

    def __init__(self, value: Any, dtype: str, device: Device) -> None:
        self.value = value
        self.dtype = dtype
        self.device = device

    def numpy(self) -> Array:
        """A copy in the memory of the host."""
        return np.array(from_ort_value(self.value, self.dtype))

    def device_name(self) -> str:
        """`GPU:0`."""
        return str(self.device)


class Config:
    """What this machine has, and how strictly providers are taken: `sg.config`."""

    def __init__(self) -> None:
        self._is_strict = False

    @property
    def is_strict(self) -> bool:
        """Whether a session refuses to run any node on another provider than the one asked for."""
        return self._is_strict

    def set_strict(self, value: bool = True) -> None:
        """Make every new session strict, or not."""
        self._is_strict = bool(value)

    def list_physical_devices(self, device_type: str | None = None) -> list[PhysicalDevice]:
        """The devices ONNX Runtime can use, the CPU first; only those of `device_type` (`"CPU"`, `"GPU"`) if given.

        >>> import symgraph as sg
        >>> sg.config.list_physical_devices("CPU")
        [PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU')]
        """
        kinds = ["CPU", *["GPU"] * _count_gpus()]
        found = [PhysicalDevice(f"/physical_device:{kind}:{index - (kind == 'GPU')}", kind)
                 for index, kind in enumerate(kinds)]
        return [d for d in found if device_type is None or d.device_type == device_type.upper()]


config = Config()


def gpu_provider() -> str:
    """The first provider of a GPU that the installed ONNX Runtime has; empty if none."""
    available = onnxruntime().get_available_providers()
    return next((name for name in GPU_PROVIDERS if name in available), "")


@lru_cache(maxsize=1)
def _count_gpus() -> int:
    """How many GPUs take memory when asked: a provider may be built in where no device is."""
    provider = gpu_provider()
    count = 0
    while provider and count < 64:
        try:
            onnxruntime().OrtValue.ortvalue_from_shape_and_type([1], np.float32, GPU_PROVIDERS[provider], count)
        except Exception:  # whatever a driver raises means that there are no more
            break
        count += 1
    return count


@contextmanager
def device(name: str) -> Iterator[Device]:
    """Run the ops inside on a device, and keep their results there: `with sg.device("GPU:0"):`.

    `"CPU:0"`, `"cpu"` and `"/device:CPU:0"` are the same.

    Errors: `ProviderError` listing the devices there are.
    """
    wanted = parse_device(name)
    token = _DEVICE.set(wanted)
    try:
        yield wanted
    finally:
        _DEVICE.reset(token)


def current_device() -> Device:
    """The device of the innermost `device` scope; the CPU outside."""
    return _DEVICE.get()


def parse_device(name: str) -> Device:
    """The device called `name`.

    Errors: `ProviderError` listing the devices there are.
    """
    known = [d.name.removeprefix("/physical_device:") for d in config.list_physical_devices()]
    if not isinstance(name, str):
        raise ProviderError(f"a device is given by name, got {name!r}; {nearest('', known)}")
    wanted = name.upper().replace("CUDA", "GPU").rpartition("DEVICE:")[2]
    if ":" not in wanted:
        wanted += ":0"
    if wanted not in known:
        hint = "; for a GPU install 'symgraph[gpu]' in place of onnxruntime" if wanted.startswith("GPU") else ""
        raise ProviderError(f"there is no device {name!r}; {nearest(wanted, known)}{hint}")
    kind, _, index = wanted.partition(":")
    return Device(kind, int(index))


def resolve_providers(
        providers: str | Provider | Sequence[Provider] | None = None, *, fallback: bool = False) -> list[Provider]:
    """Execution providers as ONNX Runtime names them, the CPU last.

    Takes `"cuda"`, `"CUDAExecutionProvider"`, `("cuda", {"device_id": 1})`, or a list of such; None is the
    provider of the current device. With `fallback`, those that are not there are left out.

    Errors: `ProviderError` for one that is not there, listing those that are.
    """
    if providers is None:
        return _with_cpu([current_device().provider])
    if isinstance(providers, str) or (
            isinstance(providers, tuple) and len(providers) == 2 and isinstance(providers[1], dict)):
        providers = [providers]
    available = onnxruntime().get_available_providers()
    short = {name.removesuffix("ExecutionProvider").lower(): name for name in available}
    found: list[Provider] = []
    for given in providers:
        name, options = given if isinstance(given, tuple) else (given, None)
        real = name if name in available else short.get(str(name).lower())
        if real is not None:
            found.append(real if options is None else (real, options))
        elif not fallback:
            raise ProviderError(f"execution provider {name!r} is not available; {nearest(str(name), available)}; "
                                "fallback=True goes on without it")
    return _with_cpu(found)


def _with_cpu(providers: list[Provider]) -> list[Provider]:
    return providers if CPU in map(provider_name, providers) else [*providers, CPU]


def provider_name(provider: Provider) -> str:
    """The name alone."""
    return provider if isinstance(provider, str) else provider[0]


def check_providers(session: Any, asked: Sequence[Provider], *, fallback: bool) -> None:
    """ONNX Runtime drops a provider that fails to start and goes on with the CPU: say so instead.

    Errors: `ProviderError` naming what was asked for and what the session has.
    """
    running = session.get_providers()
    lost = [name for name in map(provider_name, asked) if name not in running]
    if lost and not fallback:
        raise ProviderError(f"execution provider {', '.join(lost)} did not start, the session would run on "
                            f"{', '.join(running)}; check its driver and libraries, or give fallback=True")


def run_on_device(session: Any, feeds: Sequence[tuple[str, Tensor]], outputs: Sequence[tuple[str, str]],
                  where: Device) -> list[Tensor]:
    """Run with the values where they lie, and leave the results (names and dtypes) on the device."""
    binding = session.io_binding()
    for name, x in feeds:
        buffer = x.buffer
        binding.bind_ortvalue_input(name, buffer.value if isinstance(buffer, Buffer) else as_ort_value(x.numpy()))
    memory = "cpu" if where.kind == "CPU" else GPU_PROVIDERS[gpu_provider()]
    for name, _ in outputs:
        binding.bind_output(name, memory, where.index)
    session.run_with_iobinding(binding)
    return [Tensor(Buffer(value, dtype, where), TensorType(dtype, tuple(value.shape())))
            for value, (_, dtype) in zip(binding.get_outputs(), outputs, strict=True)]


