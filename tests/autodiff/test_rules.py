"""Every gradient rule against central differences: the tables `table_*.py` list the functions."""

from importlib import import_module
from pathlib import Path

import pytest

from tests.autodiff.cases import Case, check

TABLES = sorted(path.stem for path in Path(__file__).parent.glob("table_*.py"))
CASES = [case for table in TABLES for case in import_module(f"tests.autodiff.{table}").CASES]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_equals_central_differences(case: Case) -> None:
    check(case)


def test_no_case_is_there_twice() -> None:
    names = [case.name for case in CASES]

    assert len(set(names)) == len(names)
