"""All that touches ONNX files or onnxruntime: exporter, importer, sessions, eager mode, devices."""

from symgraph.core.apply import register_evaluator
from symgraph.core.composite import register_graph_evaluator
from symgraph.runtime.devices import config, device
from symgraph.runtime.eager import KernelFallbackWarning, evaluate_graph, evaluate_op, fallbacks
from symgraph.runtime.profile import profile, time
from symgraph.runtime.session import Session, evaluate

__all__ = ["KernelFallbackWarning", "Session", "config", "device", "evaluate", "fallbacks", "profile", "time"]

register_evaluator(evaluate_op)
register_graph_evaluator(evaluate_graph)
