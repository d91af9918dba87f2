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

HEAD = """# Results

Command: `python -m benchmarks --write`, medians of calls taken in turn in one process."""

REPORTS = {"eager": eager, "files": files, "passes": passes, "fuzz": fuzz, "predict": predict, "gradients": gradients,
           "recurrent_gradients": recurrent_gradients, "training": training, "loop": loop, "resume": resume}
"""Those of gradients compare with torch, which must be there; so does that of training, with JAX too, in any Python."""


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", choices=[*REPORTS, []], help="which to run; all without")
    parser.add_argument("--write", action="store_true", help="put the results into benchmarks/RESULTS.md")
    options = parser.parse_args()
    reports = {name: f"{REPORTS[name].report().strip()}\n\n{_versions()}" for name in options.names or REPORTS}
    print(HEAD, *reports.values(), sep="\n\n")
    if options.write:
        kept = _kept(RESULTS.read_text()) if RESULTS.is_file() else {}
        parts = {name: reports.get(name, kept.get(name, "")) for name in REPORTS}
        shown = [f"<!-- {name} -->\n{text}" for name, text in parts.items() if text]
        RESULTS.write_text("\n\n".join([HEAD, *shown]) + "\n")


def _kept(text: str) -> dict[str, str]:
    """The reports in a file, by name."""
    pieces = re.split(r"<!-- (\w+) -->\n", text)
    return dict(zip(pieces[1::2], map(str.strip, pieces[2::2]), strict=True))


def _versions() -> str:
    """What a report was measured with."""
    versions = []
    for package in ("symgraph", "onnx", "onnxruntime", "numpy", "torch", "keras"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return (f"Measured on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"{', '.join(versions)}.")


main()
