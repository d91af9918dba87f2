"""Initializers: functions of (shape, dtype) that give weights their first values. Public as `sg.initializers`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from symgraph.core.defaults import floatx
from symgraph.core.errors import LayerError, ShapeError, nearest
from symgraph.core.registry import Registry
from symgraph.core.scope import not_tracing
from symgraph.core.types import Shape, as_dtype, as_shape
from symgraph.core.value import Tensor, as_array, convert_array
from symgraph.ops import random_numbers as random
from symgraph.ops.seeds import SeedGenerator, make_default_seed

__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "IdentityInitializer",
    "Initializer", "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomInitializer",
    "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros", "compute_fans", "deserialize",
    "get", "serialize",
]

Array = npt.NDArray[Any]
Axes = Sequence[int] | None
Seed = int | SeedGenerator | None

_TRUNCATED_STDDEV = 0.87962566103423978
"""The standard deviation of a standard normal number that lies within two of them."""


class Initializer:
    """What gives a weight its first value: called with a shape and a dtype, it returns a tensor.

    One of your own overrides `__call__`, and `get_config` where it has arguments; a plain function of
    (shape, dtype) does as well.
    """

    def __call__(self, shape: object, dtype: object = None) -> Tensor:
        """The value of a weight of this shape; in `floatx()` unless `dtype` says another."""
        name = as_dtype(floatx() if dtype is None else dtype)
        with not_tracing():
            values = self.values(_known(type(self).__name__, shape), name)
        return values if isinstance(values, Tensor) else Tensor(np.array(convert_array(values, name)))

    def values(self, shape: tuple[int, ...], dtype: str) -> Array | Tensor:
        """The numbers themselves, for a known shape."""
        raise LayerError(f"initializer {type(self).__name__} defines neither __call__ nor values")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Initializer:
        """The initializer with these arguments."""
        return cls(**config)

    def clone(self) -> Initializer:
        """An equal initializer."""
        return type(self).from_config(self.get_config())

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class Zeros(Initializer):
    """All elements 0."""

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        return np.zeros(shape)


class Ones(Initializer):
    """All elements 1."""

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        return np.ones(shape)


class Constant(Initializer):
    """All elements `value`: a number, or an array that broadcasts to the shape."""

    def __init__(self, value: object = 0.0) -> None:
        self.value = value

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        value = as_array(self.value)
        try:
            return np.broadcast_to(value, shape)
        except ValueError:
            raise ShapeError(f"Constant: a value of shape {value.shape} does not fill a weight of shape {shape}"
                             ) from None

    def get_config(self) -> dict[str, Any]:
        is_plain = isinstance(self.value, int | float)
        return {"value": self.value if is_plain else as_array(self.value).tolist()}


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere.

    Errors: `ShapeError` for a weight that is no matrix.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        if len(shape) != 2:
            raise ShapeError(f"Identity: makes matrices only, asked for shape {shape}")
        return self.gain * np.eye(*shape)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


class RandomInitializer(Initializer):
    """An initializer with a seed. Without one it takes a fresh seed when it is made, so `set_seed` fixes it.

    With the same seed and shape it gives the same values at every call; a `SeedGenerator` gives new ones.
    """

    def __init__(self, seed: Seed | Mapping[str, Any] = None) -> None:
        self._given_seed = seed
        if isinstance(seed, Mapping):
            seed = SeedGenerator.from_config(dict(seed.get("config", seed)))
        self.seed: int | SeedGenerator = make_default_seed() if seed is None else seed

    def get_config(self) -> dict[str, Any]:
        seed = self._given_seed
        return {"seed": seed.get_config() if isinstance(seed, SeedGenerator) else seed}


class RandomNormal(RandomInitializer):
    """Normal numbers with `mean` and `stddev`."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def values(self, shape: tuple[int, ...], dtype: str) -> Tensor:
        return _tensor(random.normal(shape, self.mean, self.stddev, dtype, self.seed))

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(RandomInitializer):
    """Normal numbers with `mean` and `stddev`, none further than two `stddev` from the mean."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def values(self, shape: tuple[int, ...], dtype: str) -> Tensor:
        return _tensor(random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed))

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class RandomUniform(RandomInitializer):
    """Numbers from `minval` to below `maxval`, all equally likely."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def values(self, shape: tuple[int, ...], dtype: str) -> Tensor:
        return _tensor(random.uniform(shape, self.minval, self.maxval, dtype, self.seed))

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


class VarianceScaling(RandomInitializer):
    """Random numbers with mean 0 and variance `scale / n`.

    `mode` says what n is: "fan_in", "fan_out", or "fan_avg", their mean. `distribution` is
    "truncated_normal", "untruncated_normal" or "uniform" (on `±sqrt(3 scale / n)`). `input_axes` and
    `output_axes`, given together, are the axes of the weight whose sizes multiply to the fans.

    Errors: `LayerError` for a scale that is not positive, an unknown mode or distribution.
    """

    MODES = ("fan_in", "fan_out", "fan_avg")
    DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")

    def __init__(self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal",
                 seed: Seed = None, input_axes: Axes = None, output_axes: Axes = None) -> None:
        if scale <= 0:
            raise LayerError(f"VarianceScaling: scale must be positive, got {scale!r}")
        if mode not in self.MODES:
            raise LayerError(f"VarianceScaling: no mode {mode!r}; {nearest(mode, self.MODES)}")
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if distribution not in self.DISTRIBUTIONS:
            raise LayerError(
                f"VarianceScaling: no distribution {distribution!r}; {nearest(distribution, self.DISTRIBUTIONS)}")
        super().__init__(seed)
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def values(self, shape: tuple[int, ...], dtype: str) -> Tensor:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return _tensor(random.uniform(shape, -limit, limit, dtype, self.seed))
        if self.distribution == "untruncated_normal":
            return _tensor(random.normal(shape, 0.0, math.sqrt(variance), dtype, self.seed))
        stddev = math.sqrt(variance) / _TRUNCATED_STDDEV
        return _tensor(random.truncated_normal(shape, 0.0, stddev, dtype, self.seed))

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, **super().get_config(),
                **self._axes_config()}

    def _axes_config(self) -> dict[str, Any]:
        axes = {"input_axes": self.input_axes, "output_axes": self.output_axes}
        return {name: list(value) for name, value in axes.items() if value is not None}


