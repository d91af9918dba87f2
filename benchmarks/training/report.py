"""Time per training step beside torch and JAX, each in a process of its own, round after round in turn.

torch and JAX are run by the interpreter that `BENCHMARK_PEERS` names, this one without: they need not be installed
where symgraph is. torch gets settings of glibc under which it does not spend its time on page faults, and its other
layout for images as a second try; the better one counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import Timing, table
from benchmarks.training.cases import CASES

ROOT = Path(__file__).parents[2]

PEERS = os.environ.get("BENCHMARK_PEERS", sys.executable)

MALLOC = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592",
          "MALLOC_TOP_PAD_": "268435456"}

ROUNDS, SECONDS = 9, 0.4

IMAGES = ("cnn", "resnet")

OURS = "symgraph"


@dataclass(frozen=True)
class Candidate:
    """A column of the table, and how it is run: module and variant."""

    column: str
    module: str
    variant: str

    @property
    def command(self) -> list[str]:
        python = sys.executable if self.module == "symgraph_worker" else PEERS
        return [python, "-m", f"benchmarks.training.{self.module}"]


def candidates(case: str) -> list[Candidate]:
    """Who takes part; two of one column are two tries, of which the better one counts."""
    found = [Candidate(OURS, "symgraph_worker", "fit")]
    for column, variant in (("torch", "eager"), ("torch.compile", "compile")):
        found.append(Candidate(column, "torch_worker", variant))
        if case in IMAGES:
            found.append(Candidate(column, "torch_worker", f"{variant}/channels_last"))
    return [*found, Candidate("JAX", "jax_worker", "jit")]


def report(cases: Mapping[str, Any] = CASES, rounds: int = ROUNDS) -> str:
    """Tables of times, memory and operators; refuses candidates whose losses differ."""
    times, memory = {}, {}
    for name in cases:
        title = CASES[name]().title
        times[title], memory[title] = measure(name, rounds)
    shares = {CASES[name]().title: _operators(name) for name in cases}
    return "\n".join([
        table("A step of training with Adam, two threads (times ours)", times, OURS),
        _memory_table(memory), *(_operator_list(title, found) for title, found in shares.items()), "", _peers(), ""])


def _peers() -> str:
    """The versions of what symgraph was compared with."""
    ask = "from importlib.metadata import version; print(version('torch'), version('jax'))"
    found = subprocess.run([PEERS, "-c", ask], text=True, stdout=subprocess.PIPE, check=True).stdout.split()
    return f"Peers: torch {found[0]}, JAX {found[1]}."


def measure(case: str, rounds: int) -> tuple[dict[str, Timing], dict[str, float]]:
    """Times of a step, and the largest memory in bytes, by column."""
    with contextlib.ExitStack() as stack:
        workers = {x: stack.enter_context(_worker(x, case)) for x in candidates(case)}
        _check(case, {x: worker.answer()["losses"] for x, worker in workers.items()})
        seconds: dict[Candidate, list[float]] = {x: [] for x in workers}
        for _ in range(rounds):
            for x, worker in workers.items():
                seconds[x].append(worker.ask(f"round {SECONDS}")["seconds"])
                time.sleep(0.05)  # its threads go to sleep
        peaks = {x: worker.ask("memory")["peak"] for x, worker in workers.items()}
    timings = {x: Timing(tuple(found)) for x, found in seconds.items()}
    best: dict[str, Candidate] = {}
    for x in sorted(timings, key=lambda x: timings[x].median):
        best.setdefault(x.column, x)
    columns = dict.fromkeys(x.column for x in workers)
    return {c: timings[best[c]] for c in columns}, {c: peaks[best[c]] for c in columns}


class _Worker:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, line: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(map(str, self.process.args))} ended without an answer; "  # type: ignore[arg-type]
                               "set BENCHMARK_PEERS to a Python that has torch and jax")
        return json.loads(line)


@contextlib.contextmanager
def _worker(x: Candidate, case: str) -> Iterator[_Worker]:
    environment = {**os.environ, **(MALLOC if x.module == "torch_worker" else {})}
    process = subprocess.Popen([*x.command, case, x.variant], cwd=ROOT, env=environment, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield _Worker(process)
    finally:
        process.kill()
        process.wait()


def _check(case: str, losses: Mapping[Candidate, list[float]]) -> None:
    wanted = next(iter(losses.values()))
    for x, found in losses.items():
        np.testing.assert_allclose(found, wanted, rtol=5e-3, err_msg=f"{case}: {x.column} does something else")


def _memory_table(memory: Mapping[str, Mapping[str, float]]) -> str:
    columns = list(next(iter(memory.values())))
    lines = ["### Most memory in use while training, beyond the libraries' own", "",
             "| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    lines += [f"| {title} | " + " | ".join(f"{found[c] / 1e6:.0f} MB" for c in columns) + " |"
              for title, found in memory.items()]
    return "\n".join(lines) + "\n"


def _operators(case: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.training.symgraph_worker", case, "operators"]
    found = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, check=True)
    return json.loads(found.stdout)  # type: ignore[no-any-return]


def _operator_list(title: str, seconds: Mapping[str, float]) -> str:
    total = sum(seconds.values())
    largest = sorted(seconds.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {100 * value / total:.0f} %" for name, value in largest[:10])
    rest = sum(value for _, value in largest[10:])
    return f"- {title}: {shown}, others {100 * rest / total:.0f} %"
