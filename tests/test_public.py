from __future__ import annotations

import json
import subprocess
import sys

import pytest

import venlab

HEAVY = ["pandas", "matplotlib", "ipywidgets", "papermill", "nbconvert", "fastapi", "uvicorn"]


def loaded_after(source: str) -> list[str]:
    """Return which heavy libraries a fresh interpreter has loaded after `source`."""
    script = (
        f"{source}\nimport json, sys; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    return json.loads(answer.stdout)  # type: ignore[no-any-return]


def test_names_are_sorted_and_few() -> None:
    """The public face is a sorted list of few names without repeats."""
    assert venlab.__all__ == sorted(set(venlab.__all__))
    assert 15 <= len(venlab.__all__) <= 40


@pytest.mark.parametrize("name", venlab.__all__)
def test_each_name_is_there_and_explains_itself(name: str) -> None:
    """A public name can be had, is listed by dir() and has a docstring."""
    assert getattr(venlab, name).__doc__
    assert name in dir(venlab)


def test_no_public_name_is_forgotten() -> None:
    """What the package hands out lazily and what it declares are the same names."""
    assert {*venlab._HOME} | venlab._MODULES == {*venlab.__all__}


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'Lba'"):
        venlab.Lba  # noqa: B018


def test_import_is_light() -> None:
    """`import venlab` loads no table, plot, notebook or server library."""
    assert loaded_after("import venlab") == []


def test_names_are_light() -> None:
    """Nor does using any of its names: only work does."""
    assert loaded_after("import venlab\nfor n in venlab.__all__: getattr(venlab, n)") == []
