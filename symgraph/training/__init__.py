"""Models, and functions compiled to graphs."""

from symgraph.training.function import Function, function
from symgraph.training.model import Model, load_onnx
from symgraph.training.sequential import Sequential

__all__ = ["Function", "Model", "Sequential", "function", "load_onnx"]
