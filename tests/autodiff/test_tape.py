"""Tapes: what they record, what they give, and how they say that they cannot."""

import gc
import weakref

import numpy as np
import pytest

import symgraph as sg
from symgraph import GradientError, GradientTape


def test_a_variable_read_before_and_after_an_assignment_has_one_gradient() -> None:
    v = sg.Variable(2.0)

    with GradientTape() as tape:
        y = v * v
        v.assign(5.0)
        y = y + v * v

    assert float(tape.gradient(y, v)) == 2 * 2 + 2 * 5


def test_a_later_assignment_does_not_change_what_was_recorded() -> None:
    v = sg.Variable(2.0)

    with GradientTape() as tape:
        y = v * v
    v.assign(7.0)

    assert float(tape.gradient(y, v)) == 4.0


def test_a_slice_of_a_variable_has_a_gradient() -> None:
    v = sg.Variable([1.0, 2.0, 3.0])

    with GradientTape() as tape:
        y = sg.sum(v[1:] * v[1:])

    np.testing.assert_array_equal(tape.gradient(y, v).numpy(), [0.0, 4.0, 6.0])


def test_variables_that_are_not_trainable_are_watched_only_when_asked() -> None:
    v = sg.Variable(2.0, trainable=False)

    with GradientTape(persistent=True) as tape:
        first = v * v
        tape.watch(v)
        second = v * v

    assert tape.gradient(first, v) is None
    assert float(tape.gradient(second, v)) == 4.0


def test_a_tape_without_accessed_variables_watches_what_it_is_told() -> None:
    v, x = sg.Variable(2.0), sg.tensor(3.0)

    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        y = v * x

    assert [None if g is None else float(g) for g in tape.gradient(y, [v, x])] == [None, 2.0]


def test_nothing_is_recorded_while_recording_is_stopped() -> None:
    x = sg.Variable(3.0)

    with GradientTape() as tape:
        y = x * x
        with tape.stop_recording():
            z = y * x

    assert tape.gradient(z, x) is None


def test_watched_variables_come_in_the_order_of_their_use() -> None:
    a, b = sg.Variable(1.0), sg.Variable(2.0)

    with GradientTape() as tape:
        _ = b * a

    assert tape.watched_variables() == (b, a)


def test_output_gradients_are_factors() -> None:
    x = sg.tensor([1.0, 2.0])

    with GradientTape() as tape:
        tape.watch(x)
        y = x * x

    np.testing.assert_array_equal(tape.gradient(y, x, output_gradients=[1.0, 10.0]).numpy(), [2.0, 40.0])


def test_gradients_of_several_targets_add_up() -> None:
    x = sg.tensor(2.0)

    with GradientTape() as tape:
        tape.watch(x)
        ys = {"square": x * x, "cube": x * x * x}

    assert float(tape.gradient(ys, x)) == 4 + 12


def test_unconnected_sources_have_zeros_where_asked_for() -> None:
    x = sg.tensor([1.0, 2.0])

    with GradientTape() as tape:
        tape.watch(x)
        y = sg.tensor(1.0) * 2.0

    np.testing.assert_array_equal(tape.gradient(y, x, unconnected_gradients="zero").numpy(), [0.0, 0.0])


def test_the_gradient_of_an_intermediate_value_is_a_gradient_like_any_other() -> None:
    x = sg.tensor(3.0)

    with GradientTape() as tape:
        tape.watch(x)
        y = x * x
        z = y * y

    assert [float(g) for g in tape.gradient(z, [y, x])] == [18.0, 108.0]


def test_the_target_may_be_a_source() -> None:
    v = sg.Variable(2.0)

    with GradientTape() as tape:
        _ = v * v

    assert float(tape.gradient(v, v)) == 1.0


def test_a_jacobian_equals_finite_differences() -> None:
    x = sg.tensor([[1.0, 2.0], [3.0, 4.0]])

    with GradientTape() as tape:
        tape.watch(x)
        y = sg.exp(x * 0.1) * sg.sum(x)

    jacobian = tape.jacobian(y, x).numpy()

    def value(a: np.ndarray) -> np.ndarray:
        return np.exp(a * 0.1) * a.sum()

    point = x.numpy().astype(np.float64)
    for i in np.ndindex(2, 2):
        step = np.zeros((2, 2))
        step[i] = 1e-6
        expected = (value(point + step) - value(point - step)) / 2e-6
        np.testing.assert_allclose(jacobian[(..., *i)], expected, rtol=1e-4)


def test_a_batch_jacobian_is_the_diagonal_of_the_jacobian() -> None:
    x = sg.tensor(np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32))

    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = sg.exp(x) * sg.sum(x, axis=1, keepdims=True)

    whole, each = tape.jacobian(y, x).numpy(), tape.batch_jacobian(y, x).numpy()
    np.testing.assert_allclose(each, [whole[i, :, i, :] for i in range(3)], rtol=1e-6)


