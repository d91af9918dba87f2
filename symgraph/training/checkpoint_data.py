"""The data of a checkpoint as JSON: what JSON has no words for gets some, arrays are taken out."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from symgraph.core.errors import FormatError, LimitError, TrainingError
from symgraph.core.tensor import Operand
from symgraph.core.value import Array

LONGEST = 100_000_000
"""The most bytes of JSON that are read."""
_DEPTH = 200
_Key = str | int | float | bool | None


def pack(data: Any) -> tuple[Any, list[Array]]:
    """`data` as JSON may hold it, and the arrays that were in it.

    Errors: `TrainingError` naming the place of what cannot be kept.

    >>> from symgraph.training.checkpoint_data import pack
    >>> pack({"wait": 3, "best": float("inf"), "weights": (np.zeros(2),)})
    ({'wait': 3, 'best': {'$float': 'inf'}, 'weights': [{'$array': 0}]}, [array([0., 0.])])
    """
    arrays: list[Array] = []
    return _pack(data, arrays, "data", 0), arrays


def _pack(data: Any, arrays: list[Array], where: str, depth: int) -> Any:
    if depth > _DEPTH - 8:
        raise TrainingError(f"checkpoint: {where[:80]}… is nested deeper than {_DEPTH - 8}")
    if isinstance(data, np.ndarray | np.generic):
        arrays.append(np.asarray(data))
        return {"$array": len(arrays) - 1}
    if isinstance(data, float) and not math.isfinite(data):
        return {"$float": repr(data)}
    if data is None or isinstance(data, bool | int | float | str):
        return data
    if isinstance(data, list | tuple):
        return [_pack(x, arrays, f"{where}[{i}]", depth + 1) for i, x in enumerate(data)]
    if isinstance(data, dict) and all(isinstance(k, _Key) for k in data):
        pairs = [(k, _pack(v, arrays, f"{where}[{k!r}]", depth + 2)) for k, v in data.items()]
        if all(isinstance(k, str) and not k.startswith("$") for k, _ in pairs):
            return dict(pairs)
        return {"$dict": [[_pack(k, arrays, f"a key of {where}", depth + 2), v] for k, v in pairs]}
    if isinstance(data, dict):
        wrong = next(k for k in data if not isinstance(k, _Key))
        raise TrainingError(f"checkpoint: {where} has {wrong!r} as a key; strings and numbers can be kept")
    hint = "; give its .numpy()" if isinstance(data, Operand) else ""
    raise TrainingError(f"checkpoint: {where} is of type {type(data).__name__}; numbers, strings, None, lists, dicts "
                        f"and NumPy arrays can be kept{hint}")


def unpack(plain: Any, arrays: list[Array]) -> Any:
    """What `pack` was given; tuples are lists.

    Errors: `FormatError` for what `pack` does not write.
    """
    if isinstance(plain, list):
        return [unpack(x, arrays) for x in plain]
    if not isinstance(plain, dict):
        return plain
    marks = [k for k in plain if k.startswith("$")]
    if not marks:
        return {k: unpack(v, arrays) for k, v in plain.items()}
    mark, value = marks[0], plain[marks[0]]
    if len(plain) == 1:
        if mark == "$float" and value in ("nan", "inf", "-inf"):
            return float(value)
        if mark == "$array" and type(value) is int and 0 <= value < len(arrays):
            return arrays[value]
        if mark == "$dict" and isinstance(value, list) and all(isinstance(p, list) and len(p) == 2 for p in value):
            return {_key(unpack(k, arrays)): unpack(v, arrays) for k, v in value}
    raise FormatError(f"the data has {mark!r} where a checkpoint has none")


def _key(key: Any) -> Any:
    if not isinstance(key, _Key):
        raise FormatError(f"the data has a {type(key).__name__} as a key of a dict")
    return key


def read_json(text: bytes) -> Any:
    """JSON as the standard has it: no key twice, no NaN, no nesting without end.

    Errors: `FormatError`, and `LimitError` for more than 100 MB.
    """
    if len(text) > LONGEST:
        raise LimitError(f"{len(text)} bytes of JSON, the limit is {LONGEST}")
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant,
                          parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise FormatError(f"not valid JSON: {reason}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return result


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large for a float")
    return value
