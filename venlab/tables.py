"""Tables that people edit: a reader that takes what a spreadsheet saves, a schema that checks it.

A schema is itself a table, with the columns ``column,type,unit,default,min,max,allowed,meaning``:

* ``type`` is ``text``, ``name`` (text that may stand in a report's name), ``number``, ``integer``;
* ``default`` is what an empty cell or a missing column means, or the word ``required``;
* ``min`` and ``max`` belong to each number and are allowed themselves;
* ``allowed`` lists values as ``a|b|c``, or points at another table's column as ``file.csv:column``.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from venlab.errors import DataError

__all__ = ["Column", "Schema", "Table", "near", "read_schema", "read_table"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+")
_NAME = re.compile(r"[^/]{1,128}")  # OpenADR 3: a resourceName has 1 to 128 characters


@dataclass(frozen=True, slots=True)
class Column:
    """A row of a schema: what one column of a table may hold, and the `choices` it allows."""

    column: str
    type: str
    unit: str
    default: str
    min: str
    max: str
    allowed: str
    meaning: str
    choices: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether the cells are numbers."""
        return self.type in ("number", "integer")

    @property
    def rule(self) -> str:
        """What is allowed, as advice."""
        if self.numeric:
            kind = "a whole number" if self.type == "integer" else "a number"
            return f"give {kind} from {self.min} to {self.max} {self.unit}".rstrip()
        if not self.choices:
            return "give 1 to 128 printable characters without a slash"
        few = len(self.choices) <= 20
        return f"allowed are {', '.join(self.choices) if few else f'the values of {self.allowed}'}"

    def parse(self, cell: str, decimal: str) -> str | float:
        """Return the value of a cell; a ValueError means that it is not allowed."""
        value: str | float = cell
        if self.numeric:
            value = _number(cell, decimal)
            fits = float(self.min) <= value <= float(self.max)
            fits = fits and (self.type == "number" or value.is_integer())
        elif self.choices:
            fits = cell in self.choices
        else:
            fits = self.type == "text" or (bool(_NAME.fullmatch(cell)) and cell.isprintable())
        if not fits:
            raise ValueError
        return value


Schema = dict[str, Column]


class Table(NamedTuple):
    """Columns that passed their schema, as arrays, and a note on how they were read."""

    columns: dict[str, NDArray[Any]]
    note: str


def near(name: str, names: Collection[str]) -> str:
    """Return ``" (did you mean …?)"`` with the names that look like `name`, or nothing.

    Examples
    --------
    >>> near("Abenraa", ["Aabenraa", "Odense"])
    ' (did you mean Aabenraa?)'
    """
    known = {n.casefold(): n for n in names}
    close = [known[n] for n in difflib.get_close_matches(name.casefold(), known)]
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def read_schema(path: Path) -> Schema:
    """Read a schema file; a pointer in `allowed` is looked up beside it."""
    schema = {}
    for row in _plain(path):
        file, _, column = row["allowed"].partition(":")
        values = [r[column] for r in _plain(path.parent / file)] if column else file.split("|")
        schema[row["column"]] = Column(**row, choices=tuple(filter(None, values)))
    return schema


def read_table(path: str | Path, schema: Schema, *, key: Sequence[str]) -> Table:
    """Read a CSV that a person edited, check each cell, and say how it was read.

    Takes UTF-8 (with a byte order mark or without) and Windows-1252; commas, semicolons or tabs;
    decimal commas and points between thousands where cells are not separated by commas.

    Parameters
    ----------
    path : path
        The file.
    schema : Schema
        What its columns may hold.
    key : sequence of str
        The columns that together name a row: no two rows may share them.

    Returns
    -------
    Table
        float64, int64 and str arrays, one per column of the schema, and the note.

    Raises
    ------
    DataError
        Naming file, line, column and value of the first thing wrong, and what is allowed.
    """
    text, encoding = _decode(Path(path))
    head = text.split("\n", 1)[0].replace('"', "")
    delimiter = max(",;\t", key=lambda d: (len(set(head.split(d)) & set(schema)), head.count(d)))
    lines, header, rows = _rows(path, text, delimiter)
    _check_header(path, header, schema)
    cells = dict(zip(header, zip(*rows, strict=True), strict=True))
    try:
        numbers = {name: c for name, c in cells.items() if schema[name].numeric}
        decimal = "." if delimiter == "," else _decimal(numbers)
        empty = ("",) * len(rows)
        columns = {n: _values(c, cells.get(n, empty), decimal) for n, c in schema.items()}
        _check_key([columns[k].tolist() for k in key], lines, key[-1])
    except _Cell as wrong:
        row, column, problem, remedy = wrong.args
        raise DataError(f"{path}, line {lines[row]}, column {column}: {problem}", remedy) from None
    separator = {",": "commas", ";": "semicolons", "\t": "tabs"}[delimiter]
    return Table(columns, f"{encoding}, {separator}, decimal {_POINT[decimal]}")


