"""RemoteMonitor: the logs of the epochs, sent to a server."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.training.callbacks.callback import Callback

_SECONDS = 10.0


class RemoteMonitor(Callback):
    """Sends the epoch and its logs to `root + path` as an HTTP POST: JSON in the form field `field`.

    With `send_as_json=True` the JSON is the body. A server that cannot be reached within 10 seconds, refuses, or does
    not speak HTTP gives a warning, and training goes on.

    Errors: `TrainingError` for an address that is not http or https.
    """

    def __init__(self, root: str = "http://localhost:9000", path: str = "/publish/epoch/end/", field: str = "data",
                 headers: Mapping[str, str] | None = None, send_as_json: bool = False) -> None:
        super().__init__()
        if urlsplit(root).scheme not in ("http", "https"):
            raise TrainingError(f"RemoteMonitor: root must begin with http:// or https://, got {root!r}")
        self.root, self.path, self.field = root, path, field
        self.headers, self.send_as_json = headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        known = {name: _plain(value) for name, value in (logs or {}).items()}
        text = json.dumps({"epoch": epoch, **known})
        body = text if self.send_as_json else urlencode({self.field: text})
        kind = "application/json" if self.send_as_json else "application/x-www-form-urlencoded"
        request = Request(self.root + self.path, body.encode(), {"Content-Type": kind, **(self.headers or {})})
        try:
            with urlopen(request, timeout=_SECONDS):
                pass
        except (OSError, HTTPException) as error:
            warnings.warn(f"RemoteMonitor: could not send epoch {epoch} to {self.root}: {error}", stacklevel=2)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
