"""Random graphs, optimised: how many give other results. A crash costs the part that it happens in."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

GRAPHS = 10_000
PART = 250
PROCESSES = 2
ROOT = Path(__file__).resolve().parents[1]
SUMMARY = re.compile(r"^\d+ graphs from seed \d+: (\d+) wrong; (\{.*\})$", re.M)
SHOWN = {"compared": "graphs compared, with what pipelines made of them", "optimised": "made smaller by exact passes",
         "relaxed": "changed by relaxed passes, compared within a tolerance", "last bits moved": "last bits moved, by "
         "kernels of ONNX Runtime that round by the place in the tensor",
         "last bits blown up": "results that move as far where the inputs move in their last bits"}


def report() -> str:
    """The seeds from 0 in several processes, and what came of them."""
    start = time.perf_counter()
    with ThreadPoolExecutor(PROCESSES) as pool:
        outputs = list(pool.map(_run, range(0, GRAPHS, PART)))
    counts: Counter[str] = Counter()
    crashed, applied = [], Counter[str]()
    for first, output in zip(range(0, GRAPHS, PART), outputs, strict=True):
        found = SUMMARY.search(output)
        if found is None:
            crashed.append(first)
            continue
        counts["wrong"] += int(found[1])
        counts.update(ast.literal_eval(found[2]))
        line = output.rpartition("applied: ")[2]
        applied.update({name: int(n) for name, n in re.findall(r"(\w+) (\d+)", line)})
    wrong = [line for output in outputs for line in output.splitlines() if line.startswith("seed ")]
    lines = ["## Random graphs (`python -m tests.passes.fuzz 0 10000`)", "", "| | |", "|---|---:|",
             f"| graphs, seeds 0 to {GRAPHS - 1} | {counts['graphs']} |", f"| wrong | {counts['wrong']} |",
             f"| parts of {PART} that ended the process | {len(crashed)} |",
             *(f"| {text} | {counts[name]} |" for name, text in SHOWN.items()),
             f"| passes that found work, times | {applied.total()} |",
             f"| time, {PROCESSES} processes | {time.perf_counter() - start:.0f} s |", "",
             *(f"- {line}" for line in wrong), *(f"- no result from seed {first}" for first in crashed)]
    return "\n".join(lines) + "\n"


def _run(first: int) -> str:
    command = [sys.executable, "-m", "tests.passes.fuzz", str(first), str(PART)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
