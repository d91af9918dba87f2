"""Input specifications: what they refuse, and of whom the error tells."""

import numpy as np
import pytest

from symgraph import layers
from symgraph.core.errors import LayerError
from symgraph.layers.input_spec import InputSpec


class Checked(layers.Layer):
    def __init__(self, spec, **options):
        super().__init__(**options)
        self.input_spec = spec

    def call(self, inputs):
        return inputs


FITTING = [
    (InputSpec(ndim=2), (3, 4)), (InputSpec(min_ndim=2, max_ndim=3), (3, 4, 5)), (InputSpec(shape=(None, 4)), (3, 4)),
    (InputSpec(axes={-1: 4, 0: None}), (3, 4)), (InputSpec(dtype="float32"), (3,)), (InputSpec(), ()),
    (InputSpec(shape=(None, 4, 1), allow_last_axis_squeeze=True), (3, 4)),
    (InputSpec(shape=(None, 4), allow_last_axis_squeeze=True), (3, 4, 1)),
]


@pytest.mark.parametrize(("spec", "shape"), FITTING)
def test_inputs_that_fit_pass(spec, shape):
    assert Checked(spec)(np.zeros(shape, np.float32)).shape == shape


REFUSED = [
    (InputSpec(ndim=2), (3,), "expects an input of 2 dimensions, got float32"),
    (InputSpec(min_ndim=2), (3,), "expects an input of at least 2 dimensions"),
    (InputSpec(max_ndim=2), (3, 4, 5), "expects an input of at most 2 dimensions"),
    (InputSpec(shape=(None, 4)), (3, 5), "expects an input of size 4 along axis 1"),
    (InputSpec(axes={-1: 4}), (3, 5), "expects an input of size 4 along axis -1"),
    (InputSpec(dtype="int32"), (3,), "expects an input of int32, got float32"),
    (InputSpec(shape=(None, 4, 1), allow_last_axis_squeeze=True), (3, 4, 2), "expects an input of 2 dimensions"),
]


@pytest.mark.parametrize(("spec", "shape", "message"), REFUSED)
def test_others_are_refused_with_the_name_of_the_layer(spec, shape, message):
    with pytest.raises(LayerError, match=rf'layer "mine" \(Checked\): {message}'):
        Checked(spec, name="mine")(np.zeros(shape, np.float32))


def test_a_list_has_one_for_each_input():
    layer = Checked([InputSpec(ndim=1), InputSpec(ndim=2)])
    layer([np.zeros(3, np.float32), np.zeros((3, 4), np.float32)])

    with pytest.raises(LayerError, match="expects 2 inputs, got 1"):
        layer([np.zeros(3, np.float32)])
    with pytest.raises(LayerError, match="expects input 1 of 2 dimensions"):
        layer([np.zeros(3, np.float32), np.zeros(3, np.float32)])


def test_inputs_of_a_dict_are_found_by_their_names():
    layer = Checked([InputSpec(ndim=2, name="b"), InputSpec(ndim=1, name="a", optional=True)])
    layer({"b": np.zeros((3, 4), np.float32)})

    with pytest.raises(LayerError, match="expects input a of 1 dimensions"):
        layer({"a": np.zeros((3, 4), np.float32), "b": np.zeros((3, 4), np.float32)})
    with pytest.raises(LayerError, match="expects inputs named 'b', 'a', got 'a'"):
        layer({"a": np.zeros(3, np.float32)})


def test_a_specification_that_build_sets_holds_from_then_on():
    class Fixed(layers.Layer):
        def build(self, input_shape):
            self.input_spec = InputSpec(axes={-1: input_shape[-1]})

        def call(self, inputs):
            return inputs

    layer = Fixed()
    layer(layers.Input((4,)))

    with pytest.raises(LayerError, match="size 4 along axis -1"):
        layer(layers.Input((5,)))


def test_a_specification_survives_its_configuration():
    spec = InputSpec(dtype="float32", shape=(None, 4), axes={-1: 4}, name="x")

    assert repr(InputSpec.from_config(spec.get_config())) == repr(spec)


def test_an_axis_beyond_the_rank_is_refused():
    with pytest.raises(LayerError, match="InputSpec: axes has axis 2, but there are 2 at most"):
        InputSpec(ndim=2, axes={2: 3})
