"""Files that commands write: what can be known before the work begins."""

from __future__ import annotations

from pathlib import Path

from symgraph.core.errors import GraphError, ResourceError

PAGES = (".html", ".htm")


def check_writable(path: str) -> None:
    """See that a file can stand where it is to be written.

    Errors: `ResourceError` naming the directory that is not there.
    """
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise ResourceError(f"{path} cannot be written, because there is no directory {folder}")
    if Path(path).is_dir():
        raise ResourceError(f"{path} cannot be written, because it is a directory")


def check_picture(path: str, kinds: tuple[str, ...]) -> None:
    """See that a picture has a name that says what it is to be, and can be written.

    Errors: `GraphError` naming the kinds there are.
    """
    if not path.lower().endswith(kinds):
        raise GraphError(f"this picture is written as {' or '.join(kinds)}, not as {path!r}")
    check_writable(path)
