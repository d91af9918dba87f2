"""What every candidate's process does: build a step, then time rounds of it when told to, over a pipe."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable

from benchmarks.training.cases import CASES, Case

Step = Callable[[float], object]
"""One step of training on the batch at a learning rate; `float` of what it gives is the loss, and waits for it."""

THREADS = int(os.environ.get("BENCHMARK_THREADS", "2"))
"""The threads of every candidate. Its process may use as many cores, which is what JAX goes by."""

FIRST_STEPS, FIRST_RATE = 5, 1e-3
"""Losses of so many steps, at a rate that changes them, show that all candidates do the same."""

RATE = 1e-8
"""The rate while time is taken: the loss stays where it is, for tiny numbers (denormals) take longer to compute with."""


def serve(build: Callable[[Case, str], Step], variant: str, case: str) -> None:
    """Answer lines on stdin with lines of JSON: `round SECONDS` times steps for about so long, `memory` tells of it.

    The first answer gives the losses of the first steps, and how long building took.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print does not disturb
    before = _resident()
    began = time.perf_counter()
    step = build(CASES[case](), variant)
    losses = [float(step(FIRST_RATE)) for _ in range(FIRST_STEPS)]  # type: ignore[arg-type]
    built = time.perf_counter() - began
    for _ in range(3):
        step(RATE)
    _forget_peak()
    answers.write(json.dumps({"losses": losses, "built": built}) + "\n")
    gc.disable()
    for line in sys.stdin:
        word, _, argument = line.partition(" ")
        if word.strip() == "memory":
            answers.write(json.dumps({"peak": _peak() - before}) + "\n")
        else:
            answers.write(json.dumps(_round(step, float(argument))) + "\n")


def _round(step: Step, seconds: float) -> dict[str, float]:
    loss = 0.0
    began = time.perf_counter()
    for _ in range(3):
        loss = step(RATE)  # type: ignore[assignment]
    float(loss)
    count = max(3, int(seconds / (time.perf_counter() - began) * 3))
    used, began = time.process_time(), time.perf_counter()
    for _ in range(count):
        loss = step(RATE)  # type: ignore[assignment]
    value = float(loss)
    took, used = time.perf_counter() - began, time.process_time() - used
    return {"seconds": took / count, "processor": used / count, "loss": value}


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
