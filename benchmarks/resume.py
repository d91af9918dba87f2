"""Training under `kill -9`: runs killed at random moments and resumed, beside one that was never interrupted."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RUNS = 50
"""Trainings for each kind of data."""

KILLS = 2
"""At most so many kills for each of them."""

PROCESSES = 2
LONGEST = 0.8
"""Seconds after the first step, of about a second of training; kills come before it, too."""

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "tests.training.fit.resumed"
KINDS = (("arrays", "3"), ("arrays", "epoch"), ("dataset", "1"))


def report() -> str:
    """How many runs ended bit for bit as the one that was not interrupted."""
    lines = ["## Resuming after kill -9 (`python -m benchmarks resume`)", "",
             "Dropout, batch normalization, Adam, shuffled data with a smaller last batch; EarlyStopping, "
             "ReduceLROnPlateau, ModelCheckpoint, BackupAndRestore. Compared: weights, optimizer, history, best "
             "weights.",
             "", "| data | saved every | runs | kills | equal, bit for bit | time |", "|---|---|---:|---:|---:|---:|"]
    for kind, save_freq in KINDS:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            expected = _run(kind, save_freq, Path(folder))
        with ThreadPoolExecutor(PROCESSES) as pool:
            outcomes = list(pool.map(lambda seed: _killed(kind, save_freq, seed), range(RUNS)))  # noqa: B023
        equal = sum(result == expected for result, _ in outcomes)
        every = "epoch" if save_freq == "epoch" else f"{save_freq} steps"
        lines.append(f"| {kind} | {every} | {RUNS} | {sum(kills for _, kills in outcomes)} | {equal} of {RUNS} | "
                     f"{time.perf_counter() - start:.0f} s |")
    return "\n".join(lines) + "\n"


def _killed(kind: str, save_freq: str, seed: int) -> tuple[str, int]:
    """The result of a run that is killed on its way, and how often it was."""
    rng = random.Random(seed)
    kills = 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(KILLS):
            program = _start(kind, save_freq, Path(folder))
            assert program.stdout is not None
            if rng.random() < 0.8:
                program.stdout.readline()  # its first step is done
            try:
                output, errors = program.communicate(timeout=rng.uniform(0.0, LONGEST))
                return _result(output, errors), kills
            except subprocess.TimeoutExpired:
                program.send_signal(signal.SIGKILL)
                program.communicate()
                kills += 1
        return _run(kind, save_freq, Path(folder)), kills


def _run(kind: str, save_freq: str, folder: Path) -> str:
    return _result(*_start(kind, save_freq, folder).communicate())


def _result(output: str, errors: str) -> str:
    """The hash at the end, or what went wrong."""
    return errors or output.split()[-1]


def _start(kind: str, save_freq: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", PROGRAM, kind, save_freq, folder], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
