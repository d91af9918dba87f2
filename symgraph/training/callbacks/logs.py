"""What callbacks are told: numbers by name, read from where they lie only when somebody looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from symgraph.core.value import Tensor
from symgraph.core.variable import Variable


class Logs(MutableMapping[str, Any]):
    """The logs of a batch, as lazy as they can be: `read()` is called once, when a value is first looked at.

    `read` returns tensors, arrays or numbers by name; what comes out are Python numbers, as from `numbers`. With
    `names` the keys are known without it. Keys may be added and changed, as `logs["learning_rate"] = 0.1`.

    >>> import symgraph as sg
    >>> from symgraph.training.callbacks import Logs
    >>> logs = Logs(lambda: {"loss": sg.tensor(0.5)}, names=["loss"])
    >>> bool(logs), list(logs), logs.is_read
    (True, ['loss'], False)
    >>> logs["loss"], logs.is_read
    (0.5, True)
    """

    __slots__ = ("_names", "_read", "_values")

    def __init__(self, read: Callable[[], Mapping[str, Any]], names: Sequence[str] | None = None) -> None:
        self._read: Callable[[], Mapping[str, Any]] | None = read
        self._names = None if names is None else sorted(names)
        self._values: dict[str, Any] = {}

    @property
    def is_read(self) -> bool:
        """Whether somebody looked at a value already."""
        return self._read is None

    def _known(self) -> dict[str, Any]:
        if self._read is not None:
            read, self._read = self._read, None
            self._values = {**numbers(read()), **self._values}
        return self._values

    def _keys(self) -> dict[str, Any]:
        """Something that has the keys, without reading where they are known."""
        if self._read is not None and self._names is not None:
            return dict.fromkeys([*self._names, *self._values])
        return self._known()

    def __getitem__(self, name: str) -> Any:
        return self._values[name] if name in self._values else self._known()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        del self._known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def __contains__(self, name: object) -> bool:
        return name in self._keys()

    def copy(self) -> dict[str, Any]:
        """A dict of the same."""
        return dict(self._known())

    def __repr__(self) -> str:
        return repr(self._known())


def numbers(logs: Mapping[str, Any] | None) -> dict[str, Any]:
    """A dict with Python numbers in the place of tensors and arrays without axes, in the order of the names.

    Logs inside logs are spread out, other tensors become arrays; all else stays as it is.

    >>> from symgraph.training.callbacks.logs import numbers
    >>> numbers({"loss": np.float32(0.5), "accuracy": 1})
    {'accuracy': 1.0, 'loss': 0.5}
    """
    result: dict[str, Any] = {}
    for name, value in sorted((logs or {}).items()):
        if isinstance(value, Mapping):
            result.update(numbers(value))
        else:
            result[name] = number(value)
    return result


def number(value: Any) -> Any:
    """`value` as a float, where it is one number."""
    if isinstance(value, Tensor | Variable):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return float(value.item()) if value.ndim == 0 and value.dtype.kind not in "OSUc" else value
    return float(value) if isinstance(value, bool | int | float | np.number | np.bool_) else value
