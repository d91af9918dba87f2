"""Loads (and with "run" runs) the model files named on the command line, in little memory; one JSON line for each."""

import json
import resource
import sys
import time
import warnings

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


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for task in sys.argv[1:]:
        print(json.dumps(attempt(*task.split(":", 1))), flush=True)
