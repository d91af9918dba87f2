"""Write down what Keras 3 computes with recurrent layers that keep their states: `KERAS_BACKEND=torch python ...`."""

import json
from pathlib import Path

import keras
import numpy as np
import torch

HERE = Path(__file__).resolve().parent
BATCH, STEPS, SIZE = 2, 3, 4

CASES = [
    *(dict(layer=kind, arguments=dict(units=3, **way), mask=mask)
      for kind in ("SimpleRNN", "GRU", "LSTM") for way, mask in (
          (dict(), False), (dict(return_sequences=True), True), (dict(go_backwards=True), False),
          (dict(activation="relu"), True))),
    dict(layer="Bidirectional", inner=[dict(layer="LSTM", arguments=dict(units=3))], mask=False),
    dict(layer="Bidirectional", inner=[dict(layer="GRU", arguments=dict(units=3, return_sequences=True))], mask=True),
    dict(layer="RNN", inner=[dict(layer="LSTMCell", arguments=dict(units=3)),
                             dict(layer="GRUCell", arguments=dict(units=2))], mask=False),
    dict(layer="RNN", inner=[dict(layer="SimpleRNNCell", arguments=dict(units=3)),
                             dict(layer="LSTMCell", arguments=dict(units=2))], mask=True),
]


def make_layer(keras, case):
    inner = [getattr(keras.layers, each["layer"]) for each in case.get("inner", ())]
    if case["layer"] == "Bidirectional":
        return keras.layers.Bidirectional(inner[0](stateful=True, **case["inner"][0]["arguments"]))
    if case["layer"] == "RNN":
        cells = [make(**each["arguments"]) for make, each in zip(inner, case["inner"], strict=True)]
        return keras.layers.RNN(cells, stateful=True)
    return getattr(keras.layers, case["layer"])(stateful=True, **case["arguments"])


def make_model(keras, case):
    """A model with a recurrent layer that keeps its states, that layer, and two numbers for each example."""
    x = y = keras.Input(batch_shape=(BATCH, STEPS, SIZE))
    if case["mask"]:
        y = keras.layers.Masking()(y)
    layer = make_layer(keras, case)
    y = layer(y)
    y = y[:, 0] if len(y.shape) == 3 else y
    return keras.Model(x, keras.layers.Dense(2)(y)), layer


def states_of(layer):
    layers = [layer] if hasattr(layer, "states") else [layer.forward_layer, layer.backward_layer]
    return [np.array(keras.ops.convert_to_numpy(v)) for each in layers for v in keras.tree.flatten(each.states)]


def reset(layer):
    """What `reset_state` is for; it fails in Keras where states are nested."""
    layers = [layer] if hasattr(layer, "states") else [layer.forward_layer, layer.backward_layer]
    for each in layers:
        for v in keras.tree.flatten(each.states):
            v.assign(keras.ops.zeros_like(v))


def assign_elsewhere(variable, value):
    """Keras writes into the tensor that the way back needs with masks, and PyTorch refuses to train then."""
    if variable.path.endswith("rnn_state"):
        variable._value = torch.nn.Parameter(value.detach().clone(), requires_grad=False)
    else:
        assign_in_place(variable, value)


assign_in_place = keras.Variable._direct_assign
keras.Variable._direct_assign = assign_elsewhere


def main():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    arrays = {}
    for number, case in enumerate(CASES):
        x = rng.standard_normal((4 * BATCH, STEPS, SIZE)).astype("float32")
        if case["mask"]:
            x[1, 1:] = x[2] = x[5, :2] = 0.0
        y = rng.standard_normal((4 * BATCH, 2)).astype("float32")
        model, layer = make_model(keras, case)
        weights = [rng.standard_normal(w.shape).astype("float32") / 2 for w in model.get_weights()]
        model.set_weights(weights)
        found = {"x": x, "y": y, **{f"weight{i}": w for i, w in enumerate(weights)}}

        found["first"] = model.predict(x, batch_size=BATCH, verbose=0)
        found["second"] = model.predict(x, batch_size=BATCH, verbose=0)
        found.update((f"state{i}", v) for i, v in enumerate(states_of(layer)))
        found["third"] = model.predict_on_batch(x[:BATCH])
        found["fourth"] = keras.ops.convert_to_numpy(model(x[BATCH:2 * BATCH]))

        reset(layer)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        options = dict(batch_size=BATCH, shuffle=False, verbose=0, epochs=2)
        kept = model.fit(x, y, **options).history["loss"]
        found.update((f"trained_state{i}", v) for i, v in enumerate(states_of(layer)))

        model.set_weights(weights)
        begin = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_, layer=layer: reset(layer))
        fresh = model.fit(x, y, callbacks=[begin], **options).history["loss"]
        found["losses"] = np.array([kept, fresh])
        found["evaluated"] = np.array(model.evaluate(x, y, batch_size=BATCH, verbose=0))
        found.update((f"trained_weight{i}", w) for i, w in enumerate(model.get_weights()))
        arrays.update({f"{number}/{name}": array for name, array in found.items()})
    np.savez_compressed(HERE / "stateful.npz", **arrays)
    (HERE / "stateful.json").write_text(json.dumps(CASES, indent=1) + "\n")


if __name__ == "__main__":
    main()
