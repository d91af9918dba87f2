"""Which command was asked for, and what happens when it goes wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from symgraph.cli import check, demo, inspect, optimize, plot
from symgraph.core.errors import SymgraphError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it went well, 1 where models differ, or with one line on standard error."""
    parser = argparse.ArgumentParser(prog="symgraph", description="models as graphs of ONNX operators")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (demo, inspect, optimize, check, plot):
        module.add_command(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options) or 0
    except SymgraphError as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
    print(f"symgraph {options.command}: {reason}", file=sys.stderr)
    return 1
