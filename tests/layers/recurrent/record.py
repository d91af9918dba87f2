"""Write down what Keras 3 computes with recurrent layers: `KERAS_BACKEND=torch python record.py`."""

import json
from pathlib import Path

import keras
import numpy as np

HERE = Path(__file__).resolve().parent

WAYS = [
    dict(), dict(return_sequences=True), dict(return_sequences=True, return_state=True),
    dict(return_sequences=True, go_backwards=True), dict(go_backwards=True, return_state=True), dict(use_bias=False),
    dict(activation="relu", return_sequences=True, return_state=True),
]
CASES = [
    *(dict(layer="SimpleRNN", arguments=dict(units=4, **way)) for way in WAYS),
    *(dict(layer="GRU", arguments=dict(units=4, reset_after=after, **way)) for way in WAYS for after in (True, False)),
    *(dict(layer="LSTM", arguments=dict(units=4, **way)) for way in WAYS),
    dict(layer="LSTM", arguments=dict(units=3, recurrent_activation="hard_sigmoid")),
    dict(layer="LSTM", arguments=dict(units=3, unit_forget_bias=False, return_state=True)),
    *(dict(layer=kind, arguments=dict(units=4, return_sequences=True, return_state=True), states=count)
      for kind, count in (("SimpleRNN", 1), ("GRU", 1), ("LSTM", 2))),
    *(dict(layer=kind, arguments=dict(units=4, return_sequences=True, **way), mask=True)
      for kind in ("SimpleRNN", "GRU", "LSTM")
      for way in (dict(return_state=True), dict(go_backwards=True), dict(zero_output_for_mask=True))),
    *(dict(layer="Bidirectional", inner=kind, arguments=dict(merge_mode=mode),
           inside=dict(units=4, return_sequences=sequences, return_state=kind == "LSTM"))
      for kind in ("GRU", "LSTM") for mode in ("concat", "sum", "mul", "ave", None) for sequences in (True, False)),
    dict(layer="Bidirectional", inner="LSTM", arguments={}, inside=dict(units=4, return_sequences=True), states=4),
    dict(layer="TimeDistributed", inner="Dense", arguments={}, inside=dict(units=4, activation="relu")),
]


def outputs_of(layer, x, options):
    y = layer(x, **options)
    return [keras.ops.convert_to_numpy(a) for a in (y if isinstance(y, list | tuple) else [y])]


def main():
    rng = np.random.default_rng(0)
    arrays = {}
    for number, case in enumerate(CASES):
        if "inner" in case:
            inner = getattr(keras.layers, case["inner"])(**case["inside"])
            layer = getattr(keras.layers, case["layer"])(inner, **case["arguments"])
        else:
            layer = getattr(keras.layers, case["layer"])(**case["arguments"])
        x = rng.standard_normal((2, 5, 3)).astype(np.float32)
        layer.build(x.shape)
        layer.set_weights([rng.standard_normal(w.shape).astype(np.float32) * 0.6 for w in layer.get_weights()])
        options = {}
        arrays[f"{number}/x"] = x
        if "states" in case:
            states = rng.standard_normal((case["states"], 2, 4)).astype(np.float32)
            arrays[f"{number}/states"], options["initial_state"] = states, list(states)
        if "mask" in case:
            mask = np.array([[True, True, False, True, False], [False, False, True, True, True]])
            arrays[f"{number}/mask"], options["mask"] = mask, mask
        case["names"] = [w.path.split("/")[-1] for w in layer.weights]
        for i, w in enumerate(layer.get_weights()):
            arrays[f"{number}/w{i}"] = w
        for i, y in enumerate(outputs_of(layer, x, options)):
            arrays[f"{number}/y{i}"] = y
    (HERE / "keras.json").write_text(json.dumps({"keras": keras.__version__, "cases": CASES}, indent=0) + "\n")
    np.savez_compressed(HERE / "keras.npz", **arrays)


if __name__ == "__main__":
    main()
