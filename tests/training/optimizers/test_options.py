"""What optimizers and schedules accept, give back, and refuse."""

import json

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import TrainingError
from tests.training.optimizers.cases import CASES, SCHEDULES, identity

opt, S = sg.optimizers, sg.optimizers.schedules
NAMES = ["SGD", "RMSprop", "Adam", "AdamW", "Adamax", "Nadam", "Adagrad", "Adadelta", "Adafactor", "Ftrl", "Lion",
         "Lamb", "Muon"]


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_takes_the_rate_by_position_or_as_lr(name):
    cls = getattr(opt, name)
    assert [float(made.learning_rate) for made in (cls(0.25), cls(lr=0.25))] == [0.25, 0.25]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_found_in_any_case(name):
    assert {type(opt.get(word)) for word in (name, name.lower(), getattr(opt, name))} == {getattr(opt, name)}


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_a_configuration_makes_an_equal_optimizer(case):
    name, arguments = case
    if isinstance(arguments.get("learning_rate"), tuple):
        schedule, given = arguments["learning_rate"]
        arguments = {**arguments, "learning_rate": getattr(S, schedule)(**given)}
    made = getattr(opt, name)(**arguments)
    again = opt.deserialize(opt.serialize(made))
    assert type(again) is type(made)
    assert again.get_config() == made.get_config()
    assert {k: v for k, v in made.get_config().items() if k in arguments and k != "learning_rate"} == {
        k: v for k, v in arguments.items() if k != "learning_rate"}


@pytest.mark.parametrize("case", SCHEDULES, ids=identity)
def test_a_configuration_makes_an_equal_schedule(case):
    made = getattr(S, case[0])(**case[1])
    assert S.deserialize(S.serialize(made)).get_config() == made.get_config()


def test_numbers_of_numpy_say_how_long_a_schedule_is():
    made = S.CosineDecay(0.5, np.int64(30))
    assert float(made(15)) == float(S.CosineDecay(0.5, 30)(15))
    assert json.loads(json.dumps(made.get_config()))["decay_steps"] == 30


def test_a_configuration_holds_the_optimizer_inside():
    made = opt.LossScaleOptimizer(opt.Adam(0.5, beta_1=0.25), initial_scale=4.0)
    again = opt.deserialize(opt.serialize(made))
    assert again.get_config() == made.get_config()
    assert again.inner_optimizer.beta_1 == 0.25


def test_the_rate_may_be_a_function_or_another_schedule():
    rates, w = iter([0.5, 0.25]), sg.Variable(1.0)
    optimizer = opt.SGD(lambda: next(rates))
    for _ in range(2):
        optimizer.apply_gradients([(sg.tensor(1.0), w)])
    assert w.item() == 0.25
    optimizer.learning_rate = S.PiecewiseConstantDecay([2], [0.125, 9.0])
    assert float(optimizer.learning_rate) == 0.125


def test_an_optimizer_of_ones_own_is_its_update():
    class Sign(opt.Optimizer):
        arguments = ("limit",)

        def __init__(self, learning_rate=0.5, limit=1.0, **options):
            super().__init__(learning_rate, **options)
            self.limit = limit

        def build(self, variables):
            super().build(variables)
            self.counts = self.add_optimizer_variables(variables, "count")

        def update_step(self, gradient, variable, learning_rate):
            self.of(self.counts, variable).assign_add(sg.absolute(sg.sign(gradient)))
            variable.assign_sub(learning_rate * sg.sign(gradient))

    w, optimizer = sg.Variable([1.0, 1.0], name="w"), Sign(limit=2.0)
    optimizer.apply_gradients([(sg.tensor([3.0, 0.0]), w)])
    assert w.numpy().tolist() == [0.5, 1.0]
    assert optimizer.counts[0].numpy().tolist() == [1.0, 0.0]
    assert optimizer.counts[0].name == "sign/w_count"
    config = opt.serialize(optimizer)
    assert config["config"]["limit"] == 2.0
    assert isinstance(opt.deserialize(config, {"Sign": Sign}), Sign)


