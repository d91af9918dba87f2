"""symgraph: define a model once by applying layers to symbols; run, look into, differentiate and export it as ONNX."""

from symgraph.core.apply import apply_op, symbol
from symgraph.core.graph import Graph
from symgraph.core.memory import dispose, keep, memory, tidy
from symgraph.core.tensor import SymbolicTensor
from symgraph.core.value import Tensor, tensor
from symgraph.core.variable import Variable
from symgraph import runtime
