"""Noise and dropout: what makes training harder and its result better. Without training they do nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from symgraph.core.tensor import Operand
from symgraph.layers.checked import DATA_FORMATS, CheckedLayer
from symgraph.layers.regularizers import L1L2
from symgraph.ops.arithmetic import add, multiply
from symgraph.ops.comparison import greater_equal
from symgraph.ops.indexing import where
from symgraph.ops.random_numbers import SeedGenerator, dropout, normal, uniform
from symgraph.ops.shape import shape

__all__ = ["ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise",
           "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

Seed = int | SeedGenerator | Mapping[str, Any] | None


class NoiseLayer(CheckedLayer):
    """A layer that draws numbers while training: with a generator of its own, started from `seed`."""

    supports_masking = True

    def __init__(self, seed: Seed = None, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(seed, Mapping):
            seed = SeedGenerator.from_config(dict(seed["config"]))
        self.seed = seed
        self.seed_generator = seed if isinstance(seed, SeedGenerator) else SeedGenerator(seed)

    def disturbed(self, x: Operand) -> Operand:
        """What training makes of the inputs."""
        raise NotImplementedError

    @property
    def is_idle(self) -> bool:
        """Whether training changes nothing either."""
        return False

    def call(self, inputs: Operand, training: bool = False) -> Operand:
        return self.disturbed(inputs) if training and not self.is_idle else inputs


class Dropout(NoiseLayer):
    """`x / (1 - rate)`, a share `rate` of the elements set to 0, while training; else `x`. Any shape, which stays.

    `noise_shape` has 1 where elements along an axis are dropped together, None where it is the inputs' size.

    Source: Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html

    >>> import symgraph as sg
    >>> sorted(set(sg.layers.Dropout(0.5, seed=1)(sg.ones((99,)), training=True).tolist()))
    [0.0, 2.0]
    """

    def __init__(self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Seed = None,
                 **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = self.share("rate", rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        for size in self.noise_shape or ():
            if size is not None:
                self.whole("an entry of noise_shape", size)
        if self.noise_shape is not None:
            self.ndim = len(self.noise_shape)

    @property
    def is_idle(self) -> bool:
        return not self.rate

    def disturbed(self, x: Operand) -> Operand:
        return dropout(x, self.rate, self.noise_shape, self.seed_generator)


class SpatialDropout(NoiseLayer):
    """Dropout of whole channels: `x / (1 - rate)` or 0 for all of a channel."""

    rank: int

    def __init__(self, rate: float, data_format: str | None = None, seed: Seed = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.ndim = self.rank + 2
        self.rate = self.share("rate", rate)
        self.data_format = self.one_of("data_format", data_format or "channels_last", DATA_FORMATS)

    @property
    def is_idle(self) -> bool:
        return not self.rate

    def disturbed(self, x: Operand) -> Operand:
        space = (1,) * self.rank
        noise = (None, None, *space) if self.data_format == "channels_first" else (None, *space, None)
        return dropout(x, self.rate, noise, self.seed_generator)


class SpatialDropout1D(SpatialDropout):
    """Dropout of whole channels of sequences `(batch, steps, channels)`, while training.

    Source: Tompson et al. 2014, https://arxiv.org/abs/1411.4280
    """

    rank = 1

    def __init__(self, rate: float, seed: Seed = None, **options: Any) -> None:
        super().__init__(rate, seed=seed, **options)


class SpatialDropout2D(SpatialDropout):
    """Dropout of whole channels of images `(batch, height, width, channels)`, while training.

    Source: Tompson et al. 2014, https://arxiv.org/abs/1411.4280
    """

    rank = 2


class SpatialDropout3D(SpatialDropout):
    """Dropout of whole channels of volumes `(batch, depth, height, width, channels)`, while training.

    Source: Tompson et al. 2014, https://arxiv.org/abs/1411.4280
    """

    rank = 3


class GaussianNoise(NoiseLayer):
    """`x + n`, `n` normal with mean 0 and deviation `stddev`, while training; else `x`. Any shape, which stays."""

    def __init__(self, stddev: float, seed: Seed = None, **options: Any) -> None:
        super().__init__(seed, **options)
        if isinstance(stddev, bool) or not isinstance(stddev, int | float) or stddev < 0:
            raise self.error(f"stddev must be a number from 0 on, got {stddev!r}")
        self.stddev = float(stddev)

    @property
    def is_idle(self) -> bool:
        return not self.stddev

    def disturbed(self, x: Operand) -> Operand:
        return add(x, normal(shape(x), 0.0, self.stddev, x.dtype, self.seed_generator))


class GaussianDropout(NoiseLayer):
    """`x * n`, `n` normal with mean 1 and variance `rate / (1 - rate)`, while training; else `x`.

    Any shape, which stays. Source: Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html
    """

    def __init__(self, rate: float, seed: Seed = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = self.share("rate", rate)
        if self.rate == 1:
            raise self.error("rate must be less than 1, got 1")

    @property
    def is_idle(self) -> bool:
        return not self.rate

    def disturbed(self, x: Operand) -> Operand:
        deviation = math.sqrt(self.rate / (1 - self.rate))
        return multiply(x, normal(shape(x), 1.0, deviation, x.dtype, self.seed_generator))


class AlphaDropout(NoiseLayer):
    """`a * (x or -s) + b`: a share `rate` of the elements becomes `-s`, selu's least value, while training.

    `a` and `b` keep mean 0 and variance 1 as they are: `a = ((1 - rate) (1 + rate s^2))^-1/2`, `b = a rate s`.
    Any shape, which stays. Source: Klambauer et al. 2017, https://arxiv.org/abs/1706.02515
    """

    def __init__(self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Seed = None,
                 **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = self.share("rate", rate)
        if self.rate == 1:
            raise self.error("rate must be less than 1, got 1")
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        if self.noise_shape is not None:
            self.ndim = len(self.noise_shape)

    @property
    def is_idle(self) -> bool:
        return not self.rate

    def disturbed(self, x: Operand) -> Operand:
        sizes = shape(x)
        noise = sizes if self.noise_shape is None else tuple(
            size if given is None else given for given, size in zip(self.noise_shape, sizes, strict=True))
        least = SELU_ALPHA * SELU_SCALE
        a = ((1 - self.rate) * (1 + self.rate * least**2)) ** -0.5
        is_kept = greater_equal(uniform(noise, seed=self.seed_generator), self.rate)
        kept = where(is_kept, x, -least)
        return add(multiply(kept, a), a * least * self.rate)


class ActivityRegularization(CheckedLayer):
    """`x` itself; `(l1 * sum(|x|) + l2 * sum(x^2)) / batch` is added to the `losses`. Any shape, which stays."""

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **options: Any) -> None:
        super().__init__(activity_regularizer=L1L2(l1, l2), **options)
        self.l1, self.l2 = l1, l2

    def call(self, inputs: Operand) -> Operand:
        return inputs
