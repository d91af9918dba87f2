"""Which kernels the installed ONNX Runtime has: for an operator, its version and the dtypes around it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

from symgraph.core.op import Op, canonical_domain
from symgraph.core.types import ELEM_TYPES, MapType, OptionalType, SequenceType, TensorType, ValueType
from symgraph.runtime.ort import CPU, onnxruntime

Kernel = tuple[int, int, Mapping[str, frozenset[str]]]
"""First and last operator version, and the ONNX types each type variable may take."""

_OPEN_END = 2**31 - 1

_ONNX_NAMES = {"float32": "float", "float64": "double", "float8_e4m3fn": "float8e4m3fn",
               "float8_e4m3fnuz": "float8e4m3fnuz", "float8_e5m2": "float8e5m2",
               "float8_e5m2fnuz": "float8e5m2fnuz", "float8_e8m0fnu": "float8e8m0", "float4_e2m1fn": "float4e2m1"}

DTYPES: Mapping[str, str] = {f"tensor({_ONNX_NAMES.get(name, name)})": name for name in ELEM_TYPES}
"""`tensor(float)` -> `float32`."""


@cache
def type_name(value_type: ValueType | None) -> str:
    """`seq(tensor(float))`: a type as operator schemas write it; empty where it is unknown."""
    match value_type:
        case TensorType(dtype, _):
            return tensor_name(dtype)
        case SequenceType(element):
            return f"seq({type_name(element)})" if element is not None else ""
        case OptionalType(element):
            return f"optional({type_name(element)})" if element is not None else ""
        case MapType(key, value):
            inner = type_name(value)
            return inner and f"map({tensor_name(key)[len('tensor('):-1]},{inner})"
    return ""


def tensor_name(dtype: str) -> str:
    """`tensor(float)` for `float32`."""
    return f"tensor({_ONNX_NAMES.get(dtype, dtype)})"


@lru_cache(maxsize=4)
def _kernels(providers: tuple[str, ...]) -> Mapping[tuple[str, str], tuple[Kernel, ...]]:
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    found: dict[tuple[str, str], list[Kernel]] = {}
    for kernel in native.get_all_opkernel_def() if hasattr(native, "get_all_opkernel_def") else ():
        if kernel.provider in providers:
            first, last = kernel.version_range
            constraints = {name: frozenset(types) for name, types in kernel.type_constraints.items()}
            found.setdefault((canonical_domain(kernel.domain), kernel.op_name), []).append((first, last, constraints))
    return {key: tuple(kernels) for key, kernels in found.items()}


@lru_cache(maxsize=65536)
def has_kernel(op: Op, inputs: tuple[str, ...], outputs: tuple[str, ...], providers: tuple[str, ...] = (CPU,)) -> bool:
    """Whether one of the providers, or the CPU, runs `op` on these ONNX types; empty types are not looked at.

    True as well where nothing can be told: no schema, or a build that does not list its kernels.
    """
    onnxruntime()
    table = _kernels(tuple(dict.fromkeys((*providers, CPU))))
    if op.schema is None or not table or op.name == "Constant":
        return True
    given = _types_by_name(op, inputs, outputs)
    return any(_is_version(op.version, first, last) and all(
        types <= constraints[name] for name, types in given.items() if name in constraints)
        for first, last, constraints in table.get((op.domain, op.name), ()))


def _is_version(version: int, first: int, last: int) -> bool:
    return version == first or (last != _OPEN_END and first < version <= last)


def _types_by_name(op: Op, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> dict[str, set[str]]:
    """The types met under each type variable and each formal name: kernels speak of either."""
    assert op.schema is not None
    given: dict[str, set[str]] = {}
    for formal, types in ((op.schema.inputs, inputs), (op.schema.outputs, outputs)):
        for position, found in enumerate(types):
            if found and formal:
                parameter = formal[min(position, len(formal) - 1)]
                given.setdefault(parameter.type_str, set()).add(found)
                given.setdefault(parameter.name, set()).add(found)
    return given


def has_operator(name: str, domain: str, providers: tuple[str, ...] = (CPU,)) -> bool:
    """Whether one of the providers has a kernel of this name, whatever the types; False where none are listed."""
    onnxruntime()
    return (canonical_domain(domain), name) in _kernels(tuple(dict.fromkeys((*providers, CPU))))
