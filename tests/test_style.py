"""The checkers, so that `pytest` is the one command that says whether a change may go in."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "command",
    ["ruff check --no-cache .", "ruff format --no-cache --check .", "mypy --no-error-summary"],
)
def test_checker_is_content(command: str) -> None:
    """Package, tests and notebooks pass lint and format, the package passes strict types."""
    words = [sys.executable, "-m", *command.split()]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_constraints_cover_each_dependency() -> None:
    """constraints.txt fixes all that pyproject.toml asks for, and names no index."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*chain(project["dependencies"], *project["optional-dependencies"].values())]
    names = {re.split(r"[\[<>=~! ]", text)[0].lower() for text in asked} - {"venlab"}
    fixed = set(re.findall(r"^([\w.-]+)==", CONSTRAINTS, re.MULTILINE))
    assert names <= fixed, "run the command that README.md names under 'Changing it'"
    assert "://" not in CONSTRAINTS
    assert "--" not in CONSTRAINTS
