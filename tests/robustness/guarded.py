"""Loads, runs or mutates the model files named on the command line, in little memory; one JSON line for each."""

import json
import random
import resource
import sys
import time
import warnings
from pathlib import Path

MEMORY = 6 * 2**30


def attempt(action: str, path: str) -> dict[str, object]:
    """What came of one file: the error's classes and message, or nothing of both."""
    from symgraph.runtime import Session
    from symgraph.runtime.importer import load_graph

    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            graph = load_graph(path)
            if action == "run":
                Session(graph, optimize=False).run({})
            classes, message = [], ""
        except Exception as error:
            classes = [c.__name__ for c in type(error).__mro__]
            message = str(error)
    return {"path": path, "classes": classes, "message": message, "seconds": time.perf_counter() - start,
            "warnings": [str(w.message) for w in warned]}


def mutate(path: str, rounds: int = 1500) -> dict[str, object]:
    """Load a file with random bytes changed, removed and added; what came out besides a graph or our own errors."""
    from symgraph.core.errors import SymgraphError
    from symgraph.runtime.importer import load_graph

    source, rng = Path(path).read_bytes(), random.Random(0)
    odd: dict[str, str] = {}
    refused = 0
    for _ in range(rounds):
        data = bytearray(source)
        for _ in range(rng.choice((1, 1, 2, 5))):
            start = rng.randrange(len(data))
            stop = start + rng.choice((0, 1, 1, 1, 4))
            data[start:stop] = rng.randbytes(rng.choice((0, 1, 1, 1, 2))) or b"\0"
        try:
            load_graph(bytes(data))
        except SymgraphError:
            refused += 1
        except Exception as error:
            odd[type(error).__name__] = str(error)
    return {"path": path, "refused": refused, "odd": odd}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for task in sys.argv[1:]:
        action, file = task.split(":", 1)
        print(json.dumps(mutate(file) if action == "mutate" else attempt(action, file)), flush=True)
