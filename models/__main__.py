"""`python -m symgraph.models NAME [FILE]`: train a model a little on real data, look inside, export it."""

from __future__ import annotations

import argparse
from importlib import import_module

from symgraph.core.errors import SymgraphError

NAMES = ("mlp", "convnet", "resnet", "lstm_text", "gpt")


def main() -> None:
    """Run the example of a file of this folder."""
    parser = argparse.ArgumentParser(prog="python -m symgraph.models", description=__doc__)
    parser.add_argument("name", choices=NAMES, help="which file of models/ to run")
    parser.add_argument("file", nargs="?", help="a text for lstm_text and gpt; without, Python's own help texts")
    options = parser.parse_args()
    if options.file and options.name not in ("lstm_text", "gpt"):
        parser.error(f"{options.name} learns digits, not a text")
    try:
        import_module(f"symgraph.models.{options.name}").main(*([options.file] if options.file else []))
    except (SymgraphError, OSError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
