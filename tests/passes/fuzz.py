"""Random graphs with traps in them, and what optimising must keep of each.

`python -m tests.passes.fuzz FIRST COUNT` runs the seeds FIRST … FIRST + COUNT - 1 and prints what is wrong.
A seed gives the same graph in every process. `describe(seed)` says whether optimising it went wrong.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections import Counter

import numpy as np

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.core.errors import SymgraphError
from symgraph.core.scope import tracing
from symgraph.core.types import TensorType
from symgraph.runtime import Session
from symgraph.runtime.exporter import walk_nodes
from symgraph.runtime.opsets import convert

FLOAT, DOUBLE, INT, LONG, BOOL = "float32", "float64", "int32", "int64", "bool"
CODES = {FLOAT: 1, "int8": 3, INT: 6, LONG: 7, BOOL: 9, "float16": 10, DOUBLE: 11}

SPECIAL = (0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e-42, 1e30)
MILD = (1.0, -1.0, 0.5, 2.0, 0.25, 3.0, 0.0)

UNARY = {
    FLOAT: ("Abs", "Neg", "Relu", "Exp", "Tanh", "Sigmoid", "Sqrt", "Erf", "Softplus", "LeakyRelu", "Reciprocal",
            "Identity", "Elu", "HardSigmoid", "Sin", "Log"),
    DOUBLE: ("Abs", "Neg", "Relu", "Exp", "Tanh", "Sqrt", "Sigmoid", "Identity", "Floor"),
    INT: ("Abs", "Neg", "Identity", "Sign"), LONG: ("Abs", "Neg", "Identity", "Sign"), BOOL: ("Not", "Identity")}
STEPS = ("Floor", "Ceil", "Round", "Sign")
EDGED = (*STEPS, "Sqrt", "Log", "Reciprocal", "Div", "Pow")
"""Operators with an edge at 0 or elsewhere, beside which the last bit decides: mild graphs have none of them, but where
a pattern holds them."""
BINARY = {FLOAT: ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"), DOUBLE: ("Add", "Sub", "Mul", "Div", "Max", "Min"),
          INT: ("Add", "Sub", "Mul", "Max", "Min", "Div"), LONG: ("Add", "Sub", "Mul", "Max", "Min", "Mod"),
          BOOL: ("And", "Or", "Xor")}
REDUCTIONS = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2", "ReduceSumSquare")
ROUNDS_BY_PLACE = frozenset({
    "Acos", "Asin", "Atan", "Celu", "Cos", "Elu", "Log", "Mish", "Selu", "Sin", "Softplus", "Max", "Min", "Where",
    "MatMul", "Gemm", "Conv"})
"""ONNX Runtime's kernels for these give another last bit, or sign of zero, for the same number in another place
of the tensor, or for the same weights held as a constant or fed: a rewrite that only moves data moves the bit."""
FAMILIES = (
    (("N", 3, 4), (3, 4), (4,), (1, 4), (), (1,), ("N", 1, 4), (3, 1)), ((2, 3, 4), (3, 4), (4,), (2, 1, 1), ()),
    ((None, 4), (4,), (1, 4), (1, 1), ()), (("N", "M"), ("M",), ("N", 1), (1,)), ((2, 3, 6, 6), (3, 1, 1), (6,), ()),
    (("N", 3, 5, 5), (3, 1, 1), (1, 3, 1, 1), (1,)), (("N", 4, 4, 2), (2,), (1, 1, 2)),
    ((0, 3), (3,), (1, 3), (0, 1)), ((), (1,), (1, 1)), ((5,), (1,)),
    (("N", 4, None), (4, 1), (1, 4, 1)), ((4, 4), (4,), (1, 4), (4, 1)))
"""Shapes that broadcast with each other; a graph takes one row."""


class Misfit(Exception):
    """Raised by a pattern that needs what the values at hand are not."""


class Maker:
    """One random graph in the making; `is_mild` leaves out steps and extremes, so that rounding stays small."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.array = np.random.default_rng(seed)
        self.is_mild = self.random.random() < 0.35
        self.family = self.random.choice(FAMILIES)
        self.values: list[sg.core.tensor.Operand] = []
        self.planted: list[str] = []
        self.rounds_by_place = False
        self.variables = 0

    def number(self, dtype: str) -> object:
        if dtype == BOOL:
            return self.random.random() < 0.5
        if np.dtype(dtype).kind in "iu":
            limits = np.iinfo(dtype)
            extremes = () if self.is_mild else (int(limits.min), int(limits.max))
            return self.random.choice((0, 1, -1, 2, 3, *extremes))
        return self.random.choice(MILD if self.is_mild else (*SPECIAL, *MILD))

    def constant(self, dtype: str = FLOAT, shape: tuple[object, ...] | None = None) -> object:
        """A constant, or now and then a variable, that broadcasts with the family's shapes."""
        if shape is None:
            shape = self.random.choice(self.family)
        sizes = tuple(d if isinstance(d, int) else 1 for d in shape)
        if self.random.random() < 0.5:
            array = np.full(sizes, self.number(dtype), dtype)
        elif dtype in (FLOAT, DOUBLE):
            array = self.array.normal(size=sizes).astype(dtype)
        else:
            array = self.array.integers(0, 3, sizes).astype(dtype)
        return self.variable(array) if self.random.random() < 0.25 else sg.tensor(array)

    def variable(self, array: object) -> sg.Variable:
        """A variable with a name that is the same in every process."""
        self.variables += 1
        return sg.Variable(array, name=f"w{self.variables}")

    def pick(self, *dtypes: str, rank: int | None = None, least: int = 0) -> object:
        """A value there is already, of one of these dtypes, or a constant where there is none."""
        fits = [x for x in self.values if x.type.dtype in (dtypes or UNARY)
                and (rank is None or x.ndim == rank) and x.ndim >= least]
        if not fits:
            return self.constant(self.random.choice(dtypes or (FLOAT,)), (2,) * (rank or least or 1))
        return self.random.choice(fits[-6:] if self.random.random() < 0.6 else fits)

    def partner(self, x: object) -> object:
        """Something that broadcasts with `x`."""
        fits = [y for y in self.values if y.type.dtype == x.type.dtype and _broadcasts(x.shape, y.shape)]
        if fits and self.random.random() < 0.65:
            return self.random.choice(fits)
        shapes = [s for s in (*self.family, (), (1,), x.shape) if _broadcasts(s, x.shape)]
        return self.constant(x.type.dtype, self.random.choice(shapes))

    def axis(self, x: object) -> int:
        return self.random.randrange(-x.ndim, x.ndim) if x.ndim else 0

    def perm(self, x: object) -> list[int]:
        return self.random.sample(range(x.ndim), x.ndim)


