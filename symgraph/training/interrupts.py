"""Ctrl-C is heard. Python drops what is raised while an object is taken down, and training takes down many."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

DELAY = 0.001
"""Seconds until an interrupt is tried again that came at the wrong moment."""

_CALLBACKS = ("weakref.py", "_weakrefset.py")
"""Where Python keeps what it calls when objects go."""


@contextmanager
def hearing_interrupts() -> Iterator[None]:
    """Inside, a KeyboardInterrupt is not lost in a `__del__` or a callback of `weakref`, but comes a moment later.

    Where the program has a handler of its own for SIGINT, and in other threads than the main one, nothing changes.
    """
    is_ours_to_set = (threading.current_thread() is threading.main_thread()
                      and signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    if not is_ours_to_set:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _is_taken_down(frame):
        raise KeyboardInterrupt
    again = threading.Timer(DELAY, _thread.interrupt_main)
    again.daemon = True
    again.start()


def _is_taken_down(frame: FrameType | None) -> bool:
    """Whether the program is inside of something whose exceptions are dropped."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_filename.endswith(_CALLBACKS):
            return True
        frame = frame.f_back
    return False