def test_a_tape_sees_a_model_as_it_runs_compiled() -> None:
    model = sg.Sequential([sg.layers.Dense(3, activation="tanh", input_shape=(2,)), sg.layers.Dense(1)])
    x = np.float32([[1.0, 2.0], [0.5, -1.0]])

    with GradientTape() as tape:
        y = sg.sum(model(x))
    grads = tape.gradient(y, model.trainable_variables)

    eps = 1e-2
    for variable, gradient in zip(model.trainable_variables, grads, strict=True):
        start = np.array(variable.numpy())
        step = np.zeros_like(start)
        step.flat[0] = eps
        up = float(sg.sum(model(x)) if variable.assign(start + step) is not None else 0)
        down = float(sg.sum(model(x)) if variable.assign(start - step) is not None else 0)
        variable.assign(start)
        assert gradient.numpy().flat[0] == pytest.approx((up - down) / (2 * eps), rel=1e-2, abs=1e-3)


def test_a_tape_sees_a_compiled_function_and_its_variables() -> None:
    w = sg.Variable([2.0, 3.0])

    @sg.function
    def f(x):
        return sg.sum(w * x * x)

    x = sg.tensor([1.0, -1.0])
    with GradientTape() as tape:
        tape.watch(x)
        y = f(x)

    dw, dx = tape.gradient(y, [w, x])
    np.testing.assert_array_equal(dw.numpy(), [1.0, 1.0])
    np.testing.assert_array_equal(dx.numpy(), [4.0, -6.0])


def test_a_tape_inside_a_compiled_function_gives_symbols() -> None:
    w = sg.Variable(3.0)

    @sg.function
    def slope(x):
        with GradientTape() as tape:
            y = w * x * x
        return tape.gradient(y, [x, w])

    dx, dw = slope(sg.tensor(2.0))
    assert (float(dx), float(dw)) == (12.0, 4.0)


def test_an_assignment_in_a_compiled_function_does_not_change_earlier_gradients() -> None:
    w = sg.Variable(3.0)

    @sg.function
    def slope(x):
        with GradientTape() as tape:
            y = w * w * x
        w.assign(w * 10.0)
        return tape.gradient(y, w)

    assert float(slope(sg.tensor(2.0))) == 12.0
    assert float(w) == 30.0


def test_three_tapes_give_third_derivatives() -> None:
    x = sg.Variable(2.0)

    with GradientTape() as first:
        with GradientTape() as second:
            with GradientTape() as third:
                y = x * x * x * x
            dy = third.gradient(y, x)
        d2y = second.gradient(dy, x)
    d3y = first.gradient(d2y, x)

    assert [float(v) for v in (dy, d2y, d3y)] == [32.0, 48.0, 48.0]


def test_a_tape_that_was_asked_frees_what_it_held() -> None:
    v = sg.Variable(2.0)
    with GradientTape() as tape:
        inner = v * v
        y = inner * v
    held = weakref.ref(inner)
    del inner
    tape.gradient(y, v)
    gc.collect()

    assert held() is None


def test_a_second_gradient_needs_a_persistent_tape() -> None:
    x = sg.Variable(1.0)
    with GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)

    with pytest.raises(GradientError, match="persistent=True"):
        tape.gradient(y, x)


@pytest.mark.parametrize("what", ["source", "target", "watch"])
def test_integers_have_no_gradient(what: str) -> None:
    x, n = sg.Variable(1.0), sg.tensor([1, 2])

    with GradientTape() as tape:
        y = x * x
        if what == "watch":
            with pytest.raises(GradientError, match=r"int32\[2\]: only floating-point tensors"):
                tape.watch(n)
            return

    with pytest.raises(GradientError, match=r"int32\[2\]: only floating-point tensors"):
        tape.gradient(*((y, n) if what == "source" else (n, x)))


def test_output_gradients_of_another_shape_are_refused() -> None:
    x = sg.Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = x * x

    with pytest.raises(GradientError, match=r"float32\[3\], its target float32\[2\]"):
        tape.gradient(y, x, output_gradients=sg.tensor([1.0, 1.0, 1.0]))


def test_a_tape_records_one_block_at_a_time() -> None:
    with GradientTape() as tape, pytest.raises(GradientError, match="recording already"):
        tape.__enter__()


def test_a_batch_jacobian_needs_as_many_rows() -> None:
    x = sg.tensor([[1.0], [2.0]])
    with GradientTape() as tape:
        tape.watch(x)
        y = sg.sum(x, axis=0)

    with pytest.raises(GradientError, match="same first axis"):
        tape.batch_jacobian(y, x)


def test_the_gradient_of_dropout_uses_the_very_mask_that_was_drawn() -> None:
    model = sg.Sequential([sg.layers.Dropout(0.5, input_shape=(64,))])
    x = sg.tensor(np.random.default_rng(0).uniform(1, 2, (3, 64)).astype(np.float32))

    with GradientTape() as tape:
        tape.watch(x)
        y = model(x, training=True)

    np.testing.assert_allclose(tape.gradient(y, x).numpy(), y.numpy() / x.numpy(), rtol=1e-6)
    assert 0 < np.count_nonzero(y.numpy()) < y.size


def test_moving_statistics_move_once_a_step() -> None:
    model = sg.Sequential([sg.layers.BatchNormalization(momentum=0.5, input_shape=(2,))])
    x = np.float32([[0.0, 2.0], [2.0, 6.0]])

    with GradientTape() as tape:
        y = sg.sum(model(x, training=True) ** 2)
    tape.gradient(y, model.trainable_variables)

    np.testing.assert_allclose(model.non_trainable_variables[0].numpy(), [0.5, 2.0])