def _broadcasts(a: tuple[object, ...], b: tuple[object, ...]) -> bool:
    return all(x == y or x == 1 or y == 1 for x, y in zip(a[::-1], b[::-1], strict=False))


def build(seed: int) -> tuple[sg.Graph, Maker]:
    """The graph of a seed, and how it was made."""
    from tests.passes.networks import NETWORKS
    from tests.passes.operators import STEPS_OF_GRAPHS
    from tests.passes.patterns import PATTERNS

    m = Maker(seed)
    with tracing():
        inputs = []
        for i in range(m.random.randint(1, 3)):
            dtype = m.random.choice((FLOAT, FLOAT, FLOAT, FLOAT, INT, LONG, BOOL, DOUBLE)) if i else FLOAT
            shape = m.family[0] if i == 0 else m.random.choice(m.family)
            inputs.append(symbol(shape, dtype, f"x{i}"))
        m.values.extend(inputs)
        for _ in range(m.random.randint(3, 14)):
            if m.random.random() < 0.5:
                make = m.random.choice(PATTERNS if m.random.random() < 0.65 else NETWORKS)
            else:
                make = m.random.choice(STEPS_OF_GRAPHS)
            try:
                results = make(m)
            except (SymgraphError, Misfit, IndexError):
                continue
            m.planted.append(make.__name__)
            for x in results if isinstance(results, (tuple, list)) else (results,):
                if isinstance(x, sg.SymbolicTensor) and isinstance(x.type, TensorType) and x.type.shape is not None:
                    m.values.append(x)
    made = [x for x in m.values if x.node is not None] or list(inputs)
    read = {id(x) for v in made if v.node is not None for x in v.node.operands}
    ends = [x for x in made if id(x) not in read][-4:] or made[-1:]
    outputs = [*ends, *m.random.sample(made, min(len(made), m.random.randint(0, 2)))]
    if m.random.random() < 0.15:
        outputs.append(m.random.choice(inputs))
    if m.random.random() < 0.1:
        outputs.append(outputs[0])
    names = [f"y{i}" for i in range(len(outputs))]
    graph = sg.Graph(inputs, outputs, output_names=names, name=f"seed{seed}")
    if m.random.random() < 0.15:
        graph = _aged(graph, m.random.choice((9, 11, 12, 13, 15, 17, 18, 20)))
        made = [x for node in graph.nodes for x in node.outputs if x is not None] or made
    if m.random.random() < 0.2:
        graph = graph.pin({f"kept{i}": x for i, x in enumerate(m.random.sample(made, min(2, len(made))))})
    return graph, m


