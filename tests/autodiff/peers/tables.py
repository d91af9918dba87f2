"""All rows, and what is recorded of them."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np

from tests.autodiff.peers.differences import DIFFERENCES
from tests.autodiff.peers.peer import Array, Peer

__all__ = ["COMPARISONS", "DIFFERENCES", "PEERS", "RECORDED", "recorded"]

RECORDED = Path(__file__).with_name("recorded.npz")
FAMILIES = ("elementwise", "arrays", "indexing", "images", "networks")
PEERS: tuple[Peer, ...] = tuple(
    peer for family in FAMILIES for peer in import_module(f"tests.autodiff.peers.{family}").PEERS)
COMPARISONS = [(peer, ask) for peer in PEERS for ask in peer.asks]
"""One question to one row each."""


def recorded() -> dict[str, list[Array]]:
    """What the peers said, by row and question."""
    with np.load(RECORDED) as file:
        numbers, about = file["numbers"], json.loads(file["about"].tobytes())
    found, start = {}, 0
    for name, shapes in about["layout"].items():
        found[name] = []
        for shape in shapes:
            stop = start + int(np.prod(shape))
            found[name].append(numbers[start:stop].reshape(shape))
            start = stop
    return found
