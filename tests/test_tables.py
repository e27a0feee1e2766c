from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from venlab.errors import DataError
from venlab.platforms import data_dir
from venlab.tables import Schema, Table, near, read_schema, read_table

SCHEMA = """\
column,type,unit,default,min,max,allowed,meaning
town,text,,required,,,towns.csv:town,where it is
name,name,,required,,,,what it is called
area,number,m2,required,1,1000000,,how large it is
storeys,integer,,2.0,1,50,,how high it is
status,text,,approved,,,approved|pending,whether it reports
remark,text,,,,,,anything
"""
TOWNS = "town\n" + "\n".join(["aars", "odense", *(f"town_{n}" for n in range(30))])


@pytest.fixture(name="schema")
def _schema(tmp_path: Path) -> Schema:
    (tmp_path / "towns.csv").write_text(TOWNS, encoding="utf-8")
    (tmp_path / "schema.csv").write_text(SCHEMA, encoding="utf-8")
    return read_schema(tmp_path / "schema.csv")


def read(folder: Path, schema: Schema, text: str | bytes) -> Table:
    path = folder / "mine.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, schema, key=("town", "name"))


def test_reads_values_and_defaults(tmp_path: Path, schema: Schema) -> None:
    """Columns come in any order; a missing column or an empty cell takes its default."""
    table = read(tmp_path, schema, "name,town,area,storeys\nA,aars,12.5,\nB,odense,7,4\n\n,,,\n")
    assert table.columns["area"].tolist() == [12.5, 7.0]
    assert table.columns["storeys"].tolist() == [2, 4]
    assert table.columns["storeys"].dtype == np.int64
    assert table.columns["status"].tolist() == ["approved", "approved"]
    assert table.columns["remark"].tolist() == ["", ""]
    assert table.note == "UTF-8, commas, decimal point"


@pytest.mark.parametrize(
    ("codec", "name"), [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("cp1252", "Windows-1252")]
)
def test_takes_what_a_danish_spreadsheet_saves(
    tmp_path: Path, schema: Schema, codec: str, name: str
) -> None:
    """Semicolons, decimal commas, thousands points, CRLF and old encodings are read and noted."""
    text = 'town;name;area;storeys\r\naars;Rådhus;1.234,5;3\r\nodense;"Kro; Ås";1.200;1\r\n'
    table = read(tmp_path, schema, text.encode(codec))
    assert table.columns["name"].tolist() == ["Rådhus", "Kro; Ås"]
    assert table.columns["area"].tolist() == [1234.5, 1200.0]
    assert table.note == f"{name}, semicolons, decimal comma"


def test_takes_points_between_semicolons(tmp_path: Path, schema: Schema) -> None:
    """One number that can only have a decimal point makes all points decimal."""
    table = read(tmp_path, schema, "town\tname\tarea\naars\tA\t12.5\naars\tB\t1.200\n")
    assert table.columns["area"].tolist() == [12.5, 1.2]
    assert table.note == "UTF-8, tabs, decimal point"


GOOD = "aars,A,10\n"
BAD = {
    "an unknown column": (
        "town,name,areal\naars,A,1\n",
        "line 1: unknown",
        "'areal'",
        "(did you mean area?)",
    ),
    "a column twice": ("town,name,area,area\naars,A,1,1\n", "line 1", "repeated", "'area'"),
    "a missing column": ("town,name\naars,A\n", "line 1: missing column area", "how large"),
    "a duplicate": (f"town,name,area\n{GOOD}{GOOD}", "line 3", "name", "aars / A", "line 2"),
    "a value too small": (
        "town,name,area\naars,A,-4\n",
        "column area: '-4' is not",
        "from 1 to 1000000 m2",
    ),
    "no number": ("town,name,area\n" + GOOD + "aars,B,big\n", "line 3, column area: 'big'", "m2"),
    "infinity": ("town,name,area\naars,B,inf\n", "line 2, column area: 'inf'", "from 1 to"),
    "no whole number": ("town,name,area,storeys\naars,A,9,1.5\n", "storeys: '1.5'", "whole number"),
    "a comma in a number": ('town,name,area\naars,A,"1,5"\n', "line 2, column area: '1,5'"),
    "points out of place": ("town;name;area\naars;A;12.34,5\n", "line 2, column area: '12.34,5'"),
    "a point that may be either": ("town;name;area\naars;A;1.200\n", "line 2", "1200 or 1,200"),
    "an empty cell": ("town,name,area\naars,,9\n", "line 2, column name: ''", "1 to 128"),
    "a slash in a name": ("town,name,area\naars,A/B,9\n", "column name: 'A/B'", "slash"),
    "a long name": (f"town,name,area\naars,{'x' * 129},9\n", "column name", "128"),
    "one of many": (
        "town,name,area\nOdensee,A,9\n",
        "town: 'Odensee'",
        "(did you mean odense?)",
        "towns.csv",
    ),
    "one of few": ("town,name,area,status\naars,A,9,on\n", "'on'", "approved, pending"),
    "the word required": ("town,name,area\nrequired,A,9\n", "column town: 'required'"),
    "a row too short": ("town,name,area\naars,A\n", "line 2: 2 cells", "header has 3"),
    "no rows": ("town,name,area\n\n", "no rows", "header"),
    "nothing": ("", "no rows"),
    "a workbook": (b"PK\x03\x04\x00\x00", "no CSV", "Save it as CSV"),
    "a huge cell": ("town,name,area\naars," + "x" * 140_000 + ",9\n", "line 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_readable_error(tmp_path: Path, schema: Schema, case: str) -> None:
    """Each error names the file, where and what is wrong, and what is allowed, in one line."""
    text, *expected = BAD[case]
    with pytest.raises(DataError) as caught:
        read(tmp_path, schema, text)
    message = str(caught.value)
    for part in ("mine.csv", *expected):
        assert part in message
    assert "\n" not in message


def test_a_missing_file_is_an_error(tmp_path: Path, schema: Schema) -> None:
    """A path that leads nowhere is named."""
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        read_table(tmp_path / "nowhere.csv", schema, key=("town",))


def test_near_names() -> None:
    """Near names are found whatever their case, and nothing is said where none is near."""
    assert near("AABENRAA", ["Aabenraa", "Odense"]) == " (did you mean Aabenraa?)"
    assert near("x", ["Aabenraa"]) == ""


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=5), st.sampled_from(",;"))
def test_numbers_read_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], delimiter: str
) -> None:
    """A number means the same with a decimal point or a decimal comma."""
    folder = tmp_path_factory.mktemp("table")
    (folder / "towns.csv").write_text(TOWNS, encoding="utf-8")
    (folder / "schema.csv").write_text(SCHEMA, encoding="utf-8")
    cells = [repr(v).replace(".", "," if delimiter == ";" else ".") for v in values]
    rows = [delimiter.join(("aars", f"n{i}", cell)) for i, cell in enumerate(cells)]
    text = "\n".join([delimiter.join(("town", "name", "area")), *rows])
    table = read(folder, read_schema(folder / "schema.csv"), text)
    assert table.columns["area"].tolist() == values


@pytest.mark.parametrize("name", ["fleet", "danish_towns", "building_mix"])
def test_shipped_schemas_are_whole(name: str) -> None:
    """Every column of ours has a known type, a meaning, and a range where it is a number."""
    for column in read_schema(data_dir() / f"{name}_schema.csv").values():
        assert column.type in ("text", "name", "number", "integer")
        assert column.meaning
        if column.numeric:
            assert float(column.min) < float(column.max)
