"""Elementwise functions; the family whose third derivatives are checked too."""

import symgraph as sg
from tests.autodiff.cases import Case, apart, normal, positive

CASES = [
    Case("add", lambda x, y: x + y, (normal(2, 3), normal(3, seed=1))),
    Case("subtract from a scalar", lambda x, y: x - y, (normal(), normal(2, 3))),
    Case("multiply", lambda x, y: x * y, (normal(2, 1, 3), normal(4, 1, seed=1)), order=3),
    Case("multiply nothing", lambda x, y: x * y, (normal(0, 3), normal(3))),
    Case("divide", lambda x, y: x / y, (normal(2, 3), positive(2, 1)), order=3),
    Case("negative", lambda x: -x, (normal(3),)),
    Case("power", lambda x, y: x**y, (positive(2, 3), normal(3)), order=3),
    Case("power of negative numbers", lambda x: x**3.0, (apart(4),), order=3),
    Case("exp", sg.exp, (normal(2, 3),), order=3),
    Case("tanh", sg.tanh, (normal(2, 3),), order=3),
]
