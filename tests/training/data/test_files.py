"""CSV files and lines of text."""

import math

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import TrainingError
from symgraph.training.data.feeding import make_feed

IRIS = "length,width,kind\n5.1,3.5,setosa\n7,3.2,virginica\n"


def rows(tmp_path, text, **options):
    path = tmp_path / "data.csv"
    path.write_text(text)
    return sg.data.csv(path, **options).to_array()


CASES = {
    "numbers and strings": (IRIS, {}, [{"length": 5.1, "width": 3.5, "kind": "setosa"},
                                       {"length": 7.0, "width": 3.2, "kind": "virginica"}]),
    "a label": ("a,b\n1,2\n", {"label": "b"}, [({"a": 1.0}, 2.0)]),
    "labels": ("a,b,c\n1,2,3\n", {"label": ["b", "c"]}, [({"a": 1.0}, {"b": 2.0, "c": 3.0})]),
    "labels in TensorFlow.js's form": ("a,b\n1,2\n", {"column_configs": {"b": {"is_label": True}}},
                                       [{"xs": {"a": 1.0}, "ys": {"b": 2.0}}]),
    "no header": ("1,2\n", {"has_header": False, "column_names": ["a", "b"]}, [{"a": 1.0, "b": 2.0}]),
    "other names": ("x,y\n1,2\n", {"column_names": ["a", "b"]}, [{"a": 1.0, "b": 2.0}]),
    "configured columns only": ("a,b,c\n1,2,3\n", {"column_configs": {"b": {}}, "configured_columns_only": True},
                                [{"b": 2.0}]),
    "a delimiter": ("a;b\n1;2\n", {"delimiter": ";"}, [{"a": 1.0, "b": 2.0}]),
    "blanks": ("a b\n 1 \t 2\n\n3 4\n", {"delim_whitespace": True}, [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}]),
    "quotes": ('a,b\n"x,""y""","two\nlines"\n', {}, [{"a": 'x,"y"', "b": "two\nlines"}]),
    "blank lines, Windows ends, a mark": ("\ufeffa,b\r\n\r\n1,2\r\n", {}, [{"a": 1.0, "b": 2.0}]),
    "a default": ("a,b\n,2\n", {"column_configs": {"a": {"default": 9}}}, [{"a": 9, "b": 2.0}]),
    "an empty string": ("a,b\n,2\n", {"column_configs": {"a": {"dtype": "string"}}}, [{"a": "", "b": 2.0}]),
    "numbers as strings": ("a\n07\n", {"column_configs": {"a": {"dtype": "string"}}}, [{"a": "07"}]),
    "ints": ("a\n7\n", {"column_configs": {"a": {"dtype": "int32"}}}, [{"a": 7}]),
    "ints that are long": ("a\n9007199254740993\n", {"column_configs": {"a": {"dtype": "int64"}}}, [{"a": 2**53 + 1}]),
    "bools": ("a\ntrue\n0\n", {"column_configs": {"a": {"dtype": "bool"}}}, [{"a": True}, {"a": False}]),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_are_read(case, tmp_path):
    text, options, expected = CASES[case]

    assert rows(tmp_path, text, **options) == expected


def test_an_empty_number_is_nan(tmp_path):
    (row,) = rows(tmp_path, "a,b\n,2\n")

    assert math.isnan(row["a"])


