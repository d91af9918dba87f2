"""`python -m benchmarks [NAME …] [--write]`: time side by side, print Markdown, keep it in RESULTS.md."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
from pathlib import Path

from benchmarks import eager, files, passes, predict

REPORTS = {"eager": eager, "files": files, "passes": passes, "predict": predict}


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", choices=[*REPORTS, []], help="which to run; all without")
    parser.add_argument("--write", action="store_true", help="put the results into benchmarks/RESULTS.md")
    options = parser.parse_args()
    text = "\n".join([_head(), *(REPORTS[name].report() for name in options.names or REPORTS)])
    print(text)
    if options.write:
        (Path(__file__).parent / "RESULTS.md").write_text(text)


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
