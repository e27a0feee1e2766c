from __future__ import annotations

from pathlib import Path

import pytest

from tests.scratch_notebooks import parameters, prose, write_notebook
from venlab.errors import ConfigError
from venlab.notebooks import open_notebook, shipped


@pytest.fixture
def notebook(tmp_path: Path) -> str:
    title = prose("# What is heard?\n\nText.")
    return str(write_notebook(tmp_path / "07_tiny.ipynb", title, parameters()))


def test_reads_title_and_parameters(notebook: str) -> None:
    """A parameter has name, type, default and the comment behind it, whatever stands in it."""
    found = open_notebook(notebook)
    assert (found.name, found.title) == ("tiny", "What is heard?")
    table = [(p.name, p.kind, p.default, p.meaning) for p in found.parameters.values()]
    assert table == [
        ("vens", "int", "3", "VENs that take part, a = b is no trap"),
        ("speed", "float", "float('inf')", "pace"),
        ("name", "str", "'ærø'", "its name"),
        ("fast", "bool", "True", ""),
        ("out_dir", "str", "''", "the run folder"),
    ]


def test_types_without_annotation_follow_the_default(tmp_path: Path) -> None:
    """`x = True` is a bool: papermill alone would inject the text "false", which is true."""
    source = "fast = True\nhours = [1, 2]  # which\nprint(fast)"
    found = open_notebook(str(write_notebook(tmp_path / "n.ipynb", parameters(source))))
    assert found.values([("fast", "no"), ("hours", "[3]")]) == {"fast": False, "hours": [3]}


def test_values_are_read_by_type(notebook: str) -> None:
    """A value becomes what its parameter's type says; a text stays as it is."""
    given = [("vens", "12"), ("speed", "-1"), ("fast", "FALSE"), ("name", "12")]
    values = open_notebook(notebook).values(given)
    assert values == {"vens": 12, "speed": -1.0, "fast": False, "name": "12"}
    assert open_notebook(notebook).values([("speed", "inf")]) == {"speed": float("inf")}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([("vnes", "3")], "did you mean vens?"),
        ([("colour", "red")], "its parameters are vens, speed"),
        ([("vens", "pony")], "vens is 'pony', it must be of type int"),
        ([("vens", "3.5")], "must be of type int"),
        ([("fast", "maybe")], "must be true or false"),
        ([("vens", "1"), ("vens", "2")], "given twice"),
    ],
)
def test_wrong_values_are_refused(notebook: str, given: list[tuple[str, str]], words: str) -> None:
    """A wrong name or value is one error that says what would be right."""
    with pytest.raises(ConfigError, match="(?i)" + words.replace("?", r"\?")):
        open_notebook(notebook).values(given)


@pytest.mark.parametrize("name", ["fleet_run", "fleet_run.ipynb", "00_fleet_run"])
def test_shipped_by_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shipped notebook is found from anywhere, with or without number and extension."""
    monkeypatch.chdir(tmp_path)
    assert open_notebook(name).path == shipped()["fleet_run"]


def test_a_file_here_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's own copy is run, not the shipped one of the same name."""
    monkeypatch.chdir(tmp_path)
    write_notebook(Path("fleet_run.ipynb"), prose("# Mine"))
    assert open_notebook("fleet_run.ipynb").title == "Mine"


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "{}", '{"cells": [1]}', '{"worksheets": []}'],
    ids=["empty", "list", "object", "cells", "old"],
)
def test_what_is_no_notebook(text: str, tmp_path: Path) -> None:
    """Any other file is one error with its name."""
    (tmp_path / "x.ipynb").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"x\.ipynb cannot be read as a notebook"):
        open_notebook(str(tmp_path / "x.ipynb"))


def test_bad_parameters_cell(tmp_path: Path) -> None:
    """A parameters cell that is no Python is an error, not a notebook without parameters."""
    path = write_notebook(tmp_path / "x.ipynb", parameters("vens: int = = 3"))
    with pytest.raises(ConfigError, match="SyntaxError"):
        open_notebook(str(path))
