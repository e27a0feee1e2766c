"""Tiny notebooks for tests of what runs notebooks."""

from __future__ import annotations

from pathlib import Path

from nbformat import NotebookNode, v4, write

PARAMETERS = """\
# what may be changed
vens: int = 3  # VENs that take part, a = b is no trap
speed: float = float("inf")  # pace
name: str = "ærø"  # its name
fast: bool = True
out_dir: str = ""  # the run folder"""


def code(source: str, *tags: str) -> NotebookNode:
    return v4.new_code_cell(source, metadata={"tags": list(tags)})


def parameters(source: str = PARAMETERS) -> NotebookNode:
    return code(source, "parameters")


def prose(source: str) -> NotebookNode:
    return v4.new_markdown_cell(source)


def write_notebook(path: Path, *cells: NotebookNode) -> Path:
    write(v4.new_notebook(cells=list(cells)), path)
    return path
