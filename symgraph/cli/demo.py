"""`symgraph demo`: a model trained, looked into and exported, and a real network imported, cut open and built upon."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from symgraph.cli import demo_files, demo_training


def add_command(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("demo", help="train a classifier of digits; import ResNet-50 and build on it")
    parser.add_argument("--output", type=Path, help="keep models, training step and learning curve here")
    parser.add_argument("--epochs", type=_whole, default=15, help="how long to train, 15 unless given")
    parser.set_defaults(run=run)


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text}")
    return int(text)


def run(options: argparse.Namespace) -> None:
    """Do it, saying in a line for each step what was done and how long it took."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.output or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        demo_training.run(folder, options.epochs)
        demo_files.run(folder)
    kept = f"; the files are in {folder}" if options.output else ""
    print(f"all of it took {time.perf_counter() - start:.0f} s{kept}")