def _aged(graph: sg.Graph, opset: int) -> sg.Graph:
    """The graph in the operators of an older opset, as files hold them; as it is where they cannot say it."""
    try:
        return convert(graph, opset)
    except SymgraphError:
        return graph


def feeds(graph: sg.Graph, m: Maker) -> list[dict[str, np.ndarray]]:
    """Inputs with several sizes of the open dimensions, and with extremes."""
    rng, found = np.random.default_rng(len(graph.nodes)), []
    for sizes in ({"N": 2, "M": 3, None: 2}, {"N": 1, "M": 1, None: 1}, {"N": 3, "M": 0, None: 0},
                  {"N": 4, "M": 7, None: 5}):
        special = sizes["N"] == 4 and not m.is_mild
        found.append({name: _values(rng, x.type.dtype, tuple(sizes.get(d, d) for d in x.shape), special)
                      for name, x in zip(graph.input_names, graph.inputs, strict=True)})
    return found


def _values(rng: np.random.Generator, dtype: str, shape: tuple[int, ...], special: bool) -> np.ndarray:
    if dtype == BOOL:
        return rng.random(shape) < 0.5
    if dtype in (INT, LONG):
        limits = np.iinfo(dtype)
        numbers = [0, 1, -1, 7, limits.min, limits.max] if special else [0, 1, 2, -3, 5]
        return rng.choice(np.array(numbers, dtype), shape)
    return (rng.choice(np.array(SPECIAL), shape) if special else rng.normal(size=shape) * 2).astype(dtype)


EXACT = tuple(p for p in passes.INFERENCE if getattr(p, "is_exact", True))


def describe(seed: int, counts: Counter[str] | None = None) -> str:
    """What optimising the graph of a seed did wrong; empty where nothing. `counts` counts what was compared."""
    graph, m = build(seed)
    counts = Counter() if counts is None else counts
    counts["graphs"] += 1
    pipelines = [(EXACT, True), (passes.ONNXRUNTIME, False)]
    optimized = []
    for pipeline, is_exact in pipelines:
        try:
            after, report = passes.optimize(graph, pipeline, report=True)
        except (SymgraphError, TypeError, ValueError, LookupError, AttributeError, AssertionError) as error:
            return f"{type(error).__name__}: {error}"
        if passes.optimize(after, pipeline) is not after:
            return f"not idempotent ({'exact' if is_exact else 'all'} passes)"
        wrong = _contract(graph, after)
        if wrong:
            return wrong
        optimized.append(after)
        counts.update(f"applied {row.name}" for row in report if row.removed or row.added)
    exact, relaxed = optimized
    counts["optimised"] += len(exact.nodes) < len(graph.nodes)
    wrong = compare(graph, exact, m, True, counts)
    fused = passes.fuse_elementwise(exact)
    if not wrong and fused is not exact:
        counts["applied fuse_elementwise"] += 1
        wrong = compare(graph, fused, m, True, Counter()) or compare(
            graph, passes.inline_composites(fused), m, True, Counter())
    if not wrong and m.is_mild and str(relaxed) != str(exact):
        counts["relaxed"] += 1
        wrong = compare(graph, relaxed, m, False, counts)
    return wrong


