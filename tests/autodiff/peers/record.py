"""Writes what JAX and PyTorch say about every row to recorded.npz, with their versions.

`python -m tests.autodiff.peers.record`, in an environment that has them; after a row is new or changed.
"""

from __future__ import annotations

import json

import numpy as np

from tests.autodiff.peers.libraries import said, versions
from tests.autodiff.peers.peer import Array
from tests.autodiff.peers.tables import COMPARISONS, DIFFERENCES, RECORDED


def record() -> None:
    """All answers, one after another in one array, and where each lies."""
    layout: dict[str, list[list[int]]] = {}
    parts: list[Array] = []
    for peer, ask in [*COMPARISONS, *((each.peer, "vjp") for each in DIFFERENCES)]:
        answers = said(peer, ask)
        layout[f"{peer.name}: {ask}"] = [list(x.shape) for x in answers]
        parts += [x.astype(np.float64).ravel() for x in answers]
    about = json.dumps({"versions": versions(), "layout": layout})
    np.savez_compressed(RECORDED, numbers=np.concatenate(parts), about=np.frombuffer(about.encode(), np.uint8))


if __name__ == "__main__":
    record()
