"""Writing files of steps, and running them with nothing but ONNX Runtime, as one would without symgraph."""

import onnxruntime

import symgraph as sg
from symgraph.core.structure import flatten
from tests.training.step_file.cases import case


def exported(path, name, kind="train_step", **options):
    """The model of a case and its batches; its step is written to `path` and read."""
    model, batches = case(name)
    _, y, w = batches[0]
    getattr(model, f"export_{kind}")(path, y=y, sample_weight=w, **options)
    return model, batches, sg.TrainStep.load(path)


def session_of(path, level="ORT_ENABLE_ALL"):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def feeds_of(step, batch):
    """The inputs of a batch `(x, y, sample_weight)`, by name."""
    parts = zip((step.x, step.y, step.sample_weight), batch, strict=True)
    return {name: array for names, part in parts if part is not None
            for name, array in zip(names, flatten(part), strict=True)}


def run(session, step, batch, state):
    """The results by name, and the next state."""
    names = [output.name for output in session.get_outputs()]
    results = dict(zip(names, session.run(None, {**feeds_of(step, batch), **state}), strict=True))
    following = {name: state[name] if new is None else results[new] for name, new in step.state.items()}
    return results, following
