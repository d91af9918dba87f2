"""What every candidate's process does: build a network, then train it for a while when told to, over a pipe."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable

from benchmarks.training.cases import CASES, Case

Train = Callable[[int, float], tuple[int, float]]
"""Take about so many steps on the batch at a learning rate; gives how many they were, and the loss of the last."""

THREADS = int(os.environ.get("BENCHMARK_THREADS", "2"))
"""The threads of every candidate. Its process may use as many cores, which is what JAX goes by."""

FIRST_STEPS, FIRST_RATE = 5, 1e-3
"""Losses of so many steps, at a rate that changes them, show that all candidates do the same."""

RATE = 1e-8
"""The rate while time is taken: the loss stays as it is, for tiny numbers (denormals) take longer to compute with."""


def serve(build: Callable[[Case, str], Train], case: str, variant: str) -> None:
    """Answer lines on stdin with lines of JSON: `round SECONDS` trains for about so long, `memory` tells of it.

    The first answer gives the losses of the first steps, and how long building took.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print does not disturb
    before, began = _resident(), time.perf_counter()
    train = build(CASES[case](), variant)
    losses = [train(1, FIRST_RATE)[1] for _ in range(FIRST_STEPS)]
    built = time.perf_counter() - began
    train(3, RATE)
    _forget_peak()
    answers.write(json.dumps({"losses": losses, "built": built}) + "\n")
    gc.disable()
    for line in sys.stdin:
        word, _, argument = line.partition(" ")
        if word.strip() == "memory":
            answers.write(json.dumps({"peak": _peak() - before}) + "\n")
        else:
            answers.write(json.dumps(_round(train, float(argument))) + "\n")


def _round(train: Train, seconds: float) -> dict[str, float]:
    began = time.perf_counter()
    done, _ = train(3, RATE)
    wanted = max(3, int(seconds * done / (time.perf_counter() - began)))
    used, began = time.process_time(), time.perf_counter()
    done, loss = train(wanted, RATE)
    took, used = time.perf_counter() - began, time.process_time() - used
    return {"seconds": took / done, "processor": used / done, "loss": loss}


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def _peak() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(x for x in file if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
