"""Functions on symbols, values, arrays and numbers, by family; the names are Keras's and NumPy's."""

from importlib import import_module

# rules register themselves; those of other families are imported by the family
import symgraph.ops.activation_gradient
import symgraph.ops.arrangement_gradient
import symgraph.ops.cumulative_gradient
import symgraph.ops.dropout_gradient
import symgraph.ops.indexing_gradient
import symgraph.ops.normalization_gradient
import symgraph.ops.product_gradient
import symgraph.ops.quantization_gradient
import symgraph.ops.reduction_gradient
import symgraph.ops.rotary_gradient
import symgraph.ops.sequence_gradient
import symgraph.ops.softmax_gradient
import symgraph.ops.without_gradients
from symgraph.ops.activations import *
from symgraph.ops.arithmetic import *
from symgraph.ops.associative import *
from symgraph.ops.attention import *
from symgraph.ops.bitwise import *
from symgraph.ops.casting import *
from symgraph.ops.comparison import *
from symgraph.ops.control import *
from symgraph.ops.convolution import *
from symgraph.ops.creation import *
from symgraph.ops.creation import arange as range
from symgraph.ops.cumulative import *
from symgraph.ops.decompositions import *
from symgraph.ops.diagonals import *
from symgraph.ops.division import *
from symgraph.ops.divisors import *
from symgraph.ops.einsum import *
from symgraph.ops.fourier import *
from symgraph.ops.getitem import *
from symgraph.ops.image import *
from symgraph.ops.indexing import *
from symgraph.ops.joining import *
from symgraph.ops.linalg import *
from symgraph.ops.loops import *
from symgraph.ops.masks import *
from symgraph.ops.mathematics import *
from symgraph.ops.normalization import *
from symgraph.ops.numpy_interface import *
from symgraph.ops.onnx_op import *
from symgraph.ops.patches import *
from symgraph.ops.pooling import *
from symgraph.ops.powers import *
from symgraph.ops.rearrange import *
from symgraph.ops.rearranging import *
from symgraph.ops.reductions import *
from symgraph.ops.rounding import *
from symgraph.ops.segments import *
from symgraph.ops.sequences import *
from symgraph.ops.shape import *
from symgraph.ops.similarity import *
from symgraph.ops.sorting import *
from symgraph.ops.statistics import *
from symgraph.ops.trigonometry import *
from symgraph.ops.windows import *

_FAMILIES = (
    "activations", "arithmetic", "associative", "attention", "bitwise", "casting", "comparison", "control",
    "convolution", "creation", "cumulative", "decompositions", "diagonals", "division", "divisors", "einsum",
    "fourier", "getitem", "image", "indexing", "joining", "linalg", "loops", "masks", "mathematics",
    "normalization", "numpy_interface", "onnx_op", "patches", "pooling", "powers", "rearrange", "rearranging",
    "reductions", "rounding", "segments", "sequences", "shape", "similarity", "sorting", "statistics",
    "trigonometry", "windows")

__all__ = ["range", *(name for family in _FAMILIES for name in import_module(f"symgraph.ops.{family}").__all__)]
