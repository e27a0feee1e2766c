"""How the notebooks look: one parameters cell, small cells, prose before each, stored lean."""

from __future__ import annotations

import ast
import re
import statistics
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from venlab.config import LabConfig
from venlab.exercises import _EXERCISES
from venlab.platforms import notebooks_dir

NOTEBOOKS = sorted(notebooks_dir().glob("*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if path.name[0].isdigit()]
TO_COME = (5, 7, 8)  # demand response, and what comes after things break
# The one place where a loop is run by hand: a cell that shows what happens then.
OLD_BUG = "shows-the-old-bug"
# papermill's own help drops a line whose comment holds an equals sign.
PARAMETER = re.compile(r"^(\w+): (str|int|float|bool) = (.+?)  # ([^=]+)$")


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == kind]


def tagged(path: Path, tag: str) -> list[nbformat.NotebookNode]:
    every = nbformat.read(path, as_version=4).cells
    return [cell for cell in every if tag in cell.metadata.get("tags", [])]


def links(path: Path) -> set[str]:
    return set(re.findall(r"\]\(([^)#]+)\)", "\n".join(c.source for c in cells(path, "markdown"))))


def checked(cell: nbformat.NotebookNode) -> list[str]:
    return re.findall(r'vl\.check\(\s*"([^"]+)"', cell.source)


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
        words = [r"\bdef ", r"\bclass ", "while True", "asyncio.run", "time.sleep", "nest_a"]
        for cell in cells(path, "code"):
            found = [word for word in words if re.search(word, cell.source)]
            assert found == (["asyncio.run"] if cell in tagged(path, OLD_BUG) else []), cell.source

    def test_its_links_lead_somewhere(self, path: Path) -> None:
        """Each file that it links to stands beside it."""
        assert not [to for to in links(path) if "://" not in to and not (path.parent / to).exists()]

    def test_it_ends_with_its_sources(self, path: Path) -> None:
        """The last cell is prose and says where things come from, with the data's credit line."""
        last = nbformat.read(path, as_version=4).cells[-1]
        assert last.cell_type == "markdown"
        assert "SOURCES.md" in last.source
        assert "DOE, NREL, PNNL and LBNL" in " ".join(last.source.split())

    def test_it_is_stored_lean(self, path: Path) -> None:
        """No outputs but small text in cells that are compared, no counts, no widget state."""
        notebook = nbformat.read(path, as_version=4)
        assert "widgets" not in notebook.metadata
        for cell in cells(path, "code"):
            # nbval takes an output for a reference only where a count says that the cell was run.
            if "nbval-check-output" not in cell.metadata.get("tags", []):
                assert cell.execution_count is None
                assert cell.outputs == []

    def test_timed_notebooks_close_with_the_check(self, path: Path) -> None:
        """Whoever runs a lab compares the three counts at the end, and fails if they differ."""
        source = "\n".join(c.source for c in cells(path, "code"))
        if re.search(r"lab\.(run|start)\(", source):
            assert ".check()" in source
            assert "assert check" in source


def test_lessons_are_numbered_from_nought() -> None:
    """00, 01, 02 and so on, without a gap but for the lessons that are still to come."""
    numbers = [int(path.name[:2]) for path in LESSONS]
    assert [n for n in range(max(numbers) + 1) if n not in TO_COME] == numbers
    assert len(LESSONS) >= 4


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
class TestEachLesson:
    """Rules for what a class walks through."""

    def test_it_says_what_one_will_have_and_how_long_it_takes(self, path: Path) -> None:
        """In its first cell; at most 20 seconds of machine time."""
        first = cells(path, "markdown")[0].source
        assert "At the end you will have" in first
        (seconds,) = re.findall(r"Machine time: about (\d+) s", first)
        assert int(seconds) <= 20

    def test_prose_comes_before_each_cell(self, path: Path) -> None:
        """Only a solution follows another cell of code: that of its exercise."""
        every = nbformat.read(path, as_version=4).cells
        for before, cell in pairwise(every):
            if cell.cell_type == "code" and cell not in tagged(path, "solution"):
                assert before.cell_type == "markdown", cell.source

    def test_it_lets_one_predict_first(self, path: Path) -> None:
        """A tagged cell asks for a guess; what comes of it is shown by a cell after it."""
        every = nbformat.read(path, as_version=4).cells
        asks = [n for n, c in enumerate(every) if c.source.startswith("**Predict:**")]
        asks += [n for n, c in enumerate(every) if "\n**Predict:**" in c.source]
        assert sorted(asks) == [every.index(cell) for cell in tagged(path, "predict")]
        assert len(asks) >= 2
        for n in asks:
            after = [c.cell_type for c in every[n + 1 : n + 3]]
            assert every[n].source.split("**Predict:**")[1].count("?") >= 1
            assert "code" in after

    def test_its_exercises_are_solved_out_of_sight(self, path: Path) -> None:
        """Two to four, each a cell with three dots and then a folded cell that must be right."""
        every = nbformat.read(path, as_version=4).cells
        exercises, solutions = tagged(path, "exercise"), tagged(path, "solution")
        assert 2 <= len(exercises) <= 4
        for exercise, solution in zip(exercises, solutions, strict=True):
            assert every.index(solution) == every.index(exercise) + 1
            assert solution.metadata.jupyter.source_hidden is True
            # JupyterLab shows the first line of a folded cell.
            assert re.match(r"# Solution \d\n", solution.source)
            assert " = ...\n" in exercise.source
            assert checked(exercise) == checked(solution)
            assert len(checked(exercise)) == 1
            # What a folded cell shows is not folded.
            assert isinstance(ast.parse(solution.source).body[-1], ast.Assert)
            assert re.search(r"^assert vl\.check\(", solution.source, re.MULTILINE)

    def test_it_has_one_or_two_pictures(self, path: Path) -> None:
        """All of them from the package, so that a colour means one thing."""
        source = "\n".join(c.source for c in cells(path, "code"))
        assert 1 <= source.count("vl.plots.") <= 2
        assert "matplotlib" not in source

    def test_it_leads_to_its_neighbours(self, path: Path) -> None:
        """A link to the lesson before it and to the one after; the last leads to the main job."""
        n = LESSONS.index(path)
        after = LESSONS[n + 1].name if n + 1 < len(LESSONS) else "fleet_run.ipynb"
        assert {after, *(p.name for p in LESSONS[max(0, n - 1) : n])} <= links(path)

    def test_some_of_its_numbers_are_compared(self, path: Path) -> None:
        """Those that are equal on each machine stand in it, as short text."""
        compared = tagged(path, "nbval-check-output")
        assert len(compared) >= 2
        for cell in compared:
            (output,) = cell.outputs
            assert output.output_type == "stream"
            assert len(output.text) < 400


def test_every_exercise_is_in_one_lesson() -> None:
    """Nothing is checked that nobody asks, and nothing is asked twice."""
    asked = [name for path in LESSONS for c in tagged(path, "exercise") for name in checked(c)]
    assert sorted(asked) == sorted(_EXERCISES)
