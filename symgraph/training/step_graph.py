"""The graph of a training step, of gradients or of an evaluation, with the state among its inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symgraph import passes
from symgraph.autodiff.lifting import lift_variables
from symgraph.core.apply import placeholder
from symgraph.core.errors import TrainingError
from symgraph.core.graph import Graph
from symgraph.core.structure import flatten, map_structure, pack
from symgraph.core.tensor import Operand
from symgraph.core.types import Dim, TensorType
from symgraph.core.variable import Variable
from symgraph.training.compiled_losses import CompiledLoss
from symgraph.training.data.columns import columns_of, weights_of
from symgraph.training.function import HOLE, Traced, trace
from symgraph.training.losses.objects import CTC, Loss
from symgraph.training.step_variables import Found, unique, variables_of

if TYPE_CHECKING:
    from symgraph.training.model import Model

BATCH = "batch"
"""The name of the open size that all of a batch share."""

Step = Callable[[Any], Mapping[str, Any]]
"""A function of a batch `(x, y, sample_weight)`. It gives a "loss", and "metrics", "predictions" or "gradients"."""


@dataclass(frozen=True)
class StepGraph:
    """A graph for a file: which inputs and outputs are what, and the variables whose values come in as inputs.

    `state` maps an input to the output with the next value, None where the step leaves it as it is; `found` says of
    which variable of the model it is the value. `metrics` maps a name in logs to an output, `gradients` the input of
    a weight.
    """

    kind: str
    graph: Graph
    x: list[str]
    y: list[str]
    sample_weight: list[str]
    state: dict[str, str | None]
    variables: dict[str, Variable]
    found: dict[str, Found]
    loss: str
    metrics: dict[str, str]
    predictions: list[str]
    gradients: dict[str, str]


class StepBuilder:
    """Traces steps of a compiled model for batches of any size."""

    def __init__(self, model: Model, y: Any = None, sample_weight: Any = None) -> None:
        if not model._is_connected:
            raise TrainingError(f'model "{model.name}": its inputs are not known yet; give its first layer an '
                                "input_shape, or call the model on data, before it is exported")
        model._ready(None, training=bool(model.trainable_variables))
        self.model = model
        self.parts = (map_structure(lambda x: _open(x.type), model.input), _target_types(model, y),
                      _weight_types(sample_weight))
        self.types = [t for t in flatten(self.parts) if t is not None]
        self.names = [_input_names(model, part, types) for part, types in zip(_PARTS, self.parts, strict=True)]

    def trace(self, step: Step) -> Traced:
        """The step as a graph that starts metrics anew."""
        structure = pack(self.parts, [None if t is None else HOLE for t in flatten(self.parts)])

        def traced() -> Traced:
            return trace(step, self.types, ((structure,), {}), [n for part in self.names for n in part])

        result = traced()
        if not self._metrics().isdisjoint(result.graph.variables):
            return traced()  # metrics that were only made in the step are started anew in the next one
        return result

    def _metrics(self) -> set[Variable]:
        return {v for m in self.model.all_metrics for v in m.variables}

    def build(self, kind: str, step: Step) -> StepGraph:
        """The graph of a step that takes as inputs whatever may change from one step to the next.

        These are all variables that it reads or assigns, besides metrics and the weights that training leaves alone.
        """
        traced = self.trace(step)
        count = len(flatten(traced.outputs))
        following = dict(zip(traced.assigned, traced.graph.outputs[count:], strict=False))
        trained = following if kind == "train" else {**self._trained(), **traced.outputs.get("gradients", {})}
        state = self._state(traced.graph, following, trained)
        inputs = dict(zip(state, unique([f.name for f in state.values()], self.names[0]), strict=True))
        batch = [*self.names[0], *unique([*self.names[1], *self.names[2]], [*self.names[0], *inputs.values()])]
        results, roles = self._results(traced.outputs, inputs, [*batch, *inputs.values()])
        kept = [v for v in inputs if v in following or kind == "train"]
        nexts = dict(zip(kept, unique([f"{inputs[v]}/next" for v in kept], [*batch, *inputs.values(), *results]),
                         strict=True))
        outputs = [*traced.graph.outputs[:count], *(following.get(v, v) for v in kept)]
        graph = passes.freeze(traced.graph.with_outputs(outputs), keep=inputs)
        graph = _lifted(graph, inputs, batch, [*results, *nexts.values()], f"{self.model.name}_{kind}")
        graph = passes.optimize(passes.inline_composites(passes.optimize(graph, passes.TRAINING)), passes.TRAINING)
        ends = [len(self.names[0]), len(self.names[0]) + len(self.names[1])]
        return StepGraph(
            kind, graph, batch[:ends[0]], batch[ends[0]:ends[1]], batch[ends[1]:],
            state={name: nexts.get(v) for v, name in inputs.items()},
            variables={name: v for v, name in inputs.items()}, found={name: state[v] for v, name in inputs.items()},
            loss=roles["loss"], metrics=roles.get("metrics", {}), predictions=roles.get("predictions", []),
            gradients={inputs[v]: name for v, name in roles.get("gradients", {}).items()})

    def _state(self, graph: Graph, following: Mapping[Variable, Operand],
               trained: Mapping[Variable, Any]) -> dict[Variable, Found]:
        metrics, weights = self._metrics(), set(self.model.weights)
        known = variables_of(self.model)
        touched = {*graph.variables, *following}
        others = [v for v in dict.fromkeys([*graph.variables, *following]) if v not in known]
        wanted = [v for v in (*known, *others)
                  if v in touched and v not in metrics and (v not in weights or v in trained)]
        names = unique([v.name for v in others], [f.name for f in known.values()])
        known.update((v, Found(name, name)) for v, name in zip(others, names, strict=True))
        return {v: known[v] for v in wanted}

    def _trained(self) -> dict[Variable, None]:
        """The variables that a step of training changes."""
        if not self.model.trainable_variables:
            return {}
        return dict.fromkeys(self.trace(self.model._step("train")).assigned)

    def _results(self, outputs: Mapping[str, Any], inputs: Mapping[Variable, str], taken: Sequence[str],
                 ) -> tuple[list[str], dict[str, Any]]:
        """The names of results, in order, and the same nested as the step gave them."""
        wanted = ["loss", *outputs.get("metrics", ())]
        wanted += self.model.output_names if "predictions" in outputs else []
        wanted += [f"{inputs[v]}/gradient" for v in outputs.get("gradients", ())]
        names = unique(wanted, taken)
        return names, pack(outputs, names)


_PARTS = ("x", "y", "sample_weight")


def _lifted(graph: Graph, state: Mapping[Variable, str], batch: Sequence[str], outputs: Sequence[str], name: str,
            ) -> Graph:
    """The graph that takes the variables of the state as inputs after the batch, those that it does not read too."""
    lifted, read = lift_variables(graph)
    symbols = dict(zip(read, lifted.inputs[len(graph.inputs):], strict=True))
    rest = [symbols[v] if v in symbols else placeholder(v.type, label) for v, label in state.items()]
    return Graph([*graph.inputs, *rest], lifted.outputs, name=name, input_names=[*batch, *state.values()],
                 output_names=outputs)


def _open(value_type: TensorType) -> TensorType:
    """The type of a batch of any size."""
    if not value_type.shape:
        return value_type
    first, *rest = value_type.shape
    return TensorType(value_type.dtype, (BATCH if first is None else first, *rest))


def _target_types(model: Model, y: Any) -> Any:
    """The types of the example `y`, or else of what the model was last trained on, or else of what its losses take."""
    if y is not None:
        return map_structure(lambda column: _open(column.type), columns_of("y", y))
    if model._target_types is not None:
        return map_structure(_open, model._target_types)
    if model.loss is None:
        return None
    losses = CompiledLoss(model.loss, output_names=model._output_log_names())
    losses.build(model.output, model.output)
    wanted = {i: part.losses[0] for part in losses.losses for i in flatten(part.outputs)}
    return pack(model.output, [_target_type(wanted.get(i), x.type) for i, x in enumerate(model.outputs)])


def _target_type(loss: Loss | None, prediction: Any) -> TensorType | None:
    if loss is None:
        return None
    shape: tuple[Dim, ...] = _open(prediction).shape or ()
    if isinstance(loss, CTC):
        return TensorType("int64", (*shape[:1], None))
    return TensorType("int64", shape[:-1]) if loss.is_of_labels else TensorType(loss.dtype, shape)


def _weight_types(sample_weight: Any) -> Any:
    """The types of sample weights: one for each sample for True, else those of an example."""
    if sample_weight is None or sample_weight is False:
        return None
    if sample_weight is True:
        return TensorType("float32", (BATCH,))
    return map_structure(lambda column: None if column is None else _open(column.type), weights_of(sample_weight))


def _input_names(model: Model, part: str, types: Any) -> list[str]:
    """Names of the inputs for a part of the batch: as the model has them, `y`, or `y_head` for one of several."""
    if part == "x":
        return list(model.input_names)
    leaves = flatten(types)
    if isinstance(types, dict) and len(types) == len(leaves):
        ends = list(map(str, types))
    elif len(leaves) == len(model.output_names):
        ends = list(model.output_names)
    else:
        ends = list(map(str, range(len(leaves))))
    named = [end for end, t in zip(ends, leaves, strict=True) if t is not None]
    return [part] if len(named) == 1 and len(leaves) == 1 else [f"{part}_{end}" for end in named]