def _contract(before: sg.Graph, after: sg.Graph) -> str:
    if (before.input_names, before.output_names) != (after.input_names, after.output_names):
        return f"names changed: {before.output_names} -> {after.output_names}"
    if before.inputs != after.inputs or list(before.pinned) != list(after.pinned):
        return "inputs or pinned values changed"
    for name, a, b in zip(before.output_names, before.outputs, after.outputs, strict=True):
        if isinstance(a.type, TensorType) and a.type.dtype != b.type.dtype:
            return f"type of {name} changed: {a.type} -> {b.type}"
        if a.type.shape is not None and b.type.shape is None:
            return f"the rank of {name} got lost: {a.type} -> {b.type}"
        for x, y in zip(a.shape, b.shape, strict=True):
            if isinstance(y, int) and isinstance(x, int) and x != y:
                return f"shape of {name} changed: {a.type} -> {b.type}"
    return ""


def compare(before: sg.Graph, after: sg.Graph, m: Maker, is_exact: bool, counts: Counter[str]) -> str:
    """Where two graphs give other results, on any inputs on which the first one runs."""
    if before is after:
        return ""
    try:
        first = Session(_with_pinned(before), optimize=False, threads=1)
    except SymgraphError as error:
        counts["refused"] += 1
        counts[f"refused: {str(error)[:60]}"] += 1
        return ""
    second, has_run = None, False
    operators = {node.op.name for node in walk_nodes(before)}
    counts_backwards = any(map(_counts_backwards, walk_nodes(before)))
    m.rounds_by_place = not operators.isdisjoint(ROUNDS_BY_PLACE)
    for values in feeds(before, m):
        if counts_backwards and any(0 in x.shape for x in values.values()):
            counts["runs of reductions of nothing along a negative axis"] += 1  # ONNX Runtime loses an axis there
            continue
        try:
            wanted = first.run(values)
        except SymgraphError:
            counts["failed runs"] += 1
            continue
        sizes = sizes_of(before, values)
        if not all(_has_type(x.type, y, sizes) for x, y in zip(first.graph.outputs, wanted, strict=True)):
            counts["runs with a shape no type says"] += 1  # as ONNX Runtime gives for reductions of nothing
            continue
        has_run = True
        try:
            second = second or Session(_with_pinned(after), optimize=False, threads=1)
            found = second.run(values)
        except SymgraphError as error:
            return f"only the optimised graph fails: {error}"
        for name, a, b in zip(first.output_names, wanted, found, strict=True):
            if a.dtype != b.dtype or a.shape != b.shape:
                return f"{name}: {a.dtype}{a.shape} became {b.dtype}{b.shape}"
            if is_exact and m.rounds_by_place and not _is_same(a, b, True) and _is_same(a, b, False):
                counts["last bits moved"] += 1
            elif not is_exact and not _is_same(a, b, False) and _is_steep(first, values, name, a, b):
                counts["last bits blown up"] += 1
            elif not _is_same(a, b, is_exact):
                sizes = {n: v.shape for n, v in values.items()}
                return f"{name} with {sizes}: {a.ravel()[:8]} became {b.ravel()[:8]} (exact: {is_exact})"
    counts["compared" if has_run else "never ran"] += 1
    return ""


