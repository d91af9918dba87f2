"""symgraph: define a model once by applying layers to symbols; run it, look into it, export it as ONNX.

>>> import symgraph as sg
>>> x = sg.Input((4,), name="x")
>>> model = sg.Model(x, sg.layers.Dense(2, activation="softmax", name="head").apply(x))
>>> model.predict(np.zeros((1, 4), np.float32)).tolist()
[[0.5, 0.5]]
"""

from symgraph import layers, models, ops, passes, runtime, utils
from symgraph.autodiff import *
from symgraph.autodiff import __all__ as _autodiff
from symgraph.core.apply import symbol
from symgraph.core.errors import (
    CheckpointError,
    DisposedError,
    DtypeError,
    FormatError,
    GradientError,
    GraphError,
    LayerError,
    LimitError,
    MissingDependencyError,
    NonFiniteError,
    OpError,
    ProviderError,
    ResourceError,
    RunError,
    ShapeError,
    SymgraphError,
    TrainingError,
    UnsafeModelError,
    UnsupportedOpError,
)
from symgraph.core.graph import Graph
from symgraph.core.memory import Memory, dispose, keep, memory, tidy
from symgraph.core.tensor import SymbolicTensor
from symgraph.core.value import Tensor, tensor
from symgraph.core.variable import Variable
from symgraph.layers import Input, Layer, activations, constraints, initializers, regularizers
from symgraph.layers import dtype_policy as dtype_policies
from symgraph.layers.dtype_policy import DTypePolicy, config
from symgraph.layers.layer import clear_session
from symgraph.ops import *
from symgraph.ops import random_numbers as random
from symgraph.runtime.devices import device
from symgraph.runtime.profile import profile, time
from symgraph.training import (
    Model,
    Sequential,
    TrainStep,
    callbacks,
    data,
    function,
    load_onnx,
    losses,
    metrics,
    mixed_precision,
    optimizers,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "CheckpointError", "DTypePolicy", "DisposedError", "DtypeError", "FormatError", "GradientError", "Graph",
    "GraphError", "Input", "Layer", "LayerError", "LimitError", "Memory", "MissingDependencyError", "Model",
    "NonFiniteError", "OpError", "ProviderError", "ResourceError", "RunError", "Sequential", "ShapeError",
    "SymbolicTensor", "SymgraphError", "Tensor", "TrainStep", "TrainingError", "UnsafeModelError", "UnsupportedOpError",
    "Variable", "activations", "callbacks", "clear_session", "config", "constraints", "data", "device", "dispose",
    "dtype_policies", "function", "initializers", "keep", "layers", "load_onnx", "losses", "memory", "metrics",
    "mixed_precision", "models", "ops", "optimizers", "passes", "profile", "random", "regularizers", "runtime",
    "symbol", "tensor", "tidy", "time", "utils",
]
__all__ += [*_autodiff, *ops.__all__]
