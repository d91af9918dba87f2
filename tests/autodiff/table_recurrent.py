"""RNN, GRU and LSTM as a Scan; ONNX Runtime's own kernels are float32 alone, and compared with these elsewhere."""

import numpy as np

from symgraph.core.composite import apply_composite
from symgraph.ops.onnx_op import onnx
from symgraph.ops.recurrent import gru, lstm, rnn
from tests.autodiff.cases import Case, normal

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
FUNCTIONS = {"RNN": rnn, "GRU": gru, "LSTM": lstm}
STEPS, BATCH, SIZE, HIDDEN = 3, 2, 2, 2


def point(kind, directions=1, *, peepholes=False):
    """X, W, R, B, initial_h, and initial_c and P of an LSTM."""
    rows = GATES[kind] * HIDDEN
    shapes = [(STEPS, BATCH, SIZE), (directions, rows, SIZE), (directions, rows, HIDDEN), (directions, 2 * rows)]
    shapes += [(directions, BATCH, HIDDEN)] * (2 if kind == "LSTM" else 1)
    shapes += [(directions, 3 * HIDDEN)] * peepholes
    return tuple(normal(*shape, seed=i) for i, shape in enumerate(shapes))


def said(kind, lengths=None, **options):
    """The operator said in other ops, of X, W, R, B, initial_h, initial_c and P, as one op."""
    def function(x, w, r, b, *states):
        return FUNCTIONS[kind](x, w, r, b, lengths, *states, **options)

    return lambda *xs: apply_composite(f"{kind}InOps", function, *xs)


LENGTHS = np.int32([3, 1])

def operator(kind):
    """ONNX's operator itself, with all outputs."""
    def function(x, w, r, b, *states):
        return onnx(kind, x, w, r, b, None, *states, hidden_size=HIDDEN, outputs=3 if kind == "LSTM" else 2)

    return function


CASES = [
    *(Case(f"{kind}, the operator", operator(kind), point(kind), order=1, dtype="float32") for kind in GATES),
    Case("RNN", said("RNN"), point("RNN")),
    Case("GRU", said("GRU"), point("GRU")),
    Case("GRU, linear before reset", said("GRU", linear_before_reset=1), point("GRU")),
    Case("LSTM", said("LSTM"), point("LSTM")),
    Case("LSTM with peepholes", said("LSTM"), point("LSTM", peepholes=True)),
    Case("LSTM whose gates share", said("LSTM", input_forget=1), point("LSTM")),
    Case("LSTM with other activations", said("LSTM", activations=["HardSigmoid", "Softsign", "Elu"],
                                             activation_alpha=[0.3, 0.7]), point("LSTM"), order=1),
    Case("RNN in both directions", said("RNN", direction="bidirectional"), point("RNN", 2)),
    Case("LSTM in reverse, of different lengths", said("LSTM", LENGTHS, direction="reverse"), point("LSTM"), order=1),
    Case("GRU of different lengths", said("GRU", LENGTHS), point("GRU"), order=1),
]
