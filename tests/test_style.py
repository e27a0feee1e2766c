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
README = (ROOT / "README.md").read_text(encoding="utf-8")


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


def test_readme_ci_and_shells_agree() -> None:
    """CI runs README's own test command, and the lines for PowerShell need no `&&`."""
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    pattern = re.findall(r"grep -m 1 '(.+)' README\.md", ci)[0]
    assert re.findall(pattern, README, re.MULTILINE) == [
        'pip install -c constraints.txt -e ".[test]" && pytest'
    ]
    blocks = re.findall(r"```powershell\n(.*?)```", README, re.DOTALL)
    assert blocks
    assert "&&" not in "".join(blocks)


def test_readme_links_lead_somewhere() -> None:
    """Each file that README.md links to is there."""
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert not [link for link in links if "://" not in link and not (ROOT / link).exists()]
