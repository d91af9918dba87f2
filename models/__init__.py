"""Model definitions to start from: short functions that build a model with layers."""

from symgraph.models.convnet import convnet
from symgraph.models.mlp import mlp

__all__ = ["convnet", "mlp"]
