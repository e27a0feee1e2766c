"""How the notebooks look: one parameters cell, small cells, prose before each, stored lean."""

from __future__ import annotations

import ast
import re
import statistics
from dataclasses import fields
from pathlib import Path

import nbformat
import pytest

from venlab.config import LabConfig
from venlab.platforms import notebooks_dir

NOTEBOOKS = sorted(notebooks_dir().glob("*.ipynb"))
# papermill's own help drops a line whose comment holds an equals sign.
PARAMETER = re.compile(r"^(\w+): (str|int|float|bool) = (.+?)  # ([^=]+)$")


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == kind]


def lines(cell: nbformat.NotebookNode) -> int:
    return len(cell.source.splitlines())


def parameters(path: Path) -> nbformat.NotebookNode:
    (cell,) = [c for c in cells(path, "code") if "parameters" in c.metadata.get("tags", [])]
    return cell


def test_there_are_notebooks() -> None:
    """The main job is among them."""
    assert "fleet_run.ipynb" in [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestEach:
    """Rules that every notebook keeps."""

    def test_it_asks_a_question(self, path: Path) -> None:
        """The first cell is a heading that ends with a question mark."""
        first = nbformat.read(path, as_version=4).cells[0]
        assert first.cell_type == "markdown"
        assert re.match(r"# .+\?$", first.source.splitlines()[0])

    def test_its_parameters_are_typed_literals_with_a_meaning(self, path: Path) -> None:
        """One a line, a setting of the same name, type and default, unit or meaning beside it."""
        known = {f.name: f for f in fields(LabConfig)}
        for line in parameters(path).source.splitlines():
            found = PARAMETER.match(line)
            assert found, line
            name, kind, default, _ = found.groups()
            assert name in known, name
            assert known[name].type == kind, line
            node = ast.parse(default, mode="eval").body
            assert isinstance(node, ast.Constant) or default == 'float("inf")', line

    def test_its_second_cell_checks_them(self, path: Path) -> None:
        """`vl.params` comes right after the parameters."""
        assert "vl.params(" in cells(path, "code")[1].source

    def test_its_cells_are_small(self, path: Path) -> None:
        """The median has at most four lines, none over fifteen."""
        sizes = [lines(cell) for cell in cells(path, "code")]
        assert statistics.median(sizes) <= 4
        assert max(sizes) <= 15

    def test_it_holds_no_machinery(self, path: Path) -> None:
        """No function, class, endless loop, sleep or patched loop: those belong in the package."""
        source = "\n".join(c.source for c in cells(path, "code"))
        for word in (r"\bdef ", r"\bclass ", "while True", "asyncio.run", "time.sleep", "nest_a"):
            assert not re.search(word, source), word

    def test_it_is_stored_lean(self, path: Path) -> None:
        """No outputs but small text in cells that are compared, no counts, no widget state."""
        notebook = nbformat.read(path, as_version=4)
        assert "widgets" not in notebook.metadata
        for cell in cells(path, "code"):
            assert cell.execution_count is None
            compared = "nbval-check-output" in cell.metadata.get("tags", [])
            assert compared or cell.outputs == []

    def test_timed_notebooks_close_with_the_check(self, path: Path) -> None:
        """Whoever runs a lab compares the three counts at the end, and fails if they differ."""
        source = "\n".join(c.source for c in cells(path, "code"))
        if "lab.run(" in source:
            assert ".check()" in source
            assert "assert check" in source