def fail(make, *words):
    with pytest.raises(TrainingError) as error:
        make()
    for word in words:
        assert word in str(error.value)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: opt.get("adamm"), ['"adam"', "no optimizer 'adamm'"]),
    (lambda: opt.get(3), ["no optimizer"]),
    (lambda: opt.deserialize({"config": {}}), ["class_name"]),
    (lambda: S.deserialize({"class_name": "CosineDeca"}), ['"CosineDecay"']),
    (lambda: S.deserialize({"class_name": "CosineDecay", "config": {"steps": 3}}), ["decay_steps", "steps"]),
    (lambda: opt.Adam(beta1=0.5), ["Adam", "'beta1'", '"beta_1"']),
    (lambda: opt.SGD("fast"), ["SGD", "learning_rate", "'fast'"]),
    (lambda: opt.SGD([0.1, 0.2]), ["one number"]),
    (lambda: opt.SGD(momentum=2.0), ["momentum", "0 to 1"]),
    (lambda: opt.SGD(clipnorm=1.0, clipvalue=1.0), ["one of", "clipnorm"]),
    (lambda: opt.SGD(clipvalue=-1.0), ["clipvalue", "-1"]),
    (lambda: opt.SGD(ema_momentum=2), ["ema_momentum"]),
    (lambda: opt.SGD(ema_overwrite_frequency=0), ["ema_overwrite_frequency"]),
    (lambda: opt.SGD(gradient_accumulation_steps=1), ["gradient_accumulation_steps", "2 on"]),
    (lambda: opt.AdamW(weight_decay=None), ["weight_decay"]),
    (lambda: opt.Lion(beta_1=0), ["beta_1"]),
    (lambda: opt.Ftrl(l1_regularization_strength=-1.0), ["l1_regularization_strength"]),
    (lambda: opt.Ftrl(learning_rate_power=0.5), ["learning_rate_power"]),
    (lambda: opt.LossScaleOptimizer("adam"), ["needs an optimizer", "'adam'"]),
    (lambda: opt.LossScaleOptimizer(opt.Adam(), clipnorm=1.0), ["clipnorm", "inside"]),
    (lambda: S.CosineDecay(0.1, 0), ["decay_steps", "above 0"]),
    (lambda: S.PiecewiseConstantDecay([1, 2], [0.1, 0.2]), ["2 boundaries and 2 values"]),
])
def test_bad_arguments_are_named(make, words):
    fail(make, *words)


def test_bad_steps_are_named():
    w, other = sg.Variable(np.ones((2, 3), np.float32), name="w"), sg.Variable(1.0, name="other")
    g = np.ones((2, 3), np.float32)
    optimizer = opt.SGD()
    fail(lambda: optimizer.apply([g]), "not built", "build(variables)")
    fail(lambda: optimizer.apply_gradients([g]), "pairs")
    fail(lambda: optimizer.apply_gradients([(None, w)]), "no gradient for any variable", "w")
    optimizer.build([w])
    fail(lambda: optimizer.apply_gradients([(np.ones((3, 2), np.float32), w)]), "'w'", "(2, 3)", "(3, 2)")
    fail(lambda: optimizer.apply_gradients([(sg.tensor(1.0), other)]), "other")
    fail(lambda: optimizer.apply([g, g]), "2 gradients for 1 variables")
    for each in (optimizer, opt.SGD()):
        fail(lambda each=each: each.apply([g], [g]), "trains variables")
    fail(lambda: optimizer.minimize(sg.tensor(1.0), [w]), "tape")
    fail(lambda: optimizer.minimize(lambda: sg.tensor(1.0)), "no variables")
    fail(lambda: optimizer.set_weights([1, 2, 3]), "2 variables", "3 arrays")
    fail(lambda: optimizer.set_weights([1, [2]]), "learning_rate", "(1,)")
    fail(lambda: optimizer.exclude_from_weight_decay([w]), "before")
    assert optimizer.iterations.item() == 0
    assert w.numpy().tolist() == g.tolist()


def test_a_number_does_not_replace_a_schedule():
    optimizer = opt.SGD(S.CosineDecay(0.1, 10))

    def assign():
        optimizer.learning_rate = 0.5

    fail(assign, "CosineDecay")
