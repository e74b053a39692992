"""Rules of the house that no linter knows: sizes, names, docstrings of tests."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "*.py"], capture_output=True, text=True, check=True
    ).stdout.split()
)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_are_files_to_check() -> None:
    """All other tests of this file would pass because they look at nothing."""
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_file_and_function_sizes(path: Path) -> None:
    """A file would outgrow 400 lines or a function 50 (its docstring not counted)."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, FUNCTION):
            first = node.body[0]
            documented = ast.get_docstring(node) is not None
            length = (node.end_lineno or 0) - node.lineno + 1
            length -= (first.end_lineno or 0) - first.lineno + 1 if documented else 0
            assert length <= 50, f"{node.name}: {length} lines"


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_no_module_takes_a_standard_name(path: Path) -> None:
    """A module would hide one of the standard library."""
    assert path.stem in ("__init__", "__main__") or path.stem not in sys.stdlib_module_names


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_nothing_is_left_over(path: Path) -> None:
    """A path of one machine or a marker of unfinished work would be kept."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(?:home|root|work)" + "/", text)
    assert not re.search("TO" + "DO|FIX" + "ME", text)


@pytest.mark.parametrize("path", [p for p in FILES if p.name.startswith("test_")], ids=_name)
def test_every_test_says_what_it_guards(path: Path) -> None:
    """A test would not say what is wrong when it fails."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, FUNCTION) and node.name.startswith("test_"):
            assert ast.get_docstring(node), node.name


def test_configuration_folders_are_packages() -> None:
    """Hydra would not find the configuration once the package is installed."""
    assert (ROOT / "conf" / "__init__.py").is_file()
    assert (ROOT / "scenarios" / "__init__.py").is_file()


def test_the_model_names_no_site() -> None:
    """The model would know the reference case."""
    sites = {
        site
        for file in ROOT.glob("scenarios/*/federation.yaml")
        for site in yaml.safe_load(file.read_text(encoding="utf-8"))["sites"]
    }
    assert len(sites) >= 6
    words = {word for site in sites for word in site.split("-") if len(word) > 3} | sites
    for path in FILES:
        if path.is_relative_to(ROOT / "sim"):
            text = path.read_text(encoding="utf-8")
            assert not [w for w in words if re.search(rf"\b{re.escape(w)}\b", text)], path
