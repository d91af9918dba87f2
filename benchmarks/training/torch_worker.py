"""torch's side: `python -m benchmarks.training.torch_worker CASE eager|compile[/channels_last]`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.training.cases import (
    BATCH_NORM_EPSILON,
    BATCH_NORM_MOMENTUM,
    BETA_1,
    BETA_2,
    DEPTH,
    EPSILON,
    HEADS,
    STAGES,
    VOCABULARY,
    WIDTH,
    Case,
)
from benchmarks.training.worker import THREADS, Train, serve


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(7 * 7 * 64, 10))


class LSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(64, 128, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-3)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-3)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = (z.view(b, t, HEADS, c // HEADS).transpose(1, 2) for z in self.qkv(self.norm1(x)).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(VOCABULARY, WIDTH)
        self.place = nn.Parameter(torch.zeros(64, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-3)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.token(x) + self.place))).flatten(0, 1)


class ConvNorm(nn.Module):
    def __init__(self, n: int, m: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n, m, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(m, eps=BATCH_NORM_EPSILON, momentum=1 - BATCH_NORM_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Residual(nn.Module):
    def __init__(self, n: int, m: int, stride: int) -> None:
        super().__init__()
        self.a, self.b = ConvNorm(n, m, stride=stride), ConvNorm(m, m)
        self.short = ConvNorm(n, m, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.b(F.relu(self.a(x))) + self.short(x))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, 16)
        blocks, channels = [], 16
        for width, stride in STAGES:
            for i in range(3):
                blocks.append(Residual(channels, width, stride if i == 0 else 1))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(F.relu(self.stem(x))).mean((2, 3)))


MODELS: dict[str, Callable[[], nn.Module]] = {"mlp": mlp, "cnn": cnn, "lstm": LSTM, "gpt": GPT, "resnet": ResNet}


def parameters(case: Case, name: str) -> list[Tensor]:
    """The starting weights in torch's layouts and in its order."""
    w = {k: torch.tensor(v) for k, v in case.weights.items()}
    if name == "gpt":
        found = [w["place"], w["token"]]
        for i in range(DEPTH):
            qkv = [torch.cat([w[f"{i}/{p}/{kind}"] for p in ("query", "key", "value")], -1)
                   for kind in ("kernel", "bias")]
            found += [w[f"{i}/norm1/gamma"], w[f"{i}/norm1/beta"], qkv[0].T, qkv[1],
                      w[f"{i}/out/kernel"].T, w[f"{i}/out/bias"], w[f"{i}/norm2/gamma"], w[f"{i}/norm2/beta"]]
            for p in ("up", "down"):
                found += [w[f"{i}/{p}/kernel"].T, w[f"{i}/{p}/bias"]]
        return [*found, w["norm/gamma"], w["norm/beta"], w["head/kernel"].T, w["head/bias"]]
    if name == "lstm":
        order = torch.tensor([*range(0, 384), *range(384, 512)])
        return [w["kernel"].T[order], w["recurrent"].T[order], w["bias"][order], torch.zeros(512),
                w["dense/kernel"].T, w["dense/bias"]]
    if name == "cnn":  # flattened with the channels first
        w["dense/kernel"] = w["dense/kernel"].reshape(7, 7, 64, 10).permute(2, 0, 1, 3).reshape(-1, 10)
    return [x.permute(3, 2, 0, 1) if x.ndim == 4 else x.T if x.ndim == 2 else x for x in w.values()]


def build(case: Case, variant: str) -> Train:
    torch.set_num_threads(THREADS)
    name, kind = sys.argv[1], variant.split("/")
    model = MODELS[name]()
    with torch.no_grad():
        for mine, given in zip(model.parameters(), parameters(case, name), strict=True):
            mine.copy_(given)
    x, y = torch.tensor(case.x), torch.tensor(case.y).flatten()
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2).contiguous()
    if "channels_last" in kind:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if name == "lstm":
        model.lstm.bias_hh_l0.requires_grad_(False)  # Keras has one bias
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, 0.001, (BETA_1, BETA_2), EPSILON, fused=True)

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(model(x), y)

    forward: Any = torch.compile(loss_of) if kind[0] == "compile" else loss_of

    def train(count: int, rate: float) -> tuple[int, float]:
        optimizer.param_groups[0]["lr"] = rate
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            loss: Tensor = forward(x, y)
            loss.backward()
            optimizer.step()
        return count, loss.item()

    return train


if __name__ == "__main__":
    serve(build, *sys.argv[1:])
