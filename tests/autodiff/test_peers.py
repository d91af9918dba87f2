"""Our derivatives beside those of JAX and PyTorch, which answer where they are installed; elsewhere their answers
are replayed from the file that `python -m tests.autodiff.peers.record` writes."""

from functools import cache

import numpy as np
import pytest

from tests.autodiff.peers.differences import Difference, wanted
from tests.autodiff.peers.libraries import HAS, said
from tests.autodiff.peers.peer import Array, Peer, answer
from tests.autodiff.peers.tables import COMPARISONS, DIFFERENCES, PEERS, recorded

memory = cache(recorded)


def theirs(peer: Peer, ask: str) -> list[Array]:
    """What the peer says now, or said when it was recorded."""
    return said(peer, ask) if HAS[peer.library] else memory()[f"{peer.name}: {ask}"]


@pytest.mark.parametrize(("peer", "ask"), COMPARISONS, ids=[f"{peer.name}: {ask}" for peer, ask in COMPARISONS])
def test_a_derivative_is_that_of_the_peer(peer: Peer, ask: str) -> None:
    for ours, expected in zip(answer(peer, ask), theirs(peer, ask), strict=True):
        scale = max(1.0, np.abs(expected[np.isfinite(expected)]).max(initial=0))
        np.testing.assert_allclose(ours, expected, peer.rtol, peer.rtol * scale, err_msg=peer.source)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=[each.peer.name for each in DIFFERENCES])
def test_a_documented_difference_is_as_documented(difference: Difference) -> None:
    count = len(difference.peer.point)
    ours = answer(difference.peer, "vjp")[-count:]

    np.testing.assert_allclose(ours, wanted(difference), rtol=1e-7, atol=1e-12)
    assert not np.allclose(ours, theirs(difference.peer, "vjp")[-count:])


def test_the_record_holds_every_answer_and_no_other() -> None:
    asked = [f"{peer.name}: {ask}" for peer, ask in COMPARISONS] + [f"{each.peer.name}: vjp" for each in DIFFERENCES]

    assert len(set(asked)) == len(asked)
    assert set(memory()) == set(asked)


def test_more_comparisons_than_promised() -> None:
    assert len(PEERS) >= 150
    assert {peer.library for peer in PEERS} == {"jax", "torch"}
