"""Dtype policies: in which dtype a layer keeps its weights, and in which it computes. Public as `sg.dtype_policies`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symgraph.core.defaults import epsilon, floatx, set_epsilon, set_floatx
from symgraph.core.errors import DtypeError, nearest
from symgraph.core.types import FLOATS, as_dtype
from symgraph.runtime import devices

__all__ = ["DTypePolicy", "FloatDTypePolicy", "deserialize", "dtype_policy", "get", "serialize", "set_dtype_policy"]

MIXED: Mapping[str, tuple[str, str]] = {"mixed_float16": ("float16", "float32"),
                                        "mixed_bfloat16": ("bfloat16", "float32")}
"""Policies of two dtypes: that of the computation and that of the weights."""


class DTypePolicy:
    """The dtypes of a layer: `compute_dtype` of its computation and its outputs, `variable_dtype` of its weights.

    `name` is a dtype, which both are then, or `"mixed_float16"` or `"mixed_bfloat16"`, which compute in half precision
    and keep weights in float32; without a name it is the global policy. Layers take a policy, or its name, as `dtype`.

    Inputs in floating point, and weights where the layer reads them, are cast to `compute_dtype`; gradients reach the
    weights in `variable_dtype`.

    Errors: `DtypeError` for a name that is no policy.

    Source: Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740

    >>> import symgraph as sg
    >>> layer = sg.layers.Dense(2, dtype="mixed_float16")
    >>> layer(sg.ones((1, 3))).dtype, layer.kernel.dtype, layer.dtype_policy
    ('float16', 'float32', <DTypePolicy "mixed_float16">)
    """

    def __init__(self, name: str | None = None) -> None:
        self._name, self._compute_dtype, self._variable_dtype = _parts_of(dtype_policy().name if name is None else name)

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The dtype of the computation."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of the weights."""
        return self._variable_dtype

    @property
    def quantization_mode(self) -> None:
        """None: no policy here is one of quantised weights."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal policy."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DTypePolicy:
        """The policy with these arguments."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


FloatDTypePolicy = DTypePolicy

_GLOBAL: list[DTypePolicy] = []


def dtype_policy() -> DTypePolicy:
    """The policy of layers that say none: the one set last, else that of `floatx()`."""
    return _GLOBAL[0] if _GLOBAL else DTypePolicy(floatx())


def set_dtype_policy(policy: object) -> None:
    """Let layers made from now on have this policy, given by itself or by its name, where they say none.

    None is the policy of `floatx()` again.

    Errors: `DtypeError` for what is no policy.
    """
    _GLOBAL[:] = [] if policy is None else [get(policy)]


def get(identifier: object) -> DTypePolicy:
    """The policy that `identifier` means: a policy, its name, a dtype, or what `serialize` gave; None is the global.

    Errors: `DtypeError` for what is no policy.

    >>> get("mixed_bfloat16").compute_dtype
    'bfloat16'
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    if isinstance(identifier, type | np.dtype):
        return DTypePolicy(as_dtype(identifier))
    raise DtypeError(f"a dtype policy is given by its name, such as 'mixed_float16', or a dtype; got {identifier!r}")


def serialize(policy: DTypePolicy) -> dict[str, Any]:
    """The class name and the arguments, from which `deserialize` makes an equal policy."""
    return {"class_name": "DTypePolicy", "config": policy.get_config()}


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> DTypePolicy:
    """The policy that `serialize`, or Keras, wrote down; entries besides class name and arguments are not looked at.

    Errors: `DtypeError` for another class than `DTypePolicy`, such as those of quantised weights.
    """
    name = config.get("class_name")
    known = {"DTypePolicy": DTypePolicy, "FloatDTypePolicy": DTypePolicy, "Policy": DTypePolicy,
             **(custom_objects or {})}
    if name not in known:
        raise DtypeError(f"no dtype policy of class {name!r}; {nearest(str(name), known)}")
    policy: DTypePolicy = known[name].from_config(config.get("config") or {})
    return policy


def _parts_of(name: object) -> tuple[str, str, str]:
    """The name, and the dtypes of computation and weights."""
    if isinstance(name, str) and name in MIXED:
        return name, *MIXED[name]
    try:
        dtype = as_dtype(name)
    except DtypeError:
        known = [*MIXED, *FLOATS]
        raise DtypeError(f"no dtype policy {name!r}; {nearest(str(name), known)}") from None
    return dtype, dtype, dtype


class Config(devices.Config):
    """What holds for the whole program: `sg.config`. Devices and strictness, the dtypes of layers, small numbers.

    >>> import symgraph as sg
    >>> sg.config.floatx(), sg.config.epsilon(), sg.config.dtype_policy()
    ('float32', 1e-07, <DTypePolicy "float32">)
    """

    def __init__(self) -> None:
        self.__dict__ = devices.config.__dict__  # one state, whichever of the two is asked

    dtype_policy = staticmethod(dtype_policy)
    set_dtype_policy = staticmethod(set_dtype_policy)
    floatx = staticmethod(floatx)
    set_floatx = staticmethod(set_floatx)
    epsilon = staticmethod(epsilon)
    set_epsilon = staticmethod(set_epsilon)


config = Config()
