import numpy as np
import onnxruntime as ort
import pytest

import symgraph as sg
from symgraph.core.errors import DtypeError, GraphError, LayerError


def two_towers():
    image, extra = sg.Input((8, 8, 2), name="image"), sg.Input((3,), name="extra")
    shared = sg.layers.Dense(4, activation="tanh", name="shared")
    pooled = sg.layers.GlobalAveragePooling2D(name="pooled")(sg.layers.Conv2D(3, 3, name="conv")(image))
    joined = sg.layers.Concatenate(name="joined")([shared(pooled), shared(extra)])
    skip = sg.layers.Add(name="skip")([joined, joined * 2.0])
    return sg.Model([image, extra], {"score": sg.layers.Dense(1, name="score")(skip), "joined": joined}, name="towers")


def data(count=5):
    rng = np.random.default_rng(0)
    return rng.random((count, 8, 8, 2), np.float32), rng.random((count, 3), np.float32)


def test_inputs_are_given_as_a_list_or_by_name():
    model = two_towers()
    image, extra = data()

    listed = model.predict([image, extra])
    named = model.predict({"extra": extra, "image": image})

    assert set(listed) == {"score", "joined"}
    np.testing.assert_array_equal(listed["score"], named["score"])


@pytest.mark.parametrize("x", [
    {"image": data()[0]}, {"image": data()[0], "extra": data()[1], "more": data()[1]}, [data()[0]], data()[0]])
def test_missing_and_unknown_inputs_are_named(x):
    with pytest.raises(LayerError, match="extra"):
        two_towers().predict(x)


@pytest.mark.parametrize(("image", "message"), [
    (data()[0].astype(np.complex64), r"image.*complex64.*float32"),
    (data()[0][..., :1], r"image.*8, 8, 1.*8, 8, 2"),
    (data()[0][0], r"image.*8, 8, 2"),
    (data()[0].astype(str), r"image.*string.*float32"),
])
def test_a_wrong_array_is_reported_with_what_was_expected(image, message):
    with pytest.raises(ValueError, match=message):
        two_towers().predict([image, data()[1]])


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "uint8", "bool"])
def test_predict_casts_numbers_as_training_does(dtype):
    model = sg.Model(x := sg.Input((2,)), x * 2.0)
    x = np.array([[0, 1], [1, 1], [1, 0]], dtype)

    for result in (model.predict(x), model.predict(x, batch_size=2), model.predict_on_batch(x), model(x).numpy()):
        np.testing.assert_array_equal(result, x.astype("float32") * 2)


def test_whole_numbers_are_cast_to_others_only_where_they_fit():
    model = sg.Model(x := sg.Input((2,), dtype="int32"), x + 1)

    assert model.predict(np.array([[1, 2]], "int64")).tolist() == [[2, 3]]
    with pytest.raises(DtypeError, match=r"int64.*int32"):
        model.predict(np.array([[1, 2**40]]))
    with pytest.raises(DtypeError, match=r"float32.*int32"):
        model.predict(np.array([[1.0, 2.0]], "float32"))


def test_a_missing_last_axis_of_one_is_added_and_one_too_many_left_out():
    wide, flat = sg.Model(x := sg.Input((1,)), x * 2.0), sg.Model(y := sg.Input((2,)), y * 2.0)

    assert wide.predict(np.float32([1, 2])).tolist() == wide(np.float32([1, 2])).numpy().tolist() == [[2], [4]]
    assert flat.predict(np.ones((3, 2, 1), np.float32)).shape == flat(np.ones((3, 2, 1), np.float32)).shape == (3, 2)


def test_a_list_with_the_only_input_is_that_input():
    model = sg.Model(x := sg.Input((2,)), x * 2.0)

    assert model.predict([np.ones((3, 2), np.float32)]).shape == (3, 2)
    assert model.predict([np.ones(2, np.float32)]).shape == (1, 2)


def test_different_numbers_of_samples_are_reported():
    with pytest.raises(LayerError, match=r"samples.*image: 5.*extra: 4"):
        two_towers().predict([data(5)[0], data(4)[1]])


def test_an_empty_batch_gives_empty_results():
    assert two_towers().predict(list(data(0)))["score"].shape == (0, 1)


