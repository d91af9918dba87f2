"""What the project promises about its own files: imports, packaging, size, names and examples."""

import ast
import doctest
import importlib
import subprocess
import sys
import tomllib
from importlib.util import resolve_name
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg

ROOT = Path(__file__).resolve().parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
IMPORT_NAMES = {folder: name for name, folder in SETUPTOOLS["package-dir"].items()}
FLOORS = [
    {"core"},
    {"ops"},
    {"autodiff"},
    {"runtime"},
    {"passes"},
    {"layers"},
    {"training"},
    {"formats"},
    {"models", "cli", "utils", "symgraph"},
]
PARTS = set.union(*FLOORS)


def module_name(path: Path) -> str:
    folder, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([IMPORT_NAMES[folder], *rest]).removesuffix(".__init__")


SOURCES = {module_name(path): path for folder in IMPORT_NAMES for path in (ROOT / folder).rglob("*.py")}
EXAMPLES = sorted(name for name in SOURCES if not name.endswith("__main__"))


def part_of(module: str) -> str:
    """Return a module's part: `core` for `symgraph.core.types`, `symgraph` for the public face."""
    part = module.removeprefix("symgraph").removeprefix(".").split(".")[0]
    return "symgraph" if part in ("", "__main__") else part


def floor_of(module: str) -> int:
    """Return a module's floor; what belongs to no part is a name that the public face hands on."""
    part = part_of(module)
    return next((number for number, parts in enumerate(FLOORS) if part in parts), len(FLOORS) - 1)


def imports(module: str, path: Path) -> list[str]:
    """Return the full names a file imports, also inside functions; typing-only imports are free."""
    tree = ast.parse(path.read_text())
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    guards = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    typing_only = [guard.body for guard in guards if ast.unparse(guard.test).endswith("TYPE_CHECKING")]
    hidden = {node for body in typing_only for statement in body for node in ast.walk(statement)}
    names = []
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            names += [f"{source}.{alias.name}" for alias in node.names]
    return names


IMPORTS = [(module, name) for module, path in SOURCES.items() for name in imports(module, path)]


def test_every_source_file_stands_on_a_floor():
    assert [name for name in SOURCES if part_of(name) not in PARTS] == []


def test_a_file_imports_only_from_its_own_floor_and_those_below():
    own = [(module, name) for module, name in IMPORTS if name.split(".")[0] == "symgraph"]
    upward = [f"{module} imports {name}" for module, name in own if floor_of(name) > floor_of(module)]
    assert not upward, "\n".join(upward)


def test_top_level_folders_are_imported_under_their_own_names():
    folders = set(IMPORT_NAMES) - {"symgraph"}
    wrong = [f"{module} imports {name}" for module, name in IMPORTS if name.split(".")[0] in folders]
    assert not wrong, "\n".join(wrong)


def test_every_package_on_disk_is_in_the_distribution():
    on_disk = {module_name(path.parent / "__init__.py") for path in SOURCES.values()}
    difference = on_disk.symmetric_difference(SETUPTOOLS["packages"])
    assert not difference, f"add to or remove from tool.setuptools.packages in pyproject.toml: {difference}"


def test_every_folder_of_sources_is_a_package():
    folders = {path.parent for path in SOURCES.values()}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_import_is_silent_and_leaves_onnxruntime_unloaded():
    code = "import sys, symgraph; sys.exit('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_source_file_has_more_than_500_lines():
    lengths = {name: len(path.read_text().splitlines()) for name, path in SOURCES.items()}
    assert {name: length for name, length in lengths.items() if length > 500} == {}


def test_file_names_say_what_is_inside():
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    files = [name for name, path in SOURCES.items() if path.name != "__init__.py"]  # Keras has a package of that name
    assert [name for name in files if name.rpartition(".")[2] in vague] == []


@pytest.mark.parametrize("module", EXAMPLES)
def test_docstring_examples_hold(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    names = {"np": np, "sg": sg}
    result = doctest.testmod(importlib.import_module(module), extraglobs=names, optionflags=flags)
    assert result.failed == 0
