"""Model definitions to start from: short functions that build a model with layers.

Each file can be run, `python -m symgraph.models gpt`: it trains a little on real data, shows what is inside, exports.
"""

from symgraph.models.convnet import convnet
from symgraph.models.gpt import gpt
from symgraph.models.lstm_text import lstm_text
from symgraph.models.mlp import mlp
from symgraph.models.resnet import resnet
from symgraph.models.sampling import generate

__all__ = ["convnet", "generate", "gpt", "lstm_text", "mlp", "resnet"]