@pytest.mark.parametrize(("text", "options", "message"), [
    ("a,b\n1\n", {}, r"data.csv, line 2: 1 values for 2 columns"),
    ("a,b\n1,2\n", {"label": "c"}, "has no column 'c'; there are: a, b"),
    ("a,b\n1,2\n", {"column_configs": {"A": {}}}, "has no column 'A'"),
    ("a,b\n1,2\n", {"column_configs": {"a": {"isLabel": True}}}, "unknown option 'isLabel'; did you mean \"is_label\""),
    ("a,b\n1,2\n", {"column_names": ["a"]}, "has 2 columns, column_names has 1"),
    ("a,a\n1,2\n", {}, "column 'a' is there more than once"),
    ("1,2\n", {"has_header": False}, "has no header; give column_names"),
    ("", {}, "is empty"),
    ("a\n\"\"\n", {"column_configs": {"a": {"required": True}}}, "line 2, column 'a': is required, and empty"),
    ("a\nx\n", {"column_configs": {"a": {"dtype": "float32"}}}, "line 2, column 'a': 'x' is no float32"),
    ("a\n1.5\n", {"column_configs": {"a": {"dtype": "int32"}}}, "line 2, column 'a': '1.5' is no int32"),
    ("a\n300\n", {"column_configs": {"a": {"dtype": "uint8"}}}, "line 2, column 'a': '300' is no uint8"),
    ("a\nmaybe\n", {"column_configs": {"a": {"dtype": "bool"}}}, "'maybe' is no bool"),
    ("a,b\n,1\n", {"column_configs": {"a": {"dtype": "int32"}}}, "is empty, and int32 has no value for that"),
    ("a\n1\n", {"delimiter": ";", "delim_whitespace": True}, "exclude each other"),
    ("a\n1\n", {"delimiter": ";;"}, "delimiter is a single character, got ';;'"),
    (f"a\n{'x' * 200_000}\n", {}, "is no table of comma-separated values: field larger than"),
])
def test_mistakes_are_explained(text, options, message, tmp_path):
    with pytest.raises(TrainingError, match=message):
        rows(tmp_path, text, **options)


@pytest.mark.parametrize("make", [sg.data.csv, sg.data.TextLineDataset])
@pytest.mark.parametrize(("source", "message"), [
    ("https://example.com/a.csv", "is an address; symgraph reads files only: download it first"),
    ("absent.csv", "there is no file absent.csv"), (3, "a file is given by its path, got int"),
])
def test_only_files_are_read(make, source, message):
    with pytest.raises(TrainingError, match=message):
        make(source)


@pytest.mark.parametrize("make", [sg.data.csv, sg.data.TextLineDataset])
def test_a_file_that_is_no_utf_8_is_named(make, tmp_path):
    (tmp_path / "old.csv").write_bytes("a\né\n".encode("latin-1"))
    with pytest.raises(TrainingError, match=r"old\.csv is no text in UTF-8: .* byte 0xe9 .*; save it as such"):
        make(tmp_path / "old.csv").to_array()


def test_a_table_is_one_file(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(TrainingError, match="reads one file, got 2"):
        sg.data.csv([tmp_path / "a.csv"] * 2)


def test_the_columns_are_named(tmp_path):
    (tmp_path / "a.csv").write_text(IRIS)

    assert sg.data.csv(tmp_path / "a.csv").column_names == ["length", "width", "kind"]


def test_a_csv_file_feeds_training(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,6\n5,10\n")
    dataset = sg.data.csv(tmp_path / "a.csv", label="y").map(lambda x, y: (np.float32([x["x"]]), y)).batch(2)

    with make_feed(dataset) as feed:
        batches = [(b.x[0].tolist(), b.y[0].tolist()) for b in feed.batches(0)]
        later = [b.y[0].tolist() for b in feed.batches(0, 1)]

    assert batches == [([[1], [3]], [2, 6]), ([[5]], [10])]
    assert later == [[10]]


def test_lines_of_files_come_without_their_ends(tmp_path):
    (tmp_path / "a").write_bytes("one\r\ntwö\n\n".encode())
    (tmp_path / "b").write_bytes(b"last")

    dataset = sg.data.TextLineDataset([tmp_path / "a", str(tmp_path / "b")])

    assert dataset.to_array() == dataset.to_array() == ["one", "twö", "", "last"]
    assert dataset.skip(1).batch(2).to_array()[0].tolist() == ["twö", ""]