def test_lists_strided_and_big_endian_arrays_just_work():
    model = sg.Model(x := sg.Input((2,)), x * 2.0)

    assert model.predict([[1.0, 2.0]]).tolist() == [[2, 4]]
    assert model.predict(np.arange(8, dtype=np.float32).reshape(2, 4)[:, ::2]).tolist() == [[0, 4], [8, 12]]
    assert model.predict(np.array([[1, 2]], ">f4")).tolist() == [[2, 4]]


def test_predict_never_overwrites_an_earlier_result():
    model = sg.Model(x := sg.Input((2,)), x + 1.0)
    first = model.predict(np.zeros((3, 2), np.float32))
    model.predict(np.ones((3, 2), np.float32))

    assert first.tolist() == [[1, 1]] * 3


def test_a_call_on_values_equals_predict_and_the_layers_one_by_one():
    model = two_towers()
    image, extra = data()

    called = model([image, extra])
    alone = model.get_layer("conv")(image)

    np.testing.assert_allclose(called["score"].numpy(), model.predict([image, extra])["score"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(alone.numpy(), model.execute([image, extra], "conv").numpy(), rtol=1e-5, atol=1e-6)


def test_layers_come_in_order_and_shared_ones_once():
    assert [layer.name for layer in two_towers().layers] == [
        "image", "extra", "conv", "pooled", "shared", "joined", "skip", "score"]


def test_only_what_is_asked_for_is_computed_and_fed():
    model = two_towers()

    pooled = model.execute({"image": data()[0], "extra": data()[1]}, ["pooled"])

    assert pooled[0].shape == (5, 3)
    assert [n.op.name for n in model._session(("pooled",)).graph.nodes].count("MatMul") == 0


def test_a_tensor_between_layers_is_found_by_name():
    model = two_towers()

    assert model.get_tensor("Mul").shape == (None, 8)
    with pytest.raises(GraphError, match="pooled"):
        model.execute(list(data()), ["poold"])


def test_weights_are_set_all_or_none():
    model = two_towers()
    before = model.get_weights()

    with pytest.raises(LayerError, match=r"conv/bias.*\(3,\).*\(4,\)"):
        model.set_weights([before[0] + 1, np.zeros(4), *before[2:]])
    with pytest.raises(LayerError, match="conv/bias' does not fit: could not convert"):
        model.set_weights([before[0] + 1, np.array(["a", "b", "c"]), *before[2:]])
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_predictions_follow_the_weights():
    model = two_towers()
    before = model.predict(list(data()))["score"]
    model.set_weights([w * 0 for w in model.get_weights()])

    assert np.any(before != 0)
    assert not model.predict(list(data()))["score"].any()


def test_a_nested_model_is_a_layer():
    inner = sg.Sequential([sg.layers.Dense(4, activation="relu", name="a"), sg.layers.Dense(2, name="b")], name="inner")
    x = sg.Input((3,))
    outer = sg.Model(x, sg.layers.Dense(1, name="top")(inner(x)))
    point = np.ones((2, 3), np.float32)

    assert [layer.name for layer in outer.layers[1:]] == ["inner", "top"]
    assert len(outer.weights) == 6
    np.testing.assert_allclose(
        outer.predict(point), outer.get_layer("top")(inner.predict(point)).numpy(), rtol=1e-5, atol=1e-6)
    assert outer.execute(point, "inner").shape == (2, 2)


def test_a_subclass_with_a_call_predicts_and_exports(tmp_path):
    class TwoHeads(sg.Model):
        def __init__(self):
            super().__init__(name="two_heads")
            self.body = sg.layers.Dense(4, activation="relu")
            self.heads = [sg.layers.Dense(1), sg.layers.Dense(2)]

        def call(self, inputs, training=False):
            x = self.body(inputs)
            return [head(x) for head in self.heads]

    model = TwoHeads()
    x = np.random.default_rng(0).random((3, 5), np.float32)
    eager = model(x)
    compiled = model.predict(x)
    model.export(tmp_path / "m.onnx")

    session = ort.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    alone = session.run(None, {session.get_inputs()[0].name: x})
    assert len(model.layers) == 3 and len(model.weights) == 6
    for a, b, c in zip(eager, compiled, alone, strict=True):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(b, c, rtol=1e-5, atol=1e-6)
    assert [y.shape for y in model.predict(x[:1])] == [(1, 1), (1, 2)]


def test_training_mode_reaches_every_layer_and_updates_moving_averages():
    model = sg.Sequential([sg.Input((4,)), sg.layers.BatchNormalization(), sg.layers.Dropout(0.5, seed=1)])
    x = np.random.default_rng(0).random((64, 4), np.float32) + 3

    still = model(x)
    moving = model.layers[0].non_trainable_weights[0].numpy().copy()
    trained = model(x, training=True)

    np.testing.assert_allclose(still.numpy(), x / np.sqrt(1.001), rtol=1e-4)
    assert (trained.numpy() == 0).mean() > 0.3
    np.testing.assert_allclose(
        model.layers[0].non_trainable_weights[0].numpy(), moving * 0.99 + x.mean(0) * 0.01, rtol=1e-4)


def test_a_submodel_may_start_inside_a_layer():
    x = sg.Input((3,))
    dense = sg.layers.Dense(2, activation="relu", name="dense")
    model = sg.Model(x, dense(x))
    product = model.get_tensor("dense/MatMul")

    tail = sg.Model(product, model.output)

    point = np.float32([[-5, 5]])
    np.testing.assert_allclose(tail.predict(point), np.maximum(point + dense.bias.numpy(), 0))


def test_inputs_that_do_not_lead_to_the_outputs_are_reported():
    a, b = sg.Input((3,), name="a"), sg.Input((3,), name="b")

    with pytest.raises(GraphError, match=r"'b'.*given: 'a'"):
        sg.Model(a, sg.layers.Add()([a, b]))


@pytest.mark.parametrize("arguments", [
    {"inputs": 3, "outputs": 4}, {"inputs": np.ones(3)}, {"inputs": np.ones(3), "outputs": np.ones(3)}])
def test_a_model_is_made_of_symbols(arguments):
    with pytest.raises(LayerError, match="inputs"):
        sg.Model(**arguments)


def test_the_summary_counts_parameters(capsys):
    two_towers().summary()
    text = capsys.readouterr().out

    assert "conv (Conv2D)" in text and "(?, 6, 6, 3)" in text
    assert "Total params: 82" in text


def test_a_fixed_batch_size_is_kept():
    x = sg.Input((2,), batch_size=2)
    model = sg.Model(x, x + 1.0)

    assert model.predict(np.zeros((6, 2), np.float32)).shape == (6, 2)
    with pytest.raises(LayerError, match="batches of exactly 2, got 3"):
        model.predict(np.zeros((3, 2), np.float32))


def test_outputs_that_are_not_one_for_each_sample_are_not_joined():
    x = sg.Input((2,))
    model = sg.Model(x, sg.sum(x))

    assert model.predict(np.ones((4, 2), np.float32)) == 8
    with pytest.raises(LayerError, match="not one result for each sample"):
        model.predict(np.ones((40, 2), np.float32))


def test_dispose_frees_the_weights():
    model = two_towers()
    model.dispose()

    with pytest.raises(RuntimeError, match="dispose"):
        model.predict(list(data()))


def test_pinned_tensors_stay_in_an_optimised_file_under_their_names(tmp_path):
    x = sg.Input((4,), name="x")
    hidden = sg.layers.Dropout(0.5, name="drop")(sg.layers.Dense(3, name="hidden")(x))
    model = sg.Model(x, sg.layers.Dense(2, name="top")(hidden))
    point = np.ones((2, 4), np.float32)
    model.export(tmp_path / "plain.onnx")
    model.export(tmp_path / "pinned.onnx", pin=["drop", "hidden"])

    back = sg.load_onnx(tmp_path / "pinned.onnx")

    assert back.output_names == ["top"]
    for name in ("drop", "hidden"):
        np.testing.assert_array_equal(back.execute(point, name).numpy(), model.execute(point, "hidden").numpy())
    with pytest.raises(GraphError, match="drop"):
        sg.load_onnx(tmp_path / "plain.onnx").get_tensor("drop")


@pytest.mark.parametrize("opset", [5, 99])
def test_an_opset_that_does_not_exist_is_refused_and_nothing_written(opset, tmp_path):
    x = sg.Input((4,))

    with pytest.raises(sg.UnsupportedOpError, match=f"opset {opset}.*7 to"):
        sg.Model(x, x * 2.0).export(tmp_path / "m.onnx", opset=opset)
    assert list(tmp_path.iterdir()) == []
