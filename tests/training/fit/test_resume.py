"""A training that is killed, and killed again, ends bit for bit as one that never was."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from symgraph.training.callbacks import Callback
from tests.training.fit.resumed import KINDS, run

ROOT = Path(__file__).resolve().parents[3]


class Stop(Exception):
    """What interrupts a run."""


class Interrupt(Callback):
    """Ends the process, as it were, after a number of steps."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        self.steps -= 1
        if not self.steps:
            raise Stop


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    known = {}

    def of(kind):
        if kind not in known:
            known[kind] = run(kind, "epoch", tmp_path_factory.mktemp("whole"))
        return known[kind]

    return of


@pytest.mark.parametrize(("kind", "save_freq"), list(zip(KINDS, ("3", "epoch", "4", "1"), strict=True)))
def test_a_run_interrupted_twice_equals_one_that_was_not(kind, save_freq, uninterrupted, tmp_path):
    for steps in (14, 21):
        with pytest.raises(Stop):
            run(kind, save_freq, tmp_path, Interrupt(steps))

    assert run(kind, save_freq, tmp_path) == uninterrupted(kind)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills are those of POSIX")
def test_a_run_killed_at_random_moments_equals_one_that_was_not(uninterrupted, tmp_path, rng):
    expected = uninterrupted("arrays")
    for delay in rng.uniform(0.0, 0.4, 3):
        program = start("arrays", "3", tmp_path)
        assert program.stdout.readline().strip() == "begun"
        time.sleep(delay)
        program.kill()
        program.communicate()
        assert program.returncode == -signal.SIGKILL
    output, errors = start("arrays", "3", tmp_path).communicate(timeout=120)

    assert output.split()[-1] == expected, errors


def start(*arguments):
    return subprocess.Popen([sys.executable, "-m", "tests.training.fit.resumed", *arguments], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
