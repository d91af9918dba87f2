"""What `compile` makes of losses and metrics where Keras has no number to compare with: errors, states, extensions."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import DtypeError, OpError, ShapeError, TrainingError
from symgraph.training.compiled_losses import CompiledLoss, add_up
from symgraph.training.compiled_metrics import CompiledMetrics

NAMES = ["a", "b"]


def ones(*shape):
    return sg.ones(shape)


def two():
    return [ones(4, 2), ones(4, 1)]


def numbers(logs):
    return {name: float(x) for name, x in logs.items()}


@pytest.mark.parametrize(("loss", "weights", "message"), [
    ("mse_", None, r"no loss 'mse_'; did you mean .*mse"),
    (["mse", {"class_name": "Hubert"}], None, "no loss 'Hubert'; did you mean \"Huber\""),
    ([3, None], None, "3 is no loss; give a name"),
    ("mse", [1.0, "2"], "loss_weights are numbers, in a list or a dict by output; got '2'"),
    ("mse", True, "loss_weights are numbers, .* got True"),
    ("mse", [1.0, np.ones(2)], "loss_weights are numbers"),
])
def test_what_does_not_exist_is_said_by_compile(loss, weights, message):
    with pytest.raises(TrainingError, match=message):
        CompiledLoss(loss, weights, NAMES)


@pytest.mark.parametrize(("loss", "weights", "message"), [
    ({"a": "mse", "c": "mse"}, None, 'loss given for "c", and there is no such output; there are: a, b'),
    ({"a": "mse", "aa": "mse"}, None, 'did you mean "a"'),
    (["mse"] * 3, None, 'loss: got 3 for 2 outputs; the model has the outputs "a", "b"'),
    ("mse", {"c": 1.0}, 'loss_weights given for "c"'),
    ("mse", [1.0, 1.0, 1.0], "loss_weights: got 3 for 2 outputs"),
    (["mse", ["mse", "mae"]], [1.0, [1.0, 1.0, 1.0]], 'loss_weights: got 3 for the 2 losses of output "b"'),
])
def test_losses_that_fit_no_output_are_said_with_the_outputs_there_are(loss, weights, message):
    with pytest.raises(TrainingError, match=message):
        CompiledLoss(loss, weights, NAMES).build(two(), two())


def test_losses_deep_inside_say_where_they_are():
    outputs = {"p": {"x": ones(2, 1), "y": ones(2, 1)}, "q": ones(2, 1)}

    with pytest.raises(TrainingError, match='loss given for "z", and there is no such output inside "p"'):
        CompiledLoss({"p": {"z": "mse"}}).build(outputs, outputs)


def test_one_weight_belongs_to_a_loss_of_two_outputs():
    outputs = {"p": [ones(2, 1), ones(2, 1)], "q": ones(2, 1)}
    loss = CompiledLoss({"p": lambda y, p: p[0] - y[1]}, {"p": [1.0, 2.0]})

    with pytest.raises(TrainingError, match='the loss of "p" is one of 2 outputs together; give it one weight'):
        loss.build(outputs, outputs)


@pytest.mark.parametrize(("targets", "message"), [
    ([ones(4, 2)], "targets: got 1 for 2 outputs"),
    ({"a": ones(4, 2)}, 'output "b" has a loss and no target'),
    ({"a": ones(4, 2), "b": None}, 'output "b" has a loss and no target'),
    ({"a": ones(4, 2), "c": ones(4, 2)}, 'targets given for "c", and there is no such output; there are: a, b'),
    (ones(4, 2), 'targets: got one array for 2 outputs; the model has the outputs "a", "b"; give a list'),
    (None, 'output "a" has a loss and no target'),
])
def test_targets_that_do_not_fit_are_said_with_the_outputs_there_are(targets, message):
    with pytest.raises(TrainingError, match=message):
        CompiledLoss("mse", None, NAMES)(targets, two())


def test_a_list_does_not_fit_a_dict_whose_order_is_not_clear():
    outputs = {"b": ones(2, 1), "a": ones(2, 1)}

    with pytest.raises(TrainingError, match=r"targets given as a list for a dict of outputs.*keys 'b', 'a'"):
        CompiledLoss("mse")([ones(2, 1), ones(2, 1)], outputs)


def test_an_error_inside_a_loss_names_the_output():
    with pytest.raises(ShapeError, match=r'output "b": mean_squared_error: .*\(4, 3\).*\(4, 1\)'):
        CompiledLoss("mse", None, NAMES)([ones(4, 2), ones(4, 3)], two())


def test_an_error_inside_a_metric_names_the_output():
    metrics = CompiledMetrics([None, [sg.metrics.F1Score()]], None, NAMES)

    with pytest.raises(ShapeError, match='output "b": f1_score: expects'):
        metrics.update_state([ones(4, 2), ones(4)], [ones(4, 2), ones(4)])


def test_no_loss_at_all_is_nothing_to_minimise():
    loss = CompiledLoss([None, None], None, NAMES)

    assert loss.is_empty
    with pytest.raises(TrainingError, match="nothing to minimise: give compile a loss, or let a layer add one with"):
        loss(two(), two())
    with pytest.raises(TrainingError, match=r'^model "m" has nothing to minimise'):
        add_up([], 'model "m"')


def test_a_failed_build_leaves_nothing_built():
    loss = CompiledLoss({"c": "mse"}, None, NAMES)

    with pytest.raises(TrainingError):
        loss.build(two(), two())

    assert not loss.built


def test_losses_of_one_output_add_up_and_are_tracked_together():
    loss = CompiledLoss({"a": ["mse", "mae"], "b": "mse"}, {"a": [1.0, 3.0]}, NAMES)

    total = loss([ones(4, 2), ones(4, 1)], [3.0 * ones(4, 2), ones(4, 1)])

    assert float(total) == 4.0 + 3.0 * 2.0
    assert numbers({m.name: m.result() for m in loss.metrics}) == {"a_loss": 6.0, "b_loss": 0.0}


def test_two_losses_of_the_only_output_add_up():
    loss = CompiledLoss(["mse", "mae"], [1.0, 0.5])

    assert float(loss(ones(4, 2), 3.0 * ones(4, 2))) == 5.0
    assert loss.metrics == []


def test_weights_count_for_the_outputs_of_a_lone_loss():
    loss = CompiledLoss("mse", {"b": 0.25}, NAMES)

    assert float(loss(two(), [2.0 * ones(4, 2), 3.0 * ones(4, 1)])) == 1.0 + 0.25 * 4.0


def test_a_loss_weight_may_be_a_variable_that_is_read_at_every_step():
    weight = sg.Variable(2.0, trainable=False)
    loss = CompiledLoss("mse", [1.0, weight], NAMES)
    step = sg.function(lambda y, p: loss(y, p))
    y, p = [np.ones((4, 2), "float32"), np.ones((4, 1), "float32")], [np.zeros((4, 2), "f"), np.zeros((4, 1), "f")]

    first = float(step(y, p))
    weight.assign(5.0)

    assert (first, float(step(y, p))) == (3.0, 6.0)


@pytest.mark.parametrize("given", [
    {"class_name": "Huber", "config": {"delta": 0.5}}, [{"class_name": "Huber", "config": {"delta": 0.5}}],
    {"a": {"class_name": "Huber", "config": {"delta": 0.5}}}, sg.losses.Huber(delta=0.5)])
def test_a_configuration_is_one_loss(given):
    loss = CompiledLoss(given, None, ["a"])

    assert float(loss(ones(4, 2), 3.0 * ones(4, 2))) == 0.5 * 2.0 - 0.125


def test_labels_stay_whole_numbers_however_large():
    classes = 2**24 + 3

    loss = CompiledLoss("sparse_categorical_crossentropy")
    symbol = loss(sg.Input((), dtype="int64"), sg.Input((classes,)))

    assert symbol.shape == ()
    assert [type(x).__name__ for x in loss.losses[0].losses] == ["SparseCategoricalCrossentropy"]


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_the_total_is_float32_whatever_the_outputs_are(dtype):
    loss = CompiledLoss("mse")(ones(4, 2).astype(dtype), 3.0 * ones(4, 2).astype(dtype))

    assert (loss.dtype, float(loss)) == ("float32", 4.0)


def test_targets_come_back_nested_as_the_outputs():
    outputs = {"p": [1.0 * ones(2, 1), ones(2, 1)], "q": ones(2, 1)}
    loss = CompiledLoss({"p": [None, "mse"], "q": "mse"}, None, ["x", "y", "z"])
    y, z = np.ones((2, 1)), np.zeros((2, 1))

    found = loss.targets([y, z], outputs)

    assert found["p"][0] is None and found["p"][1] is y and found["q"] is z


# Metrics.


@pytest.mark.parametrize(("metrics", "error", "message"), [
    (["acuracy"], TrainingError, "no metric 'acuracy'; did you mean \"accuracy\""),
    ([3], TrainingError, "metrics: 3 is no metric"),
    ([{"class_name": "Nothing"}], TrainingError, "no metric 'Nothing'"),
    ([None], TrainingError, "None is no metric"),
    ({"b": "mae"}, TrainingError, 'metrics given for "b", and there is no such output; there are: a'),
])
def test_what_is_no_metric_is_said(metrics, error, message):
    with pytest.raises(error, match=message):
        CompiledMetrics(metrics, None, ["a"]).build(ones(4, 1), ones(4, 1))


def test_metrics_for_several_outputs_need_an_entry_for_each():
    with pytest.raises(TrainingError, match=r'weighted_metrics: got 1 for 2 outputs; .* "a", "b"; give one'):
        CompiledMetrics(None, ["mae"], NAMES).build(two(), two())


def test_an_object_has_one_state_and_is_given_once():
    metric = sg.metrics.MeanSquaredError(name="off")

    with pytest.raises(TrainingError, match='weighted_metrics: the metric object "off" is given twice'):
        CompiledMetrics([metric], [metric])
    with pytest.raises(TrainingError, match='the metric object "off" is given to 2 outputs'):
        CompiledMetrics(metric, None, NAMES).build(two(), two())


def test_a_lone_metric_is_one_for_each_output():
    metrics = CompiledMetrics("mae", None, NAMES)

    metrics.update_state(two(), [2.0 * ones(4, 2), 4.0 * ones(4, 1)])

    assert numbers(metrics.result()) == {"a_mae": 1.0, "b_mae": 3.0}


def test_an_output_with_metrics_needs_a_target():
    metrics = CompiledMetrics({"b": "mae"}, None, NAMES)

    with pytest.raises(TrainingError, match='output "b" has the metric "mae" and no target'):
        metrics.update_state({"a": ones(4, 2)}, two())


def test_entries_of_dict_results_keep_apart():
    class Ends(sg.metrics.Metric):
        def update_state(self, y_true, y_pred, sample_weight=None):
            self.last = sg.max(y_pred)

        def result(self):
            return {"top": self.last}

    metrics = CompiledMetrics([Ends(), Ends()], None, NAMES)

    metrics.update_state(two(), [ones(4, 2), 2.0 * ones(4, 1)])

    assert numbers(metrics.result()) == {"top": 1.0, "top_1": 2.0}


def test_a_metric_that_takes_a_mask_is_given_it():
    class Counted(sg.metrics.Metric):
        def __init__(self):
            super().__init__(name="counted")
            self.count = self.add_variable((), name="count")

        def update_state(self, y_true, y_pred, sample_weight=None, mask=None):
            self.count.assign_add(sg.sum(sg.cast(mask, "float32")))

        def result(self):
            return self.count.value

    metrics = CompiledMetrics([Counted()])
    x = sg.layers.Masking()(sg.tensor([[[1.0], [0.0], [2.0]]]))

    metrics.update_state(ones(1, 3, 1), x)

    assert numbers(metrics.result()) == {"counted": 2.0}


def test_states_made_in_a_trace_are_variables_that_last():
    loss, metrics = CompiledLoss("mse", None, NAMES), CompiledMetrics(["mae", ["mse", sg.metrics.F1Score(name="f")]],
                                                                      None, NAMES)
    y, p = [np.ones((4, 2), "float32")] * 2, [np.zeros((4, 2), "float32")] * 2

    @sg.function
    def step(y, p):
        metrics.update_state(y, p)
        return loss(y, p), metrics.result()

    _, logs = step(y, p)
    step(y, p)
    state = [*loss.variables, *metrics.variables]

    assert all(isinstance(v, sg.Variable) and isinstance(v.numpy(), np.ndarray) for v in state)
    assert sum(float(v) for v in loss.variables if v.name.endswith("count")) == 16.0
    assert set(logs) == {"a_mae", "b_mse", "b_f"}
    metrics.reset_state()
    loss.reset_state()
    assert all(not v.numpy().any() for v in state)


def test_nothing_is_made_before_the_outputs_are_known():
    metrics = CompiledMetrics(["mae"])

    assert (metrics.built, metrics.metrics, metrics.variables, metrics.result()) == (False, [], [], {})


@pytest.mark.parametrize("weights", [
    pytest.param(lambda w, v: [w, v], id="list"), pytest.param(lambda w, v: {"b": v, "a": w}, id="dict")])
def test_sample_weights_go_to_their_outputs(weights):
    w, v = np.array([1.0, 0.0, 0.0, 1.0], "float32"), np.array([0.0, 0.0, 4.0, 0.0], "float32")
    loss = CompiledLoss("mae", None, NAMES)
    loss(two(), [2.0 * ones(4, 2), 2.0 * ones(4, 1)], weights(w, v))

    assert numbers({m.name: m.result() for m in loss.metrics}) == {"a_loss": 0.5, "b_loss": 1.0}


@pytest.mark.parametrize("weights", [np.full(4, 3.0, "float32"), [np.full(4, 3.0, "float32")]])
def test_one_sample_weight_is_that_of_all_outputs(weights):
    loss = CompiledLoss("mae", None, NAMES)
    loss(two(), [2.0 * ones(4, 2), 2.0 * ones(4, 1)], weights)

    assert numbers({m.name: m.result() for m in loss.metrics}) == {"a_loss": 3.0, "b_loss": 3.0}


def test_sample_weights_of_an_output_that_does_not_exist_are_said():
    with pytest.raises(TrainingError, match='sample_weight given for "c"'):
        CompiledLoss("mae", None, NAMES)(two(), two(), {"c": np.ones(4)})


@pytest.mark.parametrize("weights", [np.ones(3, "float32"), np.ones((4, 3), "float32")])
def test_sample_weights_that_do_not_fit_are_said_with_the_output(weights):
    with pytest.raises((ShapeError, OpError, DtypeError), match=r'output "a": .*weights'):
        CompiledLoss("mae", None, NAMES)(two(), two(), weights)