_POINT = {".": "point", ",": "comma"}


class _Cell(Exception):
    """Row, column, problem and remedy of the first cell that is wrong."""


def _plain(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _decode(path: Path) -> tuple[str, str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    for codec, name in (("utf-8-sig", "UTF-8"), ("cp1252", "Windows-1252")):
        try:
            text = raw.decode(codec)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, name
    raise DataError(f"{path} is no CSV in UTF-8 or Windows-1252", "save it as CSV UTF-8")


def _rows(
    path: str | Path, text: str, delimiter: str
) -> tuple[list[int], list[str], list[list[str]]]:
    """Return the line each row ends in, the header and the rows, stripped, without blank ones."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    stripped = ([cell.strip() for cell in row] for row in reader)
    try:
        found = [(reader.line_num, row) for row in stripped if any(row)]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from None
    if len(found) < 2:
        raise DataError(f"{path} has no rows", "it needs a header and at least one row below it")
    (_, header), *rows = found
    for line, row in rows:
        if len(row) != len(header):
            problem = f"{len(row)} cells where the header has {len(header)}"
            remedy = f"put {delimiter!r} between cells, and quotes around a cell that holds one"
            raise DataError(f"{path}, line {line}: {problem}", remedy)
    return [line for line, _ in rows], header, [row for _, row in rows]


def _check_header(path: str | Path, header: Sequence[str], schema: Schema) -> None:
    for name in header:
        if name not in schema or header.count(name) > 1:
            problem = f"{path}, line 1: unknown or repeated column {name!r}{near(name, schema)}"
            raise DataError(problem, f"allowed, each once, are {', '.join(schema)}")
    for name, column in schema.items():
        if column.default == "required" and name not in header:
            raise DataError(f"{path}, line 1: missing column {name}", f"add it: {column.meaning}")


def _decimal(numbers: Mapping[str, Sequence[str]]) -> str:
    """Tell decimal commas from points by all numbers of a file; refuse to guess at 1.200."""
    cells = [(cell, r, name) for name, c in numbers.items() for r, cell in enumerate(c)]
    pointed = [where for where in cells if "." in where[0]]
    if not pointed or any("," in cell or cell.count(".") > 1 for cell, _, _ in cells):
        return ","
    if not all(_THOUSANDS.fullmatch(cell) for cell, _, _ in pointed):
        return "."
    cell, row, name = pointed[0]
    both = f"{cell.replace('.', '')} or {cell.replace('.', ',')}"
    raise _Cell(row, name, f"{cell!r} may mean {both}, no other number tells", f"write {both}")


def _number(cell: str, decimal: str) -> float:
    if decimal == ",":
        whole, comma, part = cell.partition(",")
        if "." in part or ("." in whole and not _THOUSANDS.fullmatch(whole)):
            raise ValueError
        cell = whole.replace(".", "") + comma.replace(",", ".") + part
    if not _NUMBER.fullmatch(cell):
        raise ValueError
    return float(cell)


def _values(column: Column, cells: Sequence[str], decimal: str) -> NDArray[Any]:
    optional = column.default != "required"
    default = float(column.default) if column.numeric and optional else column.default
    values = []
    for row, cell in enumerate(cells):
        try:
            # Where a value is required, an empty cell fails like any other that is not allowed.
            values.append(column.parse(cell, decimal) if cell or not optional else default)
        except ValueError:
            problem = f"{cell!r} is not allowed{near(cell, column.choices)}"
            raise _Cell(row, column.column, problem, column.rule) from None
    kinds: dict[str, type] = {"number": np.float64, "integer": np.int64}
    return np.array(values, dtype=kinds.get(column.type, np.str_))


def _check_key(columns: Sequence[list[str]], lines: Sequence[int], last: str) -> None:
    first: dict[tuple[str, ...], int] = {}
    for row, name in enumerate(zip(*columns, strict=True)):
        if first.setdefault(name, row) != row:
            problem = f"{' / '.join(name)} is in line {lines[first[name]]} already"
            raise _Cell(row, last, problem, "give each row its own name, or remove one")
