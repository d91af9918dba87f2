"""Normalisations, losses, attention, recurrent networks; small networks by a tape."""

import numpy as np

import symgraph as sg
from tests.autodiff.cases import normal, positive
from tests.autodiff.peers.libraries import F, jax, jnp, torch
from tests.autodiff.peers.peer import EVERY, USUAL, row

onnx = sg.ops.onnx
x, w, b = normal(2, 4, 3), positive(4), normal(4, seed=3)
LABELS = np.array([[0, 3, 1], [2, 2, 0]])
MEAN, VARIANCE = normal(4, seed=4), positive(4, seed=5)
MASK = np.array([[True, True, False], [True, False, True]])

NORMALISATIONS = [
    row("layer_normalization", lambda x, w, b: sg.layer_normalization(x, w, b, epsilon=1e-5),
        "torch.nn.functional.layer_norm",
        normal(3, 4), w, b, theirs=lambda x, w, b: F.layer_norm(x, (4,), w, b), asks=EVERY),
    row("LayerNormalization of two axes", lambda x, w, b: onnx("LayerNormalization", x, w, b, axis=1),
        "torch.nn.functional.layer_norm",
        x, normal(4, 3), normal(4, 3, seed=1), theirs=lambda x, w, b: F.layer_norm(x, (4, 3), w, b)),
    row("rms_normalization", lambda x, w: sg.rms_normalization(x, w, epsilon=1e-5), "torch.nn.functional.rms_norm",
        normal(3, 4), w,
        theirs=lambda x, w: F.rms_norm(x, (4,), w, 1e-5)),
    row("BatchNormalization", lambda x, w, b: onnx("BatchNormalization", x, w, b, MEAN, VARIANCE),
        "torch.nn.functional.batch_norm",
        x, w, b, theirs=lambda x, w, b: F.batch_norm(x, torch.tensor(MEAN), torch.tensor(VARIANCE), w, b)),
    row("batch_normalization", lambda x, m, v, s, w: sg.batch_normalization(x, m, v, 1, s, w), "jax.nn.standardize",
        x, normal(4, seed=4), positive(4, seed=5), b, w, theirs=lambda x, m, v, s, w: jax.nn.standardize(
            x, mean=m[:, None], variance=v[:, None], epsilon=1e-3) * w[:, None] + s[:, None]),
    row("BatchNormalization in training", lambda x, w, b: onnx(
        "BatchNormalization", x, w, b, np.zeros(4), np.ones(4), training_mode=1, outputs=3)[0],
        "torch.nn.functional.batch_norm",
        x, w, b, theirs=lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)),
    row("InstanceNormalization", lambda x, w, b: onnx("InstanceNormalization", x, w, b),
        "torch.nn.functional.instance_norm",
        x, w, b, theirs=lambda x, w, b: F.instance_norm(x, weight=w, bias=b)),
    row("GroupNormalization", lambda x, w, b: onnx("GroupNormalization", x, w, b, num_groups=2),
        "torch.nn.functional.group_norm",
        x, w, b, theirs=lambda x, w, b: F.group_norm(x, 2, w, b)),
    row("LRN", lambda x: onnx("LRN", x, size=3, alpha=0.5, bias=2.0), "torch.nn.functional.local_response_norm",
        normal(1, 4, 2, 1),
        theirs=lambda x: F.local_response_norm(x, 3, 0.5, 0.75, 2.0), dtype="float32"),
    row("normalize", sg.normalize, "torch.nn.functional.normalize", normal(2, 3),
        theirs=lambda x: F.normalize(x, dim=-1)),
    row("LpNormalization", lambda x: onnx("LpNormalization", x, p=1, axis=0), "torch.nn.functional.normalize",
        normal(2, 3),
        theirs=lambda x: F.normalize(x, 1.0, 0)),
    row("softmax of an axis", lambda x: sg.softmax(x, axis=1), "jax.nn.softmax", x,
        theirs=lambda x: jax.nn.softmax(x, axis=1)),
    row("log_softmax of an axis", lambda x: sg.log_softmax(x, axis=0), "torch.nn.functional.log_softmax", normal(2, 3),
        theirs=lambda x: F.log_softmax(x, 0), asks=EVERY),
]


def loss(op, call, reduction, ignored=None, weighted=True):
    """A loss of ONNX beside that of PyTorch."""
    attributes = {"reduction": reduction, **({} if ignored is None else {"ignore_index": ignored})}
    weights = (positive(4),) if weighted else ()
    title = f"{op} {reduction}{'' if ignored is None else ' ignoring'}{'' if weighted else ', unweighted'}"
    return row(title, lambda x: onnx(op, x, LABELS, *weights, **attributes), f"torch.nn.functional.{call}", x,
               theirs=lambda x: getattr(F, call)(x, torch.tensor(LABELS), *map(torch.tensor, weights), **attributes))