def _is_steep(session: Session, values: dict[str, np.ndarray], name: str, a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the graph itself moves as far where its inputs move in their last bits: then nothing is to be seen."""
    rng = np.random.default_rng(0)
    most = np.zeros(a.shape)
    with np.errstate(invalid="ignore"):
        for _ in range(3):
            moved = {n: (x * (1 + 3e-7 * rng.choice([-1, 1], x.shape))).astype(x.dtype) if x.dtype.kind == "f" else x
                     for n, x in values.items()}
            again = dict(zip(session.output_names, session.run(moved), strict=True))[name]
            most = np.fmax(most, np.abs(again.astype(np.float64) - a))
        return _is_same(a, np.where(np.abs(b.astype(np.float64) - a) <= 10 * most, a, b), False)


def _counts_backwards(node: sg.core.tensor.Node) -> bool:
    """Whether a node reduces along axes counted from the back."""
    axes = node.attributes.get("axes", ())
    if len(node.inputs) > 1 and isinstance(node.inputs[1], sg.Tensor):
        axes = node.inputs[1].numpy().ravel()
    return node.op.name.startswith("Reduce") and any(int(axis) < 0 for axis in axes)


def sizes_of(graph: sg.Graph, values: dict[str, np.ndarray]) -> dict[str, int]:
    """How long the named dimensions are."""
    return {d: n for x, array in zip(graph.inputs, values.values(), strict=True)
            for d, n in zip(x.shape, array.shape, strict=True) if isinstance(d, str)}


def _has_type(kind: TensorType, array: np.ndarray, sizes: dict[str, int]) -> bool:
    return len(kind.shape) == array.ndim and all(
        sizes.get(d, d) in (n, None) or isinstance(sizes.get(d, d), str)
        for d, n in zip(kind.shape, array.shape, strict=True))


def _with_pinned(graph: sg.Graph) -> sg.Graph:
    return graph.with_outputs([*graph.outputs, *graph.pinned.values()], [*graph.output_names, *graph.pinned])


def _is_same(a: np.ndarray, b: np.ndarray, is_exact: bool) -> bool:
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    if is_exact:
        return bool(((a == b) & (np.signbit(a) == np.signbit(b)) | np.isnan(a) & np.isnan(b)).all())
    finite = np.abs(a[np.isfinite(a)])
    return bool(np.isclose(b, a, 1e-3, 1e-4 * max(1.0, float(finite.max(initial=0))), equal_nan=True).all())


def guilty(seed: int) -> str:
    """The first pass that by itself, or after those before it, changes what the graph of a seed gives."""
    graph, m = build(seed)
    for _ in range(5):
        start = graph
        for each in passes.ONNXRUNTIME:
            after = each(graph)
            is_exact = getattr(each, "is_exact", True)
            wrong = compare(graph, after, m, is_exact, Counter()) if is_exact or m.is_mild else ""
            if wrong:
                return f"{each.__name__}: {wrong}\n{graph}\n->\n{after}"
            graph = after
        if graph is start:
            break
    return "no single pass"


def main() -> None:
    """Run seeds from the command line; ends with 1 where any was wrong."""
    first, count = int(sys.argv[1]), int(sys.argv[2])
    counts: Counter[str] = Counter()
    bad = 0
    for seed in range(first, first + count):
        wrong = describe(seed, counts)
        if wrong:
            bad += 1
            print(f"seed {seed}: {wrong[:600]}", flush=True)
    applied = {name.removeprefix("applied "): counts.pop(name) for name in sorted(counts)
               if name.startswith("applied ")}
    print(f"{count} graphs from seed {first}: {bad} wrong; {dict(sorted(counts.items()))}")
    print("applied:", ", ".join(f"{name} {n}" for name, n in applied.items()))
    sys.exit(bool(bad))


if __name__ == "__main__":
    importlib.import_module("tests.passes.fuzz").main()
