"""Branches and loops, as nodes of a compiled graph: the functions are composites, so that values run them as such."""

import symgraph as sg
from symgraph.core.composite import apply_composite
from symgraph.core.op import find_op
from symgraph.core.tensor import Node
from symgraph.core.types import TensorType
from tests.autodiff.cases import Case, normal, positive


def compiled(name, function):
    """The function as one op with a body."""
    return lambda *xs: apply_composite(name, function, *xs)


def branch(x, y):
    return sg.cond(sg.sum(x) > 0.0, lambda: (x * y, y), lambda: (sg.sin(x), y * y))


def one_sided(x, y):
    return sg.cond(sg.sum(x) > 0.0, lambda: x * x, lambda: y * y)


def nested_branch(x, y):
    return sg.cond(sg.sum(x) > 0.0, lambda: sg.cond(sg.sum(y) > 0.0, lambda: x * y, lambda: x - y), lambda: x)


def powers(x, y):
    return sg.fori_loop(0, 3, lambda i, v: v * y + sg.cast(i, y.dtype), x)


def no_steps(x, y):
    return sg.fori_loop(0, 0, lambda i, v: v * y, x)


def as_many_as(x, y):
    return sg.while_loop(lambda v: sg.sum(v * v) < 50.0, lambda v: v * y + v, (x,))[0]


def limited(x, y):
    return sg.while_loop(lambda v, u: sg.sum(v * v) < 1e9, lambda v, u: (v * y, u + v), (x, y),
                         maximum_iterations=3)


def growing(x, y):
    return sg.fori_loop(0, 2, lambda i, v: sg.concat([v * y[:1], v[:1] * v[:1]], 0), x)


def swapped(x, y):
    return sg.fori_loop(0, 3, lambda i, v: (v[1] * 2.0, v[0]), (x, y))


def nested_loops(x, y):
    return sg.fori_loop(0, 2, lambda i, v: sg.fori_loop(0, 2, lambda j, u: u * y + v, v), x)


def branch_in_a_loop(x, y):
    return sg.fori_loop(0, 3, lambda i, v: sg.cond(i > 0, lambda: v * y, lambda: v + y), x)


def counted(x, y):
    def step(number, total, u):
        return number + 1, total + u * sg.cast(number, u.dtype), u * y

    return sg.while_loop(lambda n, t, u: n < 4, step, (sg.tensor(0), x, y))[1:]


def scanned(rows, carry, w):
    return sg.scan(lambda c, r: (sg.tanh(c * w + r), c * r), carry, rows)


def scanned_back(rows, carry, w):
    return sg.scan(lambda c, r: (sg.tanh(c * w + r), c * r), carry, rows, reverse=True)


def several(rows, carry, w):
    def step(c, r):
        a, b = c
        return (b * r, a + w * b), (a * r, b)

    (a, b), (c, d) = sg.scan(step, (carry, w), rows)
    return a, b, c, d


def last_only(rows, carry, w):
    return sg.scan(lambda c, r: (c * r + w, c), carry, rows)[0]


def linear(rows, carry):
    return sg.scan(lambda c, r: (c + carry, None), carry, rows)[0]


def mapped(rows, w):
    return sg.map(lambda r: sg.exp(r * w), rows)


def scan_in_a_loop(rows, carry, w):
    return sg.fori_loop(0, 2, lambda i, c: sg.scan(lambda s, r: (s * w + r * c, None), c, rows)[0], carry)




def along_axes(state, x, z):
    attributes = {"body": _scan_body(x.dtype), "num_scan_inputs": 2, "scan_input_axes": (1, 0),
                  "scan_input_directions": (1, 0), "scan_output_axes": (-1, 0), "scan_output_directions": (0, 1)}
    types = [TensorType(x.dtype, shape) for shape in ((2,), (2, 3), (3, 2))]
    return Node(find_op("Scan"), (state, x, z), attributes, tuple(types)).outputs


def _scan_body(dtype):
    state, x, z = (sg.symbol([2], dtype, n) for n in ("state", "x", "z"))
    new = sg.sin(state * x) + z
    return sg.Graph([state, x, z], [new, sg.ops.onnx("Identity", new), state * z], name="body")


CASES = [
    Case("cond, true", compiled("Branch", branch), (positive(3), normal(3))),
    Case("cond, false", compiled("Branch", branch), (-positive(3), normal(3))),
    Case("cond, a branch uses one each", compiled("OneSided", one_sided), (positive(2), normal(3)), dynamic=False),
    Case("cond in cond", compiled("NestedBranch", nested_branch), (positive(2), -positive(2))),
    Case("fori_loop", compiled("Powers", powers), (normal(2, 2), positive(2))),
    Case("fori_loop of scalars", compiled("Powers", powers), (normal(), normal(seed=1))),
    Case("fori_loop of empty tensors", compiled("Powers", powers), (normal(0, 2), positive(2))),
    Case("fori_loop without steps", compiled("NoSteps", no_steps), (normal(2), normal(2))),
    Case("while_loop as long as needed", compiled("AsManyAs", as_many_as), (positive(2), positive(2))),
    Case("while_loop that does not begin", compiled("AsManyAs", as_many_as), (positive(2) + 9, positive(2))),
    Case("while_loop with a limit", compiled("Limited", limited), (normal(2), normal(2, seed=1))),
    Case("loop whose value grows", compiled("Growing", growing), (normal(2), normal(2))),
    Case("loop that swaps", compiled("Swapped", swapped), (normal(2), normal(2, seed=1))),
    Case("loop in a loop", compiled("NestedLoops", nested_loops), (normal(2), normal(2, seed=1))),
    Case("cond in a loop", compiled("BranchInALoop", branch_in_a_loop), (normal(2), normal(2, seed=1))),
    Case("loop that counts", compiled("Counted", counted), (normal(2), normal(2, seed=1))),
    Case("scan", compiled("Scanned", scanned), (normal(3, 2), normal(2), normal(2, seed=1))),
    Case("scan of one step", compiled("Scanned", scanned), (normal(1, 2), normal(2), normal(2, seed=1))),
    Case("scan in reverse", compiled("ScannedBack", scanned_back), (normal(3, 2), normal(2), normal(2, seed=1))),
    Case("scan of several states", compiled("Several", several), (normal(3, 2), normal(2), normal(2, seed=1))),
    Case("scan, its last state", compiled("LastOnly", last_only), (normal(3, 2), normal(2), normal(2, seed=1))),
    Case("scan that forgets", compiled("Linear", linear), (normal(3, 2), normal(2))),
    Case("map", compiled("Mapped", mapped), (normal(3, 2), normal(2))),
    Case("scan in a loop", compiled("ScanInALoop", scan_in_a_loop), (normal(3, 2), normal(2), normal(2, seed=1))),
    Case("scan along other axes and directions", compiled("AlongAxes", along_axes),
         (normal(2), normal(2, 3), normal(3, 2)), dynamic=False),
    Case("loops in Python: scan", scanned, (normal(3, 2), normal(2), normal(2, seed=1)), dynamic=False),
    Case("loops in Python: fori_loop", powers, (normal(2, 2), positive(2)), dynamic=False),
    Case("associative_scan", lambda x: sg.ops.associative_scan(lambda a, b: a * b, x), (normal(5, 2),), dynamic=False),
    Case("associative_scan in reverse", lambda x: sg.ops.associative_scan(lambda a, b: a * b, x, reverse=True),
         (normal(4),), dynamic=False),
]
