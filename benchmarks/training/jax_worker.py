"""JAX's side, one jitted step, its state donated: `python -m benchmarks.training.jax_worker CASE jit`."""

from __future__ import annotations

import sys
from typing import Any

import jax
from jax import lax
from jax import numpy as jnp

from benchmarks.training.cases import (
    BATCH_NORM_EPSILON,
    BATCH_NORM_MOMENTUM,
    BETA_1,
    BETA_2,
    DEPTH,
    EPSILON,
    HEADS,
    STAGES,
    Case,
)
from benchmarks.training.worker import Train, serve

Weights = dict[str, Any]
Moving = dict[str, Any]


def dense(w: Weights, name: str, x: Any) -> Any:
    return x @ w[f"{name}/kernel"] + w[f"{name}/bias"]


def conv(w: Weights, name: str, x: Any, stride: int = 1) -> Any:
    kernel = w[f"{name}/kernel"]
    pad = kernel.shape[0] // 2
    return lax.conv_general_dilated(x, kernel, (stride, stride), ((pad, pad), (pad, pad)),
                                    dimension_numbers=("NHWC", "HWIO", "NHWC"))


def pool(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def layer_norm(w: Weights, name: str, x: Any) -> Any:
    mean = x.mean(-1, keepdims=True)
    variance = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-3) * w[f"{name}/gamma"] + w[f"{name}/beta"]


def mlp(w: Weights, moving: Moving, x: Any) -> tuple[Any, Moving]:
    x = jax.nn.relu(dense(w, "dense0", x))
    return dense(w, "dense2", jax.nn.relu(dense(w, "dense1", x))), moving


def cnn(w: Weights, moving: Moving, x: Any) -> tuple[Any, Moving]:
    for name in ("conv0", "conv1"):
        x = pool(jax.nn.relu(conv(w, name, x) + w[f"{name}/bias"]))
    return dense(w, "dense", x.reshape(x.shape[0], -1)), moving


def lstm(w: Weights, moving: Moving, x: Any) -> tuple[Any, Moving]:
    projected = jnp.swapaxes(x @ w["kernel"] + w["bias"], 0, 1)

    def cell(state: Any, z: Any) -> tuple[Any, None]:
        h, c = state
        i, f, g, o = jnp.split(z + h @ w["recurrent"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    nothing = jnp.zeros((x.shape[0], 128), x.dtype)
    (h, _), _ = lax.scan(cell, (nothing, nothing), projected)
    return dense(w, "dense", h), moving


def gpt(w: Weights, moving: Moving, x: Any) -> tuple[Any, Moving]:
    b, t = x.shape
    x = w["token"][x] + w["place"]
    is_past = jnp.tril(jnp.ones((t, t), bool))
    for i in range(DEPTH):
        z = layer_norm(w, f"{i}/norm1", x)
        q, k, v = (jnp.swapaxes(dense(w, f"{i}/{p}", z).reshape(b, t, HEADS, -1), 1, 2)
                   for p in ("query", "key", "value"))
        scores = q @ jnp.swapaxes(k, 2, 3) / q.shape[-1] ** 0.5
        y = jax.nn.softmax(jnp.where(is_past, scores, -1e9)) @ v
        x = x + dense(w, f"{i}/out", jnp.swapaxes(y, 1, 2).reshape(b, t, -1))
        z = jax.nn.gelu(dense(w, f"{i}/up", layer_norm(w, f"{i}/norm2", x)), approximate=False)
        x = x + dense(w, f"{i}/down", z)
    return dense(w, "head", layer_norm(w, "norm", x)), moving


def conv_norm(w: Weights, moving: Moving, new: Moving, name: str, x: Any, stride: int = 1) -> Any:
    x = conv(w, name, x, stride)
    mean = x.mean((0, 1, 2))
    variance = jnp.square(x).mean((0, 1, 2)) - jnp.square(mean)
    for kind, value in (("mean", mean), ("variance", variance)):
        old = moving[f"{name}/{kind}"]
        new[f"{name}/{kind}"] = BATCH_NORM_MOMENTUM * old + (1 - BATCH_NORM_MOMENTUM) * value
    scale = lax.rsqrt(variance + BATCH_NORM_EPSILON) * w[f"{name}/gamma"]
    return (x - mean) * scale + w[f"{name}/beta"]


def resnet(w: Weights, moving: Moving, x: Any) -> tuple[Any, Moving]:
    new: Moving = {}
    x = jax.nn.relu(conv_norm(w, moving, new, "stem", x))
    for stage, (_, stride) in enumerate(STAGES):
        for block in range(3):
            name, s = f"{stage}/{block}", stride if block == 0 else 1
            y = jax.nn.relu(conv_norm(w, moving, new, f"{name}/a", x, s))
            y = conv_norm(w, moving, new, f"{name}/b", y)
            x = jax.nn.relu(y + (conv_norm(w, moving, new, f"{name}/short", x, s) if s > 1 else x))
    return dense(w, "dense", x.mean((1, 2))), new


MODELS = {"mlp": mlp, "cnn": cnn, "lstm": lstm, "gpt": gpt, "resnet": resnet}


def build(case: Case, variant: str) -> Train:
    model = MODELS[sys.argv[1]]

    def loss_of(w: Weights, moving: Moving, x: Any, y: Any) -> tuple[Any, Moving]:
        logits, moving = model(w, moving, x)
        log_p = jax.nn.log_softmax(logits)
        return -jnp.take_along_axis(log_p, y[..., None], -1).mean(), moving

    def update(state: Any, x: Any, y: Any, rate: Any) -> tuple[Any, Any]:
        w, m, v, moving, t = state
        (loss, moving), g = jax.value_and_grad(loss_of, has_aux=True)(w, moving, x, y)
        t = t + 1
        alpha = rate * jnp.sqrt(1 - BETA_2 ** t) / (1 - BETA_1 ** t)
        m = jax.tree.map(lambda a, b: BETA_1 * a + (1 - BETA_1) * b, m, g)
        v = jax.tree.map(lambda a, b: BETA_2 * a + (1 - BETA_2) * b * b, v, g)
        w = jax.tree.map(lambda a, b, c: a - alpha * b / (jnp.sqrt(c) + EPSILON), w, m, v)
        return (w, m, v, moving, t), loss

    compiled = jax.jit(update, donate_argnums=0)
    w = {k: jnp.array(a) for k, a in case.weights.items()}
    moving = {f"{k.removesuffix('/gamma')}/{kind}": jnp.zeros(a.shape) + (kind == "variance")
              for k, a in case.weights.items() if k.endswith("/gamma") for kind in ("mean", "variance")
              } if sys.argv[1] == "resnet" else {}
    state: Any = (w, jax.tree.map(jnp.zeros_like, w), jax.tree.map(jnp.zeros_like, w), moving, jnp.float32(0))
    x, y = jnp.array(case.x), jnp.array(case.y, jnp.int32)

    def train(count: int, rate: float) -> tuple[int, float]:
        nonlocal state
        for _ in range(count):
            state, loss = compiled(state, x, y, rate)
        return count, float(loss)

    return train


if __name__ == "__main__":
    serve(build, *sys.argv[1:])
