import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import OpError


def test_it_compiles_once_for_each_kind_of_input_and_opens_what_differs():
    calls = []

    @sg.function
    def double(x):
        calls.append(x.shape)
        return x * 2

    for size in (3, 3, 4, 5, 6):
        assert double(np.ones((2, size), np.float32)).shape == (2, size)
    double(np.ones((2, 3), np.int32))

    assert calls == [(2, 3), (2, None), (2, 3)]


def test_python_arguments_are_part_of_what_is_compiled():
    @sg.function
    def power(x, n, *, negate=False):
        return {"y": -(x**n) if negate else x**n}

    assert float(power(sg.scalar(3.0), 2)["y"]) == 9.0
    assert float(power(sg.scalar(3.0), 3, negate=True)["y"]) == -27.0


def test_variables_are_read_and_assigned_at_every_call():
    total = sg.Variable(0.0)

    @sg.function
    def add(x):
        total.assign_add(x)
        total.assign_add(x)
        return total * 10.0

    assert float(add(sg.scalar(1.0))) == 20.0
    total.assign(5.0)
    assert float(add(sg.scalar(1.0))) == 70.0
    assert float(total) == 7.0


def test_random_numbers_differ_from_call_to_call():
    @sg.function
    def noise(x):
        return x + sg.random.normal((4,))

    zero = np.zeros(4, np.float32)
    assert not np.array_equal(noise(zero).numpy(), noise(zero).numpy())


def test_on_symbols_it_is_just_called():
    @sg.function
    def double(x):
        return x * 2

    x = sg.Input((3,))
    assert isinstance(double(x), sg.SymbolicTensor)


def test_methods_can_be_compiled():
    class Scaler:
        def __init__(self):
            self.factor = sg.Variable(3.0)

        @sg.function
        def scale(self, x):
            return x * self.factor

    scaler = Scaler()
    assert float(scaler.scale(sg.scalar(2.0))) == 6.0


@pytest.mark.parametrize("result", [None, "text"])
def test_what_is_no_tensor_cannot_be_returned(result):
    with pytest.raises(OpError, match="returns tensors"):
        sg.function(lambda x: [x, result])(sg.scalar(1.0))
