"""`python -m benchmarks [NAME …] [--write]`: time side by side, print Markdown, keep it in RESULTS.md."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import re
from pathlib import Path

from benchmarks import eager, files, fuzz, gradients, loop, passes, predict, recurrent_gradients, resume
from benchmarks.training import report as training

RESULTS = Path(__file__).parent / "RESULTS.md"

REPORTS = {"eager": eager, "files": files, "passes": passes, "fuzz": fuzz, "predict": predict, "gradients": gradients,
           "recurrent_gradients": recurrent_gradients, "training": training, "loop": loop, "resume": resume}
"""Those of gradients compare with torch, which must be there; so does that of training, with JAX too, in any Python."""


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", choices=[*REPORTS, []], help="which to run; all without")
    parser.add_argument("--write", action="store_true", help="put the results into benchmarks/RESULTS.md")
    options = parser.parse_args()
    reports = {name: REPORTS[name].report() for name in options.names or REPORTS}
    print(_head(), *reports.values(), sep="\n")
    if options.write:
        kept = _kept(RESULTS.read_text()) if RESULTS.is_file() else {}
        parts = {name: reports.get(name, kept.get(name, "")) for name in REPORTS}
        RESULTS.write_text("\n".join([_head(), *(f"<!-- {name} -->\n{text}" for name, text in parts.items() if text)]))


def _kept(text: str) -> dict[str, str]:
    """The reports in a file, by name."""
    pieces = re.split(r"<!-- (\w+) -->\n", text)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def _head() -> str:
    versions = []
    for package in ("symgraph", "onnx", "onnxruntime", "numpy", "torch", "keras"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return (f"# Results\n\nCommand: `python -m benchmarks --write`, medians of calls taken in turn in one process.\n"
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"{', '.join(versions)}.\n")


main()
