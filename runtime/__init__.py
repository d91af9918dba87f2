"""All that touches ONNX files or onnxruntime: exporter, importer, sessions, eager mode, devices."""

from symgraph.core.apply import register_evaluator
from symgraph.core.composite import register_graph_evaluator
from symgraph.core.gradient import register_expander
from symgraph.core.op import register_library
from symgraph.runtime.devices import config, device
from symgraph.runtime.eager import KernelFallbackWarning, evaluate_graph, evaluate_op, fallbacks
from symgraph.runtime.exporter import save, to_model
from symgraph.runtime.files import Limits
from symgraph.runtime.functions import definition_of
from symgraph.runtime.importer import load_graph
from symgraph.runtime.microsoft import LIBRARY
from symgraph.runtime.profile import profile, time
from symgraph.runtime.session import Session, evaluate

__all__ = [
    "KernelFallbackWarning", "Limits", "Session", "config", "device", "evaluate", "fallbacks", "load_graph",
    "profile", "save", "time", "to_model"]

register_library(LIBRARY)
register_evaluator(evaluate_op)
register_graph_evaluator(evaluate_graph)
register_expander(definition_of)
