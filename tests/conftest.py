"""What every test starts from: seeded generators, and the data that lies beside the checkout."""

import gc
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def seed_global_generators() -> None:
    """Give every test the same global random state, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let Ctrl-C interrupt the test, in a shell's background job too, and not be lost in Hypothesis's timing of gc."""
    callbacks, handler = gc.callbacks[:], signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.callbacks.clear()
    yield
    gc.callbacks[:] = callbacks
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a NumPy generator of this test's own, always with the same seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of models and data sets beside the checkout; without it the test is skipped."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("../shared/data is absent")
    return path
