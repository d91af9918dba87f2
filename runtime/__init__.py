"""All that touches ONNX files or onnxruntime: exporter, importer, sessions, eager mode, devices."""

from symgraph.core.apply import register_evaluator
from symgraph.core.composite import register_graph_evaluator
from symgraph.runtime.devices import config, device
from symgraph.runtime.eager import KernelFallbackWarning, evaluate_graph, evaluate_op, fallbacks
from symgraph.runtime.exporter import save, to_model
from symgraph.runtime.files import Limits
from symgraph.runtime.importer import load_graph
from symgraph.runtime.profile import profile, time
from symgraph.runtime.session import Session, evaluate

__all__ = [
    "KernelFallbackWarning", "Limits", "Session", "config", "device", "evaluate", "fallbacks", "load_graph",
    "profile", "save", "time", "to_model"]

register_evaluator(evaluate_op)
register_graph_evaluator(evaluate_graph)
