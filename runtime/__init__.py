"""All that touches ONNX files or onnxruntime: exporter, importer, sessions, eager mode, devices."""

from symgraph.core.apply import register_evaluator
from symgraph.runtime.eager import evaluate_op
from symgraph.runtime.session import Session, evaluate

__all__ = ["Session", "evaluate"]

register_evaluator(evaluate_op)
