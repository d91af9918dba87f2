"""What README.md shows works as it stands."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_examples_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}

    exec(compile(code, "README.md", "exec"), names)

    assert (tmp_path / "model.onnx").exists() and (tmp_path / "step.onnx").exists()
    assert names["again"].output_names == ["scores"]


def test_links_lead_somewhere():
    root = Path(__file__).resolve().parents[1]
    links = re.findall(r"\]\(([^)#:]+)\)", README)

    assert links and [link for link in links if not (root / link).exists()] == []