class _NamedScaling(VarianceScaling):
    """A `VarianceScaling` known by a name, whose arguments are the seed and the axes."""

    arguments: tuple[float, str, str]

    def __init__(self, seed: Seed = None, input_axes: Axes = None, output_axes: Axes = None) -> None:
        super().__init__(*self.arguments, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        return {**RandomInitializer.get_config(self), **self._axes_config()}


class GlorotUniform(_NamedScaling):
    """Uniform on `±sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010)."""

    arguments = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Truncated normal with the standard deviation `sqrt(2 / (fan_in + fan_out))` (Glorot and Bengio 2010)."""

    arguments = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_NamedScaling):
    """Uniform on `±sqrt(6 / fan_in)` (He et al. 2015)."""

    arguments = (2.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Truncated normal with the standard deviation `sqrt(2 / fan_in)` (He et al. 2015)."""

    arguments = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Uniform on `±sqrt(3 / fan_in)` (LeCun et al. 1998)."""

    arguments = (1.0, "fan_in", "uniform")


class LecunNormal(_NamedScaling):
    """Truncated normal with the standard deviation `sqrt(1 / fan_in)` (LeCun et al. 1998)."""

    arguments = (1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """`gain` times a random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al. 2013).

    A weight of more than two axes is the matrix of its last axis against all others.

    Errors: `ShapeError` for a weight of fewer than two axes.
    """

    def __init__(self, gain: float = 1.0, seed: Seed = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def values(self, shape: tuple[int, ...], dtype: str) -> Array:
        if len(shape) < 2:
            raise ShapeError(f"Orthogonal: a weight must have two axes or more, asked for shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        a = random.normal(tall, dtype="float64", seed=self.seed)
        q, r = np.linalg.qr(_tensor(a).numpy())
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.gain * (q.T if rows < columns else q).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, **super().get_config()}


IdentityInitializer = Identity
OrthogonalInitializer = Orthogonal


def compute_fans(shape: Sequence[int], input_axes: Axes = None, output_axes: Axes = None) -> tuple[float, float]:
    """How many inputs and outputs a unit of a weight has: `(fan_in, fan_out)`.

    The last two axes of a kernel are inputs and outputs; those before, its window, multiply both. With both
    `input_axes` and `output_axes` the fans are the products of the sizes of those axes.

    >>> compute_fans((3, 3, 16, 32)), compute_fans((10,)), compute_fans((6, 2, 4), [0], [1, 2])
    ((144, 288), (10, 10), (6, 8))
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[i] for i in input_axes), math.prod(shape[i] for i in output_axes)
    if len(shape) < 2:
        fan = shape[0] if shape else 1
        return fan, fan
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


_CLASSES: dict[str, type[Initializer]] = {
    cls.__name__: cls for cls in (
        Constant, GlorotNormal, GlorotUniform, HeNormal, HeUniform, Identity, LecunNormal, LecunUniform, Ones,
        Orthogonal, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling, Zeros)}

_NAMES: dict[str, type[Initializer]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): cls for name, cls in _CLASSES.items()}

_ALIASES: dict[str, type[Initializer]] = {
    "IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal, "normal": RandomNormal,
    "one": Ones, "uniform": RandomUniform, "zero": Zeros}

_REGISTRY = Registry("initializer", LayerError, ("initializers",), _NAMES, {**_CLASSES, **_ALIASES}, base=Initializer,
                     expected="a name, a configuration or a function of (shape, dtype)")


def get(identifier: object) -> Callable[..., Any] | None:
    """The initializer that `identifier` names: a name, a configuration, a class, or the initializer itself.

    A name is the class's, in either spelling ("he_normal", "HeNormal"). A configuration is what `serialize`
    gives. None stays None.

    Errors: `LayerError` listing the nearest names.

    >>> get("he_normal")
    HeNormal(seed=None)
    """
    found: Callable[..., Any] | None = _REGISTRY.get(identifier)
    return found


def serialize(initializer: Callable[..., Any]) -> Any:
    """The class name and the arguments, from which `deserialize` makes an equal initializer; the name of a function."""
    return _REGISTRY.serialize(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer that `serialize` wrote down, or of a name; `custom_objects` are classes of your own by name.

    Errors: `LayerError` for an unknown class, and for arguments the class does not take.
    """
    return _REGISTRY.deserialize(config, custom_objects)


def _known(who: str, shape: object) -> tuple[int, ...]:
    wanted: Shape = as_shape(shape)
    if not all(isinstance(d, int) for d in wanted):
        raise ShapeError(f"{who}: a weight must have a known shape, got {wanted}")
    return wanted  # type: ignore[return-value]


def _tensor(x: object) -> Tensor:
    assert isinstance(x, Tensor)
    return x