LOSSES = [
    *(loss("SoftmaxCrossEntropyLoss", "cross_entropy", reduction) for reduction in ("mean", "sum", "none")),
    loss("SoftmaxCrossEntropyLoss", "cross_entropy", "mean", 2),
    loss("SoftmaxCrossEntropyLoss", "cross_entropy", "mean", None, False),
    *(loss("NegativeLogLikelihoodLoss", "nll_loss", reduction) for reduction in ("mean", "sum", "none")),
    loss("NegativeLogLikelihoodLoss", "nll_loss", "mean", 2),
    row("mean_squared_error", sg.losses.mean_squared_error, "torch.nn.functional.mse_loss", normal(2, 3),
        normal(2, 3, seed=1),
        theirs=lambda x, y: F.mse_loss(x, y, reduction="none").mean(-1)),
    row("binary cross-entropy of logits", lambda x, y: sg.mean(sg.softplus(x) - x * y),
        "torch.nn.functional.binary_cross_entropy_with_logits", normal(2, 3), positive(2, 3) / 2.1,
        theirs=lambda x, y: F.binary_cross_entropy_with_logits(x, y), asks=EVERY),
    row("Huber's loss", lambda x, y: sg.mean(sg.where(abs(x - y) < 0.7, 0.5 * (x - y) ** 2, 0.7 * (abs(x - y) - 0.35))),
        "torch.nn.functional.huber_loss", normal(2, 3), normal(2, 3, seed=1),
        theirs=lambda x, y: F.huber_loss(x, y, delta=0.7)),
    row("divergence of Kullback and Leibler", lambda x, y: sg.sum(sg.xlogy(y, y) - y * x), "torch.nn.functional.kl_div",
        normal(2, 3), positive(2, 3), theirs=lambda x, y: F.kl_div(x, y, reduction="sum")),
    row("cosine similarity", lambda x, y: sg.sum(sg.normalize(x) * sg.normalize(y), axis=-1),
        "torch.nn.functional.cosine_similarity", normal(2, 3), normal(2, 3, seed=1),
        theirs=lambda x, y: F.cosine_similarity(x, y, dim=-1)),
]

SOFTMAX = 1e-5
"""JAX's attention takes its softmax in float32 whatever it is given."""

heads = normal(1, 2, 2, 4), normal(1, 2, 3, 4), normal(1, 2, 3, 2)
alike = normal(1, 3, 2, 2), normal(1, 3, 2, 2, seed=1), normal(1, 3, 2, 2, seed=2)
ATTENTION = [
    row("Attention", lambda q, k, v: onnx("Attention", q, k, v), "torch.nn.functional.scaled_dot_product_attention",
        *heads),
    row("Attention with a mask", lambda q, k, v: onnx("Attention", q, k, v, MASK),
        "torch.nn.functional.scaled_dot_product_attention",
        *heads, theirs=lambda q, k, v: F.scaled_dot_product_attention(q, k, v, torch.tensor(MASK))),
    row("Attention, causal", lambda q, k, v: onnx("Attention", q, k, v, is_causal=1),
        "torch.nn.functional.scaled_dot_product_attention",
        *alike, theirs=lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        asks=("vjp",)),  # PyTorch has no second derivative of it
    row("dot_product_attention", sg.dot_product_attention, "jax.nn.dot_product_attention", *alike,
        rtol=SOFTMAX),
    row("dot_product_attention, causal", lambda q, k, v: sg.dot_product_attention(q, k, v, is_causal=True),
        "jax.nn.dot_product_attention", *alike,
        theirs=lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=True), rtol=SOFTMAX),
]


def recurrent_point(gates, directions, states):
    """X, W, R, B and the first states of a network of 2 hidden units."""
    shapes = [(3, 2, 2), (directions, gates * 2, 2), (directions, gates * 2, 2), (directions, gates * 4)]
    return [normal(*shape, seed=i) for i, shape in enumerate(shapes + [(directions, 2, 2)] * states)]


def weights_of(order, w, r, b):
    """The flat list of PyTorch's weights from ONNX's, whose gates are in another order."""
    def turned(rows):
        return torch.cat([rows[2 * gate:2 * gate + 2] for gate in order])

    half = 2 * len(order)
    return [turned(part) for i in range(len(w)) for part in (w[i], r[i], b[i][:half], b[i][half:])]


def by_torch(call, order, directions):
    """X, W, R, B, states -> ONNX's outputs, by PyTorch's function."""
    def function(x, w, r, b, *states):
        first = states if len(states) > 1 else states[0]
        y, *last = call(x, first, weights_of(order, w, r, b), True, 1, 0.0, False, directions == 2, False)
        return y.reshape(3, 2, directions, 2).transpose(1, 2), *last

    return function


def recurrent(op, source, call, order, states, directions=1, **attributes):
    """RNN, GRU or LSTM beside that of PyTorch."""
    direction = "bidirectional" if directions == 2 else "forward"
    return row(f"{op} {direction}", lambda x, w, r, b, *s: onnx(
        op, x, w, r, b, None, *s, hidden_size=2, direction=direction, outputs=1 + states, **attributes), source,
        *recurrent_point(len(order), directions, states), theirs=by_torch(call, order, directions), dtype="float32")


