"""Models, and functions compiled to graphs."""

from symgraph.training.function import Function, function
from symgraph.training.model import Model, load_onnx
from symgraph.training.sequential import Sequential
from symgraph.training.train_step import TrainStep

__all__ = ["Function", "Model", "Sequential", "TrainStep", "function", "load_onnx"]
