"""What a pass may not do."""

from __future__ import annotations

from symgraph.core.errors import SymgraphError


class PassError(SymgraphError, ValueError):
    """A pass changed what it must keep, or never came to rest; the message names it."""