RECURRENT = [
    recurrent(op, source, lambda *given, name=name: getattr(torch, name)(*given), order, states, directions,
              **attributes)
    for op, source, name, order, states, attributes in [
        ("RNN", "torch.rnn_tanh", "rnn_tanh", (0,), 1, {}),
        ("GRU", "torch.gru", "gru", (1, 0, 2), 1, {"linear_before_reset": 1}),
        ("LSTM", "torch.lstm", "lstm", (0, 2, 3, 1), 2, {})]
    for directions in (1, 2)
]


def perceptron(sigmoid, tanh, log_softmax):
    """The loss of a network of three layers, in any library."""
    def function(x, w1, b1, w2, b2, w3):
        y = log_softmax(sigmoid(tanh(x @ w1 + b1) @ w2 + b2) @ w3)
        return -(y[0, 0] + y[1, 2] + y[2, 1]) / 3

    return function


MLP = normal(3, 4), normal(4, 5), normal(5), normal(5, 4), normal(4), normal(4, 3)
CNN = normal(1, 1, 6, 6), normal(2, 1, 3, 3), normal(2), normal(3, 2, 2, 2), normal(3, 2)
BLOCK = normal(1, 3, 4), normal(4, 12) / 2, normal(4, 4) / 2, positive(4), normal(4), normal(4, 8) / 2, normal(8, 4) / 2


def pictures(conv, relu, pool, mean, logsumexp):
    """The loss of two convolutions and a classifier."""
    def function(x, w1, b1, w2, w3):
        y = mean(conv(pool(relu(conv(x, w1) + b1.reshape((1, 2, 1, 1)))), w2)) @ w3
        return logsumexp(y) - y[0, 1]

    return function


def block(layer_norm, attention, gelu, total):
    """A transformer block before a sum of squares."""
    def function(x, w, u, g, s, w1, w2):
        y = layer_norm(x, g, s) @ w
        split = [y[..., 4 * i:4 * i + 4].reshape((1, 3, 2, 2)) for i in range(3)]
        x = x + attention(*split).reshape((1, 3, 4)) @ u
        y = x + gelu(layer_norm(x, g, s) @ w1) @ w2
        return total(y * y)

    return function


def _norm_by_jax(x, g, s):
    centred = x - jnp.mean(x, -1, keepdims=True)
    return centred / jnp.sqrt(jnp.mean(centred**2, -1, keepdims=True) + 1e-5) * g + s


def _attention_by_torch(q, k, v):
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):  # the other has no second derivatives
        return F.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)), is_causal=True).transpose(1, 2)


mlp = perceptron(sg.sigmoid, sg.tanh, sg.log_softmax)
cnn = pictures(lambda x, w: onnx("Conv", x, w), sg.relu,
               lambda x: onnx("MaxPool", x, kernel_shape=(2, 2), strides=(2, 2)),
               lambda x: sg.mean(x, (2, 3)), sg.logsumexp)
transformer = block(lambda x, g, s: sg.layer_normalization(x, g, s, epsilon=1e-5),
                    lambda *qkv: sg.dot_product_attention(*qkv, is_causal=True), sg.gelu, sg.sum)
NETWORKS = [
    row("a network of three layers", mlp, "jax.nn", *MLP, asks=("tape", *EVERY),
        theirs=lambda *xs: perceptron(jax.nn.sigmoid, jnp.tanh, jax.nn.log_softmax)(*xs)),
    row("a network of three layers, torch", mlp, "torch.nn.functional", *MLP, asks=("tape", *USUAL),
        theirs=lambda *xs: perceptron(torch.sigmoid, torch.tanh, lambda y: F.log_softmax(y, -1))(*xs)),
    row("a convolutional network", cnn, "torch.nn.functional", *CNN, asks=("tape", *USUAL),
        theirs=lambda *xs: pictures(F.conv2d, F.relu, lambda x: F.max_pool2d(x, 2), lambda x: x.mean((2, 3)),
                                    lambda y: torch.logsumexp(y, (0, 1)))(*xs)),
    row("a transformer block", transformer, "torch.nn.functional", *BLOCK, asks=("tape", *USUAL, "hessian"),
        theirs=lambda *xs: block(lambda x, g, s: F.layer_norm(x, (4,), g, s), _attention_by_torch, F.gelu,
                                 torch.sum)(*xs)),
    row("a transformer block, jax", transformer, "jax.nn", *BLOCK, asks=("tape", *USUAL),
        theirs=lambda *xs: block(_norm_by_jax, lambda *qkv: jax.nn.dot_product_attention(*qkv, is_causal=True),
                                 lambda x: jax.nn.gelu(x, approximate=False), jnp.sum)(*xs), rtol=SOFTMAX),
]

PEERS = NORMALISATIONS + LOSSES + ATTENTION + RECURRENT + NETWORKS
