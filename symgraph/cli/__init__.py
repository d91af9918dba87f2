"""The command line: `symgraph COMMAND`, or `python -m symgraph COMMAND`."""

from symgraph.cli.main import main

__all__ = ["main"]
