"""Rewrite passes: pure functions from graph to graph that keep every result.

`optimize(graph)` runs `INFERENCE`. A pass is any function `Graph -> Graph`; `rule` makes one of a pattern.
"""

from symgraph.passes.errors import PassError
from symgraph.passes.fold_constants import fold_constants
from symgraph.passes.fold_into_convolution import fold_into_convolution
from symgraph.passes.freeze import freeze
from symgraph.passes.manager import INFERENCE, TRAINING, Pass, PassReport, Report, optimize
from symgraph.passes.remove_identity import remove_identity
from symgraph.passes.remove_transposes import remove_transposes
from symgraph.passes.rules import Rule, rule
from symgraph.passes.share_common import share_common_subexpressions

__all__ = [
    "INFERENCE",
    "TRAINING",
    "Pass",
    "PassError",
    "PassReport",
    "Report",
    "Rule",
    "fold_constants",
    "fold_into_convolution",
    "freeze",
    "optimize",
    "remove_identity",
    "remove_transposes",
    "rule",
    "share_common_subexpressions",
]
