"""Small networks with masks in them, as data: `record.py` builds them with Keras, the tests with symgraph.

A network is the name of what is fed, or a list: the name of a layer, its arguments, the network it is applied to or a
list of several, and networks and values that its call is given besides.
"""

import numpy as np

VALUE = 2.0
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0],
                 [0, 0, 0, 0, 0, 0]], bool)
"""Examples whose steps all count, with padding behind, in front and in between, and one of which none counts."""

M = ["Masking", {"mask_value": VALUE}, "x"]
E = ["Embedding", {"input_dim": 7, "output_dim": 3, "mask_zero": True}, "ids"]
F = ["Masking", {}, "filled"]
WAYS = [{}, {"return_sequences": True}, {"return_sequences": True, "return_state": True},
        {"return_sequences": True, "go_backwards": True}, {"go_backwards": True, "return_state": True},
        {"zero_output_for_mask": True, "return_sequences": True}, {"zero_output_for_mask": True},
        {"zero_output_for_mask": True, "go_backwards": True, "return_sequences": True, "return_state": True}]
KEEPING = {
    "Dense": {"units": 2, "activation": "tanh"}, "Activation": {"activation": "relu"}, "Dropout": {"rate": 0.5},
    "Identity": {}, "ReLU": {}, "LeakyReLU": {}, "PReLU": {}, "ELU": {}, "LayerNormalization": {},
    "GroupNormalization": {"groups": 3}, "UnitNormalization": {}, "BatchNormalization": {},
    "SpatialDropout1D": {"rate": 0.5}, "GaussianNoise": {"stddev": 0.5}, "GaussianDropout": {"rate": 0.5},
    "AlphaDropout": {"rate": 0.5}}
MERGING = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")


def lstm(x, *options, **arguments):
    return ["LSTM", {"units": 4, "return_sequences": True, **arguments}, x, *options]


NETWORKS = [
    M, ["Masking", {}, "x"], E, ["Embedding", {"input_dim": 7, "output_dim": 3}, "ids"],
    *([kind, {"units": 4, **way}, M] for kind in ("SimpleRNN", "GRU", "LSTM") for way in WAYS),
    ["GRU", {"units": 4, "reset_after": False, "return_sequences": True}, E],
    lstm(M, activation="relu", return_state=True), lstm(M, activation="relu", zero_output_for_mask=True),
    lstm(lstm(E, go_backwards=True)),
    ["RNN", {"cell": [["LSTMCell", {"units": 3}], ["GRUCell", {"units": 2}]], "return_sequences": True,
             "return_state": True}, M],
    lstm("x", {"mask": "mask"}, return_state=True),
    lstm("x", {"mask": "mask", "initial_state": ["h", "c"]}, return_state=True),
    ["Bidirectional", {"layer": ["LSTM", {"units": 4, "return_sequences": True}]}, M],
    ["Bidirectional", {"layer": ["GRU", {"units": 4, "return_sequences": True}], "merge_mode": None}, E],
    ["Bidirectional", {"layer": ["LSTM", {"units": 4, "return_state": True}], "merge_mode": "sum"}, M],
    ["Bidirectional", {"layer": ["GRU", {"units": 4}]}, "x", {"mask": "mask"}],
    ["TimeDistributed", {"layer": ["Dense", {"units": 2}]}, M],
    ["TimeDistributed", {"layer": ["LSTM", {"units": 2}]}, ["Masking", {"mask_value": VALUE}, "x4"]],
    *([name, arguments, M] for name, arguments in KEEPING.items()),
    ["BatchNormalization", {}, M, {"training": True}],
    ["BatchNormalization", {"axis": 1}, "x", {"mask": "mask", "training": True}],
    ["Softmax", {}, "scores", {"mask": "mask"}], ["Softmax", {"axis": [1, 2]}, "x", {"mask": "wide"}],
    ["GlobalAveragePooling1D", {}, F], ["GlobalAveragePooling1D", {"keepdims": True}, F],
    ["GlobalAveragePooling1D", {"data_format": "channels_first"}, ["Permute", {"dims": [2, 1]}, "x"],
     {"mask": "most"}],
    *([name, {}, [M, ["Dense", {"units": 3}, E]]] for name in MERGING),
    *([name, {}, [M, ["Dense", {"units": 3}, "x"]]] for name in ("Add", "Concatenate")),
    ["Concatenate", {"axis": 1}, [M, E]], ["Concatenate", {"axis": 1}, [M, ["Dense", {"units": 3}, "x"]]],
    ["Dot", {"axes": 2}, [M, E]],
    lstm(["Dropout", {"rate": 0.5}, ["Dense", {"units": 3}, ["Concatenate", {}, [M, E]]]]),
    ["Dense", {"units": 2}, ["GlobalAveragePooling1D", {}, lstm(F)]],
    ["Attention", {}, [M, E]], ["MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, M, {"value": E}],
]


def feeds(rng):
    """What the networks are fed with, by name; steps that are left out hold `VALUE` or 0."""
    most = MASK.copy()
    most[4, 2] = True
    numbers = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in {
        "x": (5, 6, 3), "filled": (5, 6, 3), "x4": (5, 2, 3, 3), "scores": (5, 6), "h": (5, 4), "c": (5, 4)}.items()}
    numbers["x"][~MASK] = VALUE
    numbers["x4"][~MASK.reshape(5, 2, 3)] = VALUE
    numbers["filled"][~most] = 0
    ids = np.where(MASK[::-1], rng.integers(1, 7, MASK.shape), 0).astype(np.int32)
    return {**numbers, "ids": ids, "mask": MASK, "most": most, "wide": rng.random((5, 6, 3)) < 0.7}


def names_in(network):
    """The names of what a network is fed with."""
    if isinstance(network, str):
        return [network]
    if isinstance(network, dict):
        network = [x for x in network.values() if not isinstance(x, bool)]
        return [name for x in network for name in names_in(x)]
    if isinstance(network[0], str) and isinstance(network[1], dict):
        return names_in(network[2]) + [name for options in network[3:] for name in names_in(options)]
    return [name for x in network for name in names_in(x)]


class Network:
    """A network made of the layers of a library; applied a second time it has the same weights."""

    def __init__(self, library, network):
        self.library, self.network = library, network
        self.layers = {}

    def __call__(self, given):
        """Its outputs for what is fed, by name."""
        return self._apply(self.network, given, ())

    def _apply(self, network, given, path):
        if isinstance(network, bool):
            return network
        if isinstance(network, str):
            return given[network]
        if not (isinstance(network[0], str) and isinstance(network[1], dict)):
            return [self._apply(x, given, (*path, i)) for i, x in enumerate(network)]
        if path not in self.layers:
            self.layers[path] = self._make(*network[:2])
        inputs = self._apply(network[2], given, (*path, 0))
        options = {name: self._apply(x, given, (*path, name)) for name, x in dict(*network[3:]).items()}
        return self.layers[path](inputs, **options)

    def _make(self, name, arguments):
        return getattr(self.library, name)(**{
            k: self._inner(v) if k in ("layer", "cell") else v for k, v in arguments.items()})

    def _inner(self, inner):
        return self._make(*inner) if isinstance(inner[0], str) else [self._make(*each) for each in inner]
