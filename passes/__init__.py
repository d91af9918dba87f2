"""Rewrite passes: pure functions from graph to graph that keep every result.

`optimize(graph)` runs `INFERENCE`. A pass is any function `Graph -> Graph`; nothing to do: the same object.
"""

from symgraph.passes.fold_constants import fold_constants
from symgraph.passes.freeze import freeze
from symgraph.passes.manager import INFERENCE, Pass, optimize
from symgraph.passes.remove_identity import remove_identity

__all__ = ["INFERENCE", "Pass", "fold_constants", "freeze", "optimize", "remove_identity"]
