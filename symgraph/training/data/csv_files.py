"""Rows of CSV files, with TensorFlow.js's configuration of columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TextIO

import numpy as np

from symgraph.core.errors import TrainingError, nearest
from symgraph.core.types import as_dtype, is_integer
from symgraph.training.data.dataset import Dataset
from symgraph.training.data.nodes import Generated
from symgraph.training.data.text_files import files, opened

OPTIONS = ("required", "dtype", "default", "is_label")


class CSVDataset(Dataset):
    """The rows of a CSV file: dicts of column name to value, numbers where the text is one, strings otherwise.

    - `has_header`: the first row has the names of the columns
    - `column_names`: names in place of those of the file; needed without a header
    - `column_configs`: column name -> dict of `required` (an empty value is an error), `dtype` ("float32", "int32",
      "bool", "string"), `default` (in place of an empty value) and `is_label`
    - `configured_columns_only`: leave out columns without a config
    - `delimiter`; `delim_whitespace` for any number of blanks and tabs
    - `label`: the name of the column of targets, or several names

    With `label` elements are pairs (features, target), the target by itself where it is one. With `is_label` they are
    TensorFlow.js's `{"xs": features, "ys": labels}`. An empty value without a default is NaN, "" in a
    column of strings.

    Errors: `TrainingError` for unknown columns, and with the line, for rows of other lengths and values that are not
    of their dtype.

    >>> from pathlib import Path
    >>> _ = Path("points.csv").write_text("a,b,kind\\n1,2.5,red\\n3,,blue\\n")
    >>> CSVDataset("points.csv", label="kind", column_configs={"b": {"default": 0.0}}).to_array()
    [({'a': 1.0, 'b': 2.5}, 'red'), ({'a': 3.0, 'b': 0.0}, 'blue')]
    """

    def __init__(
            self, source: Any, has_header: bool = True, column_names: Sequence[str] | None = None,
            column_configs: Mapping[str, Mapping[str, Any]] | None = None, configured_columns_only: bool = False,
            delimiter: str = ",", delim_whitespace: bool = False, label: str | Sequence[str] | None = None) -> None:
        paths = files(source)
        if len(paths) != 1:
            raise TrainingError(f"CSVDataset reads one file, got {len(paths)}; concatenate(...) joins those of several")
        (self.path,) = paths
        if delim_whitespace and delimiter != ",":
            raise TrainingError("delimiter and delim_whitespace exclude each other; give one of them")
        if not isinstance(delimiter, str) or len(delimiter) != 1:
            raise TrainingError(f"delimiter is a single character, got {delimiter!r}; for blanks there is "
                                "delim_whitespace=True")
        self._has_header, self._delimiter = has_header, None if delim_whitespace else delimiter
        self._names = self._all_names(column_names)
        configs = {name: _config(name, config) for name, config in (column_configs or {}).items()}
        labels = [label] if isinstance(label, str) else list(label or ())
        self._check_names([*configs, *labels])
        self._labels = labels or [name for name, config in configs.items() if config.get("is_label")]
        self._as_pairs, self._is_single = bool(labels), isinstance(label, str)
        self.column_names = [name for name in self._names
                             if not configured_columns_only or name in configs or name in self._labels]
        self._configs = {name: configs.get(name, {}) for name in self.column_names}
        super().__init__(Generated(self._rows))

    def _all_names(self, given: Sequence[str] | None) -> list[str]:
        first = next(self._records(), None)
        if first is None:
            raise TrainingError(f"{self.path} is empty")
        names = list(given) if given is not None else first[1] if self._has_header else None
        if names is None:
            raise TrainingError(f"{self.path} has no header; give column_names")
        if len(names) != len(first[1]):
            raise TrainingError(f"{self.path} has {len(first[1])} columns, column_names has {len(names)}")
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            raise TrainingError(f"{self.path}: column {double[0]!r} is there more than once; give column_names")
        return names

    def _check_names(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._names:
                raise TrainingError(f"{self.path} has no column {name!r}; {nearest(name, self._names)}")

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and fields of every row that is not blank."""
        with opened(self.path, "") as file:
            try:
                yield from _split_rows(file, self._delimiter)
            except csv.Error as error:
                raise TrainingError(f"{self.path} is no table of comma-separated values: {error}") from None

    def _rows(self) -> Iterator[Any]:
        for line, fields in islice(self._records(), int(self._has_header), None):
            if len(fields) != len(self._names):
                raise TrainingError(f"{self.path}, line {line}: {len(fields)} values for {len(self._names)} columns")
            texts = dict(zip(self._names, fields, strict=True))
            yield self._arranged({
                name: self._value(texts[name], name, config, line) for name, config in self._configs.items()})

    def _value(self, text: str, name: str, config: Mapping[str, Any], line: int) -> Any:
        try:
            return _parsed(text, config)
        except ValueError as error:
            raise TrainingError(f"{self.path}, line {line}, column {name!r}: {error}") from None

    def _arranged(self, values: dict[str, Any]) -> Any:
        if not self._labels:
            return values
        features = {name: value for name, value in values.items() if name not in self._labels}
        labels = {name: values[name] for name in self._labels}
        if not self._as_pairs:
            return {"xs": features, "ys": labels}
        return features, labels[self._labels[0]] if self._is_single else labels


def _split_rows(file: TextIO, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    if delimiter is None:
        for number, line in enumerate(file, 1):
            if fields := line.split():
                yield number, fields
        return
    reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
    for fields in reader:
        if fields:
            yield reader.line_num, fields


def _config(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    for key in config:
        if key not in OPTIONS:
            raise TrainingError(f"column_configs of {name!r} has the unknown option {key!r}; {nearest(key, OPTIONS)}")
    return {**config, "dtype": as_dtype(config["dtype"])} if config.get("dtype") is not None else dict(config)


def _parsed(text: str, config: Mapping[str, Any]) -> Any:
    dtype, text = config.get("dtype"), text.strip()
    if not text:
        if config.get("default") is not None:
            return config["default"]
        if config.get("required"):
            raise ValueError("is required, and empty")
        if dtype not in (None, "string") and not dtype.startswith("float"):
            raise ValueError(f"is empty, and {dtype} has no value for that; give a default")
        return "" if dtype == "string" else float("nan")
    if dtype == "string":
        return text
    if dtype == "bool":
        return _truth(text)
    if dtype is not None and is_integer(dtype):
        return _whole(text, dtype)
    try:
        number = float(text)
    except ValueError:
        if dtype is None:
            return text
        raise ValueError(f"{text!r} is no {dtype}") from None
    return number if dtype is None else np.dtype(dtype).type(number)


def _whole(text: str, dtype: str) -> Any:
    try:
        number = int(text) if text.lstrip("+-").isdigit() else float(text)
        if number == int(number):
            return np.dtype(dtype).type(int(number))
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{text!r} is no {dtype}")


def _truth(text: str) -> bool:
    known = {"1": True, "true": True, "0": False, "false": False}
    if text.lower() not in known:
        raise ValueError(f"{text!r} is no bool (true, false, 1 or 0)")
    return known[text.lower()]


