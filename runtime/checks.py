"""What is asked of a model before anything is built of it: versions, operators, the size behind its functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache

import onnx
from onnx import FunctionProto, ModelProto, NodeProto, TensorProto, helper

from symgraph.core.errors import FormatError, GraphError, LimitError, UnsupportedOpError
from symgraph.core.op import DEFAULT_IR_VERSION, DEFAULT_OPSETS, Op, canonical_domain, find_op, is_known
from symgraph.runtime.files import Limits
from symgraph.runtime.ort import CPU, onnxruntime, session_options
from symgraph.runtime.parsed import attribute_graphs, describe_node

IMPLIED = {"com.microsoft": 1}
"""Domains that files use without declaring an opset: ONNX Runtime's own has but one."""

FunctionKey = tuple[str, str, str]
"""Domain, name and overload."""


def function_key(proto: FunctionProto | NodeProto) -> FunctionKey:
    """Which local function a definition is, or a node calls."""
    name = proto.name if isinstance(proto, FunctionProto) else proto.op_type
    return canonical_domain(proto.domain), name, proto.overload


def read_opsets(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    """Domain -> opset."""
    return {canonical_domain(entry.domain): entry.version for entry in imports}


@lru_cache(maxsize=1)
def newest_opset() -> int:
    """The newest opset that both the installed onnx and the installed ONNX Runtime take."""
    candidates = range(onnx.defs.onnx_opset_version(), DEFAULT_OPSETS[""], -1)
    return next((opset for opset in candidates if _runs(opset, DEFAULT_IR_VERSION)), DEFAULT_OPSETS[""])


@lru_cache(maxsize=1)
def newest_ir_version() -> int:
    """The newest IR version that both the installed onnx and the installed ONNX Runtime take."""
    candidates = range(onnx.IR_VERSION, DEFAULT_IR_VERSION, -1)
    return next((ir for ir in candidates if _runs(DEFAULT_OPSETS[""], ir)), DEFAULT_IR_VERSION)


def _runs(opset: int, ir_version: int) -> bool:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    try:
        onnxruntime().InferenceSession(model.SerializeToString(), session_options(threads=1), providers=[CPU])
    except Exception as error:
        if "opset" in str(error) or "IR version" in str(error):
            return False
        raise FormatError(f"ONNX Runtime cannot be asked what it takes: {error}") from error
    return True


def check_versions(model: ModelProto, who: str) -> dict[str, int]:
    """The opsets of a model.

    Errors: `FormatError` with both numbers, where the file is newer than what is installed.
    """
    if not model.opset_import:
        raise FormatError(f"{who}: declares no opset (opset_import is empty)")
    opsets = read_opsets(model.opset_import)
    if model.ir_version > DEFAULT_IR_VERSION and model.ir_version > newest_ir_version():
        raise FormatError(
            f"{who}: has IR version {model.ir_version}, the installed onnx {onnx.__version__} and ONNX Runtime "
            f"{onnxruntime().__version__} take up to {newest_ir_version()}; upgrade them or save it with an older one")
    opset = opsets.get("", DEFAULT_OPSETS[""])
    if opset > DEFAULT_OPSETS[""] and opset > newest_opset():
        raise FormatError(
            f"{who}: uses opset {opset}, the installed onnx {onnx.__version__} and ONNX Runtime "
            f"{onnxruntime().__version__} take up to {newest_opset()}; upgrade them, or convert it with "
            "onnx.version_converter")
    if opset < 1:
        raise FormatError(f"{who}: uses opset {opset}, the first one is 1")
    return opsets


def walk_protos(nodes: Iterable[NodeProto], limits: Limits, who: str) -> Iterator[NodeProto]:
    """All nodes, those of subgraphs included.

    Errors: `LimitError` where subgraphs are nested too deep.
    """
    waiting: list[tuple[Iterable[NodeProto], int]] = [(nodes, 0)]
    while waiting:
        nodes, depth = waiting.pop()
        if depth > limits.subgraph_depth:
            raise LimitError(f"{who}: subgraphs are nested more than {limits.subgraph_depth} deep "
                             "(Limits.subgraph_depth)")
        for node in nodes:
            yield node
            for attribute in node.attribute:
                if attribute.HasField("g") or attribute.graphs:
                    waiting.extend((graph.node, depth + 1) for graph in attribute_graphs(attribute))


def check_operators(model: ModelProto, opsets: Mapping[str, int], domains: Sequence[str], limits: Limits, who: str,
                    ) -> dict[str, int]:
    """See that every operator is known, in the opset where it stands.

    Returns the opsets, with those that need no declaration where they are used.

    Errors: one `UnsupportedOpError` that lists all that are not: operator, domain, opset and a node.
    """
    allowed = {canonical_domain(domain) for domain in domains}
    functions = {function_key(f) for f in model.functions}
    places: list[tuple[Iterable[NodeProto], Mapping[str, int]]] = [(model.graph.node, opsets)]
    places += [(f.node, {**opsets, **read_opsets(f.opset_import)}) for f in model.functions]
    wrong: dict[tuple[str, str, int], str] = {}
    fine: set[tuple[str, str, int]] = set()
    for nodes, versions in places:
        for node in walk_protos(nodes, limits, who):
            domain = canonical_domain(node.domain)
            key = (domain, node.op_type, versions.get(domain, IMPLIED.get(domain, 0)))
            if key in fine or key in wrong or function_key(node) in functions:
                continue
            reason = _objection(key, allowed)
            if reason is None:
                fine.add(key)
            else:
                shown = f"{domain}::{node.op_type}" if domain else node.op_type
                wrong[key] = f"{shown} (opset {key[2] or 'not declared'}, {describe_node(node)}): {reason}"
    if wrong:
        count = f"{len(wrong)} operators" if len(wrong) > 1 else "an operator"
        raise UnsupportedOpError(f"{who}: {count} that cannot be loaded: {'; '.join(wrong.values())}")
    return {**{domain: opset for domain, _, opset in fine if domain in IMPLIED}, **opsets}


def _objection(key: tuple[str, str, int], allowed: set[str]) -> str | None:
    domain, name, opset = key
    if domain not in allowed:
        known = " and ".join(repr(d) if d else "the standard domain" for d in sorted(allowed))
        return f"only operators of {known} are loaded"
    if opset == 0:
        return f"the file declares no opset of domain {domain!r}"
    if not is_known(name, domain):
        return "there is no such operator"
    try:
        op = find_op(name, domain, opset)
    except UnsupportedOpError as error:
        return str(error)
    if op.library is not None and op.may_hold_graphs:
        return "it holds graphs that it calls in a way of its own"
    return "it was withdrawn in this opset" if is_deprecated(op) else None


@cache
def is_deprecated(op: Op) -> bool:
    """Whether the schema only says that the operator is gone."""
    return op.schema is not None and bool(op.schema.deprecated)


def check_functions(model: ModelProto, limits: Limits, who: str) -> None:
    """See that local functions end, and how many nodes they stand for, without expanding them.

    Errors: `GraphError` with the cycle of a recursive function, `LimitError` for depth and predicted size.
    """
    if not model.functions:
        return
    if len(model.functions) > limits.functions:
        raise LimitError(f"{who}: {len(model.functions)} local functions, the limit is {limits.functions} "
                         "(Limits.functions)")
    functions: dict[FunctionKey, FunctionProto] = {}
    for f in model.functions:
        if function_key(f) in functions:
            raise GraphError(f"{who}: the local function {f.name!r} of domain {f.domain!r} is defined twice")
        functions[function_key(f)] = f
    calls = {key: [function_key(n) for n in walk_protos(f.node, limits, who) if function_key(n) in functions]
             for key, f in functions.items()}
    sizes: dict[FunctionKey, int] = {}
    depths: dict[FunctionKey, int] = {}

    def finish(key: FunctionKey) -> None:
        sizes[key] = len(functions[key].node) + sum(sizes[inner] for inner in calls[key])
        depths[key] = 1 + max((depths[inner] for inner in calls[key]), default=0)

    _visit_callees_first(calls, finish, who)
    deepest = max(depths, key=lambda key: depths[key])
    if depths[deepest] > limits.function_depth:
        raise LimitError(f"{who}: the calls below function {deepest[1]!r} are {depths[deepest]} deep, "
                         f"the limit is {limits.function_depth} (Limits.function_depth)")
    total = sum(sizes.get(function_key(node), 0) for node in walk_protos(model.graph.node, limits, who))
    if total > limits.inlined_nodes:
        shown = str(total) if total < 10**18 else f"about 2**{total.bit_length() - 1}"
        raise LimitError(f"{who}: its function calls stand for {shown} nodes, the limit is {limits.inlined_nodes} "
                         "(Limits.inlined_nodes)")


def _visit_callees_first(calls: Mapping[FunctionKey, list[FunctionKey]], finish: Callable[[FunctionKey], None],
                         who: str) -> None:
    done: set[FunctionKey] = set()
    for start in calls:
        path = {start: iter(calls[start])} if start not in done else {}
        while path:
            current = next(reversed(path))
            inner = next((key for key in path[current] if key not in done), None)
            if inner is None:
                del path[current]
                done.add(current)
                finish(current)
            elif inner in path:
                names = [key[1] for key in path]
                circle = " -> ".join([*names[list(path).index(inner):], inner[1]])
                raise GraphError(f"{who}: the local functions call themselves: {circle}")
            else:
                path[inner] = iter(calls[inner])
