"""What a notebook asks: found by name, its title and its parameters, read without running it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from venlab.errors import ConfigError
from venlab.platforms import notebooks_dir
from venlab.tables import near

__all__ = ["Notebook", "Parameter", "open_notebook", "plain_name", "shipped"]

TRUTH = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell: ``name: kind = default  # meaning``.

    Examples
    --------
    >>> Parameter("speed", "float", "60.0", "schedule seconds per second").value("inf")
    inf
    """

    name: str
    kind: str
    default: str
    meaning: str

    def value(self, text: str) -> Any:
        """Read what a person typed as this parameter's type, or raise a ConfigError."""
        try:
            if self.kind == "bool":
                return TRUTH[text.lower()]
            return {"str": str, "int": int, "float": float}.get(self.kind, ast.literal_eval)(text)
        except (KeyError, ValueError, SyntaxError):
            words = "true or false" if self.kind == "bool" else f"of type {self.kind}"
            raise ConfigError(f"{self.name} is {text!r}, it must be {words}") from None


@dataclass(frozen=True)
class Notebook:
    """A notebook as a command names it: `name` is without number and extension."""

    path: Path
    name: str
    title: str
    parameters: dict[str, Parameter]

    def values(self, given: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Read names and texts as values of this notebook's parameters, or raise a ConfigError."""
        values: dict[str, Any] = {}
        for name, text in given:
            if name not in self.parameters:
                raise ConfigError(
                    f"{self.name} has no parameter {name}{near(name, self.parameters)}",
                    f"its parameters are {', '.join(self.parameters) or 'none'}",
                )
            if name in values:
                raise ConfigError(f"parameter {name} is given twice")
            values[name] = self.parameters[name].value(text)
        return values


def shipped() -> dict[str, Path]:
    """Return the notebooks that come with venlab, by name.

    Examples
    --------
    >>> "fleet_run" in shipped()
    True
    """
    return {plain_name(p): p for p in sorted(notebooks_dir().glob("*.ipynb"))}


def plain_name(path: Path) -> str:
    """Return a notebook's name without number and extension.

    Examples
    --------
    >>> plain_name(Path("notebooks/04_fleet_run.ipynb"))
    'fleet_run'
    """
    return re.sub(r"^\d+[_-]+", "", path.name.removesuffix(".ipynb"))


def open_notebook(name: str) -> Notebook:
    """Find a notebook by its path, or by its name with or without number and extension.

    Parameters
    ----------
    name : str
        A file, or one of `shipped`.

    Raises
    ------
    ConfigError
        There is none of that name, or the file is no notebook.
    """
    path, known = Path(name), shipped()
    if not path.is_file():
        if plain_name(path) not in known or len(path.parts) > 1:
            raise ConfigError(
                f"there is no notebook {name}{near(plain_name(path), known)}",
                f"name a file or one of venlab's own: {', '.join(known)}",
            )
        path = known[plain_name(path)]
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        parameters = {p.name: p for p in _parameters(cells)}
        title = _title(cells)
    except (OSError, ValueError, LookupError, TypeError, SyntaxError) as error:
        why = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{path} cannot be read as a notebook ({why})") from None
    return Notebook(path, plain_name(path), title, parameters)


def _title(cells: Sequence[dict[str, Any]]) -> str:
    prose = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return next((found[1].strip() for text in prose if (found := re.match(r"# (.+)", text))), "")


def _parameters(cells: Sequence[dict[str, Any]]) -> Iterator[Parameter]:
    """Yield what the parameters cell declares; papermill's reader drops ``x = 1  # a = b``."""
    tagged = [c["source"] for c in cells if "parameters" in c["metadata"].get("tags", ())]
    source = "".join(tagged[0]) if tagged else ""
    for statement in ast.parse(source).body:
        match statement:
            case ast.AnnAssign(ast.Name(name), annotation, ast.expr() as value):
                kind = ast.unparse(annotation)
            case ast.Assign([ast.Name(name)], value):
                kind = type(value.value).__name__ if isinstance(value, ast.Constant) else "value"
            case _:
                continue
        last = source.splitlines()[(value.end_lineno or 1) - 1].encode()  # offsets count bytes
        comment = last[value.end_col_offset :].decode().partition("#")[2].strip()
        yield Parameter(name, kind, ast.unparse(value), comment)
