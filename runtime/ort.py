"""The one place where onnxruntime is imported: when it is first used, with a clear word if it is not there."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType

from symgraph.core.errors import MissingDependencyError


@lru_cache(maxsize=1)
def onnxruntime() -> ModuleType:
    """The installed onnxruntime.

    Errors: `MissingDependencyError` where none is installed.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise MissingDependencyError(
            "onnxruntime is not installed: pip install 'symgraph[cpu]', or 'symgraph[gpu]' for CUDA") from error
    ort.set_default_logger_severity(3)
    return ort


@lru_cache(maxsize=1)
def uses_global_threads() -> bool:
    """Give all sessions one pool of threads; each its own would be hundreds of threads in eager mode."""
    ort = onnxruntime()
    if not hasattr(ort, "set_global_thread_pool_sizes"):
        return False
    ort.set_global_thread_pool_sizes(0, 1)
    return True
