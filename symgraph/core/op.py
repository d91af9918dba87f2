"""Operators: an op is an ONNX operator schema, looked up at the opset where it stands."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import defs
from onnx.defs import OpSchema

from symgraph.core.errors import OpError, UnsupportedOpError, nearest

if TYPE_CHECKING:
    from symgraph.core.types import ValueType

DEFAULT_OPSETS: Mapping[str, int] = MappingProxyType({"": 21, "ai.onnx.ml": 5})
"""What symgraph builds and exports with, unless asked: ONNX Runtime 1.20 takes it."""

DEFAULT_IR_VERSION = 10


def canonical_domain(domain: str) -> str:
    """`ai.onnx` is the long name of the standard domain, which is written as nothing."""
    return "" if domain == "ai.onnx" else domain


def default_opset(domain: str) -> int:
    """The opset a domain is built with when nobody says otherwise."""
    return DEFAULT_OPSETS.get(domain) or max(defs.onnx_opset_version() if not domain else 1, 1)


@lru_cache(maxsize=1)
def _history() -> Mapping[tuple[str, str], tuple[int, ...]]:
    versions: dict[tuple[str, str], set[int]] = defaultdict(set)
    for schema in defs.get_all_schemas_with_history():
        versions[schema.domain, schema.name].add(schema.since_version)
    return {key: tuple(sorted(found)) for key, found in versions.items()}


@dataclass(frozen=True)
class Library:
    """Operators that ONNX does not define: their domains, schemas by domain and name, and the types they give."""

    domains: tuple[str, ...]
    schemas: Callable[[], Mapping[tuple[str, str], OpSchema]]
    infer: Callable[[Op, tuple[ValueType | None, ...], Mapping[str, Any], int], tuple[ValueType | None, ...]]


_LIBRARIES: list[Library] = []


def register_library(library: Library) -> None:
    """Let operators of a library be looked up; the runtime does, for those of ONNX Runtime."""
    _LIBRARIES.append(library)


@cache
def _library_of(name: str, domain: str) -> Library | None:
    """The library that defines an operator; only those with its domain are asked."""
    return next((x for x in _LIBRARIES if domain in x.domains and (domain, name) in x.schemas()), None)


@dataclass(frozen=True, eq=False)
class Op:
    """One version of one operator. Ops are interned: the same op is the same object.

    `schema` is None for an operator that neither ONNX nor a library defines: a function with a body, a custom op.
    """

    name: str
    domain: str = ""
    version: int = 1
    _schema: OpSchema | None = field(default=None, repr=False)

    @cached_property
    def schema(self) -> OpSchema | None:
        """How ONNX describes the operator, or the library it is from."""
        if self._schema is not None or self.library is None:
            return self._schema
        return self.library.schemas()[self.domain, self.name]

    @cached_property
    def library(self) -> Library | None:
        """The library it is from; None for an operator that ONNX defines, and for one that nobody does."""
        return None if self._schema is not None else _library_of(self.name, self.domain)

    def __str__(self) -> str:
        return f"{self.domain}::{self.name}" if self.domain else self.name

    @cached_property
    def last_version(self) -> int:
        """The newest opset of the domain at which this very version still stands."""
        later = [v for v in _history().get((self.domain, self.name), ()) if v > self.version]
        return later[0] - 1 if later else 10**9

    @cached_property
    def is_deterministic(self) -> bool:
        """Whether equal inputs give equal outputs, so that nodes may be shared and folded."""
        if self.schema is None:
            return False
        if self.name in ("DepthToSpace", "SpaceToDepth"):  # the two that report Unknown
            return True
        determinism = getattr(self.schema, "node_determinism")  # noqa: B009 - onnx's stubs do not know it
        return bool(determinism == OpSchema.NodeDeterminism.Deterministic)

    @cached_property
    def input_constraints(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """Per declared input: its type variable and the ONNX types it may take."""
        if self.schema is None:
            return ()
        allowed = {c.type_param_str: frozenset(c.allowed_type_strs) for c in self.schema.type_constraints}
        return tuple((p.type_str, allowed.get(p.type_str, frozenset([p.type_str]))) for p in self.schema.inputs)

    @cached_property
    def attribute_kinds(self) -> Mapping[str, OpSchema.AttrType]:
        """The attributes the schema knows, and what kind of value each takes."""
        return {} if self.schema is None else {name: a.type for name, a in self.schema.attributes.items()}

    @cached_property
    def required_attributes(self) -> tuple[str, ...]:
        """The attributes that must be given."""
        return () if self.schema is None else tuple(n for n, a in self.schema.attributes.items() if a.required)

    @cached_property
    def may_hold_graphs(self) -> bool:
        """Whether nodes may have graphs among their attributes; so may those of operators nobody knows."""
        kinds = {OpSchema.AttrType.GRAPH, OpSchema.AttrType.GRAPHS}
        return self.schema is None or not kinds.isdisjoint(self.attribute_kinds.values())

    def constraint(self, index: int) -> tuple[str, frozenset[str]]:
        """The constraint of input `index`; a variadic last input repeats."""
        known = self.input_constraints
        if not known:
            return "", frozenset()
        return known[min(index, len(known) - 1)]

    def absent_outputs(self, wanted: tuple[bool, ...]) -> frozenset[int]:
        """Which outputs are left out: those not wanted, where the schema lets them be."""
        formal = () if self.schema is None else self.schema.outputs
        needed = OpSchema.FormalParameterOption.Single
        return frozenset(i for i, w in enumerate(wanted) if not w and not (
            i < len(formal) and formal[i].option == needed))

    def input_name(self, index: int) -> str:
        """The formal name of input `index`, for messages."""
        names = self._input_names
        return names[min(index, len(names) - 1)] if names else f"input {index}"

    @cached_property
    def _input_names(self) -> tuple[str, ...]:
        return () if self.schema is None else tuple(str(x.name) for x in self.schema.inputs)


_OPS: dict[tuple[str, str, int], Op] = {}


def intern_op(name: str, domain: str, version: int, schema: OpSchema | None) -> Op:
    """The one `Op` object of this name, domain and version."""
    key = (domain, name, version)
    found = _OPS.get(key)
    return found if found is not None else _OPS.setdefault(key, Op(name, domain, version, schema))


@cache
def find_op(name: str, domain: str = "", opset: int | None = None) -> Op:
    """Look an operator up by its ONNX name.

    Without `opset` it is the version in force at the default opset, or the first one after it.

    Errors: `UnsupportedOpError` naming operator, domain, opset and the nearest names.
    """
    domain = canonical_domain(domain)
    versions = _history().get((domain, name))
    if versions is None and _library_of(name, domain) is not None:
        return intern_op(name, domain, 1, None)
    if versions is None:
        names = [n for d, n in _history() if d == domain]
        where = f"domain {domain!r}" if domain else "the standard ONNX domain"
        hint = nearest(name, names, limit=4) if names else f"symgraph has no operators of domain {domain!r}"
        raise UnsupportedOpError(f"no operator {name} in {where}; {hint}")
    position = bisect_right(versions, default_opset(domain) if opset is None else opset)
    if position == 0 and opset is not None:
        raise UnsupportedOpError(
            f"operator {name} came with opset {versions[0]}{f' of {domain}' if domain else ''}, not in {opset}")
    version = versions[max(position - 1, 0)]
    return intern_op(name, domain, version, defs.get_schema(name, version, domain))


def is_known(name: str, domain: str) -> bool:
    """Whether ONNX, or a library, defines an operator of this name in this domain."""
    domain = canonical_domain(domain)
    return (domain, name) in _history() or _library_of(name, domain) is not None


_NO_ATTRIBUTES: Mapping[str, object] = MappingProxyType({})

_KINDS: dict[OpSchema.AttrType, type | tuple[type, ...]] = {
    OpSchema.AttrType.INT: int,
    OpSchema.AttrType.FLOAT: float,
    OpSchema.AttrType.STRING: (str, bytes),
    OpSchema.AttrType.TENSOR: np.ndarray,
}
_LISTS: dict[OpSchema.AttrType, type | tuple[type, ...]] = {
    OpSchema.AttrType.INTS: int,
    OpSchema.AttrType.FLOATS: float,
    OpSchema.AttrType.STRINGS: (str, bytes),
    OpSchema.AttrType.TENSORS: np.ndarray,
}


@dataclass(frozen=True)
class Captured:
    """Stands for whatever an attribute is, where a rewrite rule looks for an operator."""

    name: str


def check_attributes(op: Op, given: Mapping[str, object]) -> Mapping[str, object]:
    """Attributes as the schema wants them; None means not given.

    Errors: `OpError` for a name, a kind or a missing value the schema does not allow.
    """
    if not given and not op.required_attributes:
        return _NO_ATTRIBUTES
    attributes = {name: value for name, value in given.items() if value is not None}
    if op.schema is None:
        return MappingProxyType(attributes)
    known = op.attribute_kinds
    for name, value in attributes.items():
        if name not in known:
            raise OpError(f"{op}: no attribute {name!r}; {nearest(name, known)}")
        attributes[name] = _check_attribute(op, name, value, known[name])
    for name in op.required_attributes:
        if name not in attributes:
            raise OpError(f"{op}: attribute {name!r} is required")
    return MappingProxyType(attributes)


def _check_attribute(op: Op, name: str, value: object, kind: OpSchema.AttrType) -> object:
    if isinstance(value, Captured):
        return value
    if kind in _KINDS:
        return _as_kind(op, name, value, _KINDS[kind], kind)
    if kind in _LISTS:
        if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
            raise OpError(f"{op}: attribute {name!r} wants a list ({_shown(kind)}), got {value!r}")
        return tuple(_as_kind(op, name, item, _LISTS[kind], kind) for item in value)
    return value


def _as_kind(op: Op, name: str, value: object, kind: type | tuple[type, ...], shown: OpSchema.AttrType) -> object:
    if kind is int and isinstance(value, bool | np.bool_ | np.integer):
        value = int(value)
    if kind is float and isinstance(value, int | np.integer | np.floating) and not isinstance(value, bool):
        value = float(value)
    if kind is np.ndarray and not isinstance(value, np.ndarray | onnx.TensorProto):
        value = np.asarray(value)
    if not isinstance(value, kind) and not isinstance(value, onnx.TensorProto):
        raise OpError(f"{op}: attribute {name!r} wants {_shown(shown)}, got {value!r}")
    return value


def _shown(kind: OpSchema.AttrType) -> str:
    return str(kind).rsplit(".", 1)[-1].lower()
