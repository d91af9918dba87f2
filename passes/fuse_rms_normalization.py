"""Root-mean-square normalisation in the operator that ONNX Runtime has had before ONNX."""

from __future__ import annotations

from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.passes.exactness import relaxed
from symgraph.passes.recognize_rms_normalization import fuse_rms


@relaxed
def fuse_rms_normalization(graph: Graph) -> Graph:
    """x / sqrt(mean(x^2) + e) * w -> SimplifiedLayerNormalization(x, w), where the mean is over the last axes.

    One node takes a third of the time of seven: 70 us for 209, for float32[1, 384, 768] on one core. Rounds
    differently.
    """
    return fuse_rms(graph, find_op("SimplifiedLayerNormalization"))
