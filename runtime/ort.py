"""The one place where onnxruntime is imported: when it is first used, with a clear word if it is not there.

Sessions never share ONNX Runtime's global thread pool: switching it on breaks the user's own sessions in the
same process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from typing import Any

from symgraph.core.errors import MissingDependencyError

DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-qnn")
"""Distributions that fill the same import name: only one of them may be installed."""

OLDEST = (1, 31)
"""Before it bad input kills the process: docs/design/0002-onnxruntime-floor.md."""

CPU = "CPUExecutionProvider"

SILENT = 4
"""The log level that prints nothing: what goes wrong comes back as an exception."""

Run = Callable[[Sequence[str], Mapping[str, Any], Any], list[Any]]


@lru_cache(maxsize=1)
def onnxruntime() -> Any:
    """The installed onnxruntime.

    Errors: `MissingDependencyError` where none is installed, one that is too old, or two that overwrite each other.
    """
    doubled = installed_distributions()
    if len(doubled) > 1:
        names = [name for name, _ in doubled]
        shown = " and ".join(f"{name} {version}" for name, version in doubled)
        raise MissingDependencyError(
            f"{shown} are both installed and overwrite each other: pip uninstall -y {' '.join(names)}, "
            f"then pip install the one you want ({' or '.join(names)})")
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise MissingDependencyError(
            f"onnxruntime cannot be imported ({error}): pip install 'symgraph[cpu]', or 'symgraph[gpu]' for CUDA"
            ) from error
    if not hasattr(ort, "InferenceSession"):
        raise MissingDependencyError(
            "onnxruntime is only a left-over folder: pip install --force-reinstall 'symgraph[cpu]', or 'symgraph[gpu]'")
    if tuple(map(int, re.findall(r"\d+", ort.__version__)[:2])) < OLDEST:
        raise MissingDependencyError(
            f"onnxruntime {ort.__version__} is too old for symgraph: bad input would kill the process; "
            f"pip install -U 'onnxruntime>={OLDEST[0]}.{OLDEST[1]}' (exported files run on 1.20 and newer)")
    return ort


def installed_distributions() -> list[tuple[str, str]]:
    """Name and version of every installed distribution that fills the import name `onnxruntime`."""
    found = []
    for name in DISTRIBUTIONS:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return found


def session_options(*, threads: int | None = None, optimize: bool = True, spin: bool = True) -> Any:
    """Options of a silent session; `threads` of None is one a core."""
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = SILENT
    if threads is not None:
        options.intra_op_num_threads = threads
    if not spin:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def run_function(session: Any) -> Run:
    """The session's bare run, without the wrapper's own checks, which cost a microsecond a call."""
    inner = getattr(session, "_sess", None)
    run: Run = session.run if inner is None else inner.run
    return run


_WRAPPING = re.compile(r"^(?:\[ONNXRuntimeError\] : \d+ : \w+ : )?(?:Exception during \w+: )?")
_PLACE = re.compile(r"^(?:\[ONNXRuntimeError\][^:]*: \d+ : \w+ : )?(?:/\S+|\w+)\.(?:cc|h|hpp|cpp|cu|cuh):\d+ ")
_FUNCTION = re.compile(r"^(?:[\w:<>*&~ ]+\([^{}]*?\)(?: const)?(?: \[with [^\]]*\](?:; [^\]]*\])?)? |\w+(?:\(\))? )")
_CONDITION = re.compile(r"^.*? was false\. ")
_NODE = re.compile(r"while running \S+ node\. Name:'([^']*)'")
_MEMORY = ("Failed to allocate memory", "bad_alloc", "bad allocation", "out of memory", "Integer overflow",
           "exceeds the supported maximum", "not enough memory", "vector::_M_default_append", "Available memory")


def failure_reason(error: BaseException) -> str:
    """What ONNX Runtime complains of, without its own wrapping."""
    text = " ".join(str(error).split())
    text = _WRAPPING.sub("", text.rpartition("Status Message: ")[2])
    while (place := _PLACE.match(text)) is not None:
        text = text[place.end():]
        text = _CONDITION.sub("", _FUNCTION.sub("", text, count=1), count=1)
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:] if text else "it gave no reason"


def failed_node(error: BaseException) -> str:
    """The name of the node that failed; empty where ONNX Runtime does not tell."""
    found = _NODE.search(str(error))
    return found.group(1) if found else ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a run failed because a result is larger than the memory there is."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _MEMORY)
