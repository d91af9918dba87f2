"""The outputs of a model, and which of them a loss, a metric, a target or a weight belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from symgraph.core.errors import TrainingError, nearest
from symgraph.core.structure import flatten, map_structure, pack
from symgraph.core.tensor import Operand
from symgraph.core.types import Shape
from symgraph.training.metrics.base import snake_case

Path = tuple[str | int, ...]


class Part(NamedTuple):
    """Something given for a part of the outputs: the way there, the numbers of the outputs in it, and what it is."""

    path: Path
    outputs: Any
    given: Any


class Outputs:
    """Outputs in the order of their nesting, each with a name.

    The names are the keys where outputs are a dict, else those of the model; None where there are none.

    >>> outputs = Outputs({"mean": 0, "width": 0})
    >>> outputs.names, outputs.each({"width": "mse"}, "loss")
    (('mean', 'width'), [None, 'mse'])
    """

    def __init__(self, outputs: Any, names: Any = None) -> None:
        self.count = len(flatten(outputs))
        self.structure = pack(outputs, range(self.count))
        known = list(names or [])
        if isinstance(outputs, dict) and len(outputs) == self.count:
            known = list(outputs)
        self.names: tuple[str | None, ...] = tuple(known) if len(known) == self.count else (None,) * self.count
        self.paths = tuple(_paths(self.structure, ()))

    def describe(self, number: int) -> str:
        """`output "head"`, for the beginning of a message."""
        name = self.names[number]
        if name is not None:
            return f'output "{name}"'
        return "the output" if self.count == 1 else f"output {number}"

    def __str__(self) -> str:
        """The outputs there are, for the end of a message."""
        if self.count == 1 and self.names[0] is None:
            return "the model has one output"
        listed = ", ".join(f'"{n}"' if n is not None else str(i) for i, n in enumerate(self.names))
        return f"the model has the output{'s' if self.count > 1 else ''} {listed}"

    def parts(self, given: Any, what: str) -> Iterator[Part]:
        """What was given, split as far as the outputs are: what stands for one output may itself be a list.

        Lists go by order, dicts by key or name; of a dict entries may be missing. None is nothing.

        Errors: `TrainingError` for a name or a number of entries that does not fit, listing the outputs.
        """
        return self._parts(self.structure, given, what, ())

    def each(self, given: Any, what: str) -> list[Any]:
        """What was given for each output, None for nothing. What is given for several stands for each of them."""
        found: list[Any] = [None] * self.count
        for part in self.parts(given, what):
            for number in flatten(part.outputs):
                found[number] = part.given
        return found

    def weights(self, sample_weight: Any) -> list[Any]:
        """The sample weights of each output, None for none. A list of one, like a lone one, is that of all outputs."""
        if isinstance(sample_weight, list | tuple) and len(sample_weight) == 1 and isinstance(
                sample_weight[0], np.ndarray | Operand):
            (sample_weight,) = sample_weight
        return self.each(sample_weight, "sample_weight")

    def label(self, path: Path, part: Any, otherwise: str) -> str:
        """What stands for a part in logs: the way there, ending with a name rather than a number."""
        if not isinstance(part, int):
            return "/".join(map(str, path))
        if path and isinstance(path[-1], str):
            return "/".join(map(str, path))
        return "/".join(map(str, (*path[:-1], self.names[part] or otherwise)))

    def _parts(self, node: Any, given: Any, what: str, path: Path) -> Iterator[Part]:
        if given is None:
            return
        if isinstance(given, Mapping) and "class_name" not in given:
            yield from self._by_name(node, given, what, path)
        elif isinstance(node, int) or not isinstance(given, list | tuple):
            yield Part(path, node, given)
        else:
            for key, part, own in self._by_order(node, given, what):
                yield from self._parts(part, own, what, (*path, key))

    def _by_name(self, node: Any, given: Mapping[str, Any], what: str, path: Path) -> Iterator[Part]:
        is_keyed = isinstance(node, dict)
        known = node if is_keyed else {self.names[i]: i for i in flatten(node) if self.names[i] is not None}
        for name in given:
            if name not in known:
                inside = f' inside "{"/".join(map(str, path))}"' if path else ""
                raise TrainingError(f'{what} given for "{name}", and there is no such output{inside}; '
                                    f"{nearest(str(name), map(str, known)) if known else self}")
        for key, part in known.items():
            yield from self._parts(part, given.get(key), what, (*path, key) if is_keyed else (key,))

    def _by_order(self, node: Any, given: Any, what: str) -> Iterator[tuple[str | int, Any, Any]]:
        parts = list(node.items()) if isinstance(node, dict) else list(enumerate(node))
        if isinstance(node, dict) and list(node) != sorted(node):
            raise TrainingError(f"{what} given as a list for a dict of outputs, whose order is not that of the "
                                f"alphabet, so it is not clear what belongs where; give a dict with the keys "
                                f"{', '.join(map(repr, node))}")
        if len(given) != len(parts):
            leaves = flatten(node)
            if len(given) != len(leaves):
                raise TrainingError(f"{what}: got {len(given)} for {len(parts)} outputs; {self}; "
                                    "give one for each, or a dict by name")
            parts = [(self.names[i] if self.names[i] is not None else i, i) for i in leaves]
        return ((key, part, own) for (key, part), own in zip(parts, given, strict=True))


def _paths(node: Any, path: Path) -> Iterator[Path]:
    if isinstance(node, int):
        yield path
        return
    for key, part in node.items() if isinstance(node, dict) else enumerate(node):
        yield from _paths(part, (*path, key))


def arrange_targets(outputs: Outputs, y_true: Any, has_loss: set[int]) -> list[Any]:
    """The targets in the order of the outputs, None for an output without.

    Those of outputs without a loss may be left out of a list; what is then the only one needs no list.

    Errors: `TrainingError` for missing targets, and for those of outputs that do not exist.
    """
    if isinstance(y_true, list | tuple) and len(y_true) == len(has_loss) < outputs.count:
        own = iter(y_true)
        return [next(own) if i in has_loss else None for i in range(outputs.count)]
    if len(has_loss or outputs.paths) == 1 and not isinstance(outputs.structure, int) and isinstance(
            y_true, np.ndarray | Operand):
        return [y_true if i in has_loss or outputs.count == 1 else None for i in range(outputs.count)]
    if isinstance(outputs.structure, int) and isinstance(y_true, list | tuple) and len(y_true) == 1 and isinstance(
            y_true[0], np.ndarray | Operand):
        (y_true,) = y_true
    if isinstance(outputs.structure, int) and isinstance(y_true, list | tuple) and len(y_true) > 1 and all(
            isinstance(y, np.ndarray | Operand) and y.ndim for y in y_true):
        raise TrainingError(f"targets: got {len(y_true)} arrays, and {outputs}; give one")
    parts = list(outputs.parts(y_true, "targets"))
    found: list[Any] = [None] * outputs.count
    for part in parts:
        if not isinstance(part.outputs, int):
            raise TrainingError(f"targets: got one array for {len(flatten(part.outputs))} outputs; {outputs}; "
                                "give a list, or a dict by name")
        found[part.outputs] = part.given
    for i in sorted(has_loss):
        if found[i] is None:
            raise TrainingError(f"{outputs.describe(i)} has a loss and no target; give one, or None as its loss")
    return found


def pick(part: Any, leaves: list[Any]) -> Any:
    """The leaves of these numbers, nested as the numbers are."""
    return map_structure(lambda number: leaves[number], part)


def leaves_of(given: Any) -> list[Any]:
    """The losses or metrics in any nesting; a configuration is one of them."""
    if isinstance(given, Mapping) and "class_name" not in given:
        given = list(given.values())
    if isinstance(given, list | tuple):
        return [x for part in given for x in leaves_of(part)]
    return [given]


def shape_of(x: Any) -> Shape:
    """The shape of an operand or of data; that of None is ()."""
    if isinstance(x, Operand):
        return x.shape
    return () if x is None else np.shape(x)


def log_name(identifier: Any, found: Any) -> str:
    """What is given by name is called that in logs; an object its `name`, a function or a class that of its definition.

    >>> log_name("mse", abs), log_name(abs, abs), log_name(lambda y, p: p, lambda y, p: p)
    ('mse', 'abs', 'lambda')
    """
    if isinstance(identifier, str):
        return identifier
    named = getattr(found, "name", None)
    if isinstance(named, str):
        return named
    word = getattr(found, "__name__", None) or type(found).__name__
    return snake_case("".join(c for c in word if c.isalnum() or c == "_"))
