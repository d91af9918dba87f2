"""The names of keras.ops that symgraph.ops does not have: the list may only shrink."""

from pathlib import Path

import pytest

from symgraph import ops
from symgraph.core.apply import symbol
from symgraph.core.errors import UnsupportedOpError

KERAS_OPS = (Path(__file__).parent / "keras_ops.txt").read_text().split()
"""Public names of keras.ops 3.15."""

ABSENT = {
    "binary_crossentropy": "training: losses",
    "categorical_crossentropy": "training: losses",
    "ctc_decode": "training: losses",
    "ctc_loss": "training: losses",
    "custom_gradient": "autodiff",
    "jvp": "autodiff",
    "nn": "a module: all names are in symgraph.ops",
    "numpy": "a module: all names are in symgraph.ops",
    "sparse_categorical_crossentropy": "training: losses",
    "stop_gradient": "autodiff",
    "vectorize": "calls a Python function for every element, which no graph can do",
}

REFUSED = (
    "cholesky", "cholesky_inverse", "eig", "eigh", "inv", "lstsq", "lu_factor", "nextafter", "pinv", "polar", "qr",
    "solve", "solve_triangular", "svd", "view", "view_as_complex", "view_as_real")


def test_the_names_that_keras_has_and_symgraph_lacks_are_listed():
    missing = {name for name in KERAS_OPS if not hasattr(ops, name)}
    assert missing == set(ABSENT), "take names that exist now out of ABSENT; none may be added"


def test_what_is_handed_on_is_what_is_public():
    assert sorted(set(KERAS_OPS) - set(ABSENT) - set(ops.__all__)) == ["image", "linalg"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_onnx_operator_expresses_says_so_in_one_line(name):
    with pytest.raises(UnsupportedOpError, match=f"^{name}: [^\\n]*; [^\\n]*$"):
        getattr(ops, name)(symbol((3, 3)))
