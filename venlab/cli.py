"""The command line: ``venlab run``, ``venlab vtn``, ``venlab lab`` and the rest."""

from __future__ import annotations

import argparse
import ast
import json
import operator
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from getpass import getpass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from venlab import commands, config, resume, runlog
from venlab.commands import Parser
from venlab.errors import ConfigError, RunError, StoreError, VenlabError, VtnError
from venlab.notebooks import Notebook, open_notebook, shipped
from venlab.platforms import notebooks_dir
from venlab.results import SUMMARY_KEYS
from venlab.tables import near

__all__ = ["main"]

DONE, FAILED, BAD_INPUT, MISSED, INTERRUPTED = 0, 1, 2, 3, 130
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
USAGE = """\
venlab run NOTEBOOK [-p NAME VALUE]... [--out DIR] [--require EXPR]... [--no-html] [-v]
       venlab run NOTEBOOK --resume DIR [-p NAME VALUE]...   go on with a run that was broken off
       venlab run NOTEBOOK --help     what it asks and which parameters it has
       venlab vtn [OPTION]...         the embedded VTN alone; venlab vtn --help
       venlab probe URL [OPTION]...   what somebody's VTN is and takes; venlab probe --help
       venlab clean RUN_FOLDER        delete at a VTN what a run made there; asks for --yes
       venlab lab [OPTION]...         JupyterLab on the notebooks
       venlab --version"""
EXIT_CODES = """\
exit codes: 0 done, 1 the notebook failed, 2 a bad name, type or value,
            3 a --require was missed, 130 interrupted"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; what a person got wrong is one line on stderr.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``venlab``; those of the process if not given.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    doers = {"run": _run, "vtn": _vtn, "probe": _probe, "clean": _clean, "lab": _lab}
    try:
        if words and words[0] in doers:
            return doers[words[0]](words[1:])
        return _about(words)
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    except VenlabError as error:
        _complain(str(error))
        return FAILED if isinstance(error, RunError | VtnError) else BAD_INPUT


# -- venlab run -------------------------------------------------------------------------------


def _run(words: list[str]) -> int:
    args = _run_parser().parse_args(words)
    if not args.notebook:
        if args.help:
            return _about(["--help"])
        raise ConfigError("venlab run needs a notebook", "one of " + ", ".join(shipped()))
    notebook = open_notebook(args.notebook)
    if args.help:
        _describe(notebook)
        return DONE
    if args.resume:
        values = _resumed(notebook, args)
    else:
        own = config.own_file()
        values = {name: own[name] for name in notebook.parameters if name in own}
        values |= notebook.values(args.parameter)
    planned_s = _planned_s(notebook, values)
    requirements = [_requirement(text, notebook) for text in args.require]
    with _extra("venlab run"):
        from venlab.runs import CELL_S, run_notebook, shown
    if args.resume:
        folder = _kept_folder(notebook, Path(args.resume))
    else:
        folder = _make_folder(notebook.name, args.out, str(values.pop("out_dir", "")))
    if "out_dir" in notebook.parameters:
        values["out_dir"] = str(folder)
    _say(f"{notebook.name} → {folder}")
    try:
        result = run_notebook(
            notebook.path,
            values,
            folder,
            html=args.html,
            say=_say,
            verbose=args.verbose,
            timeout_s=CELL_S + 2 * planned_s,  # a schedule at speed 1 may take a day
        )
    except KeyboardInterrupt:
        _complain(f"interrupted; what there is stands in {folder}")
        return INTERRUPTED
    width = max(map(len, result.summary), default=0)
    _say("", *(f"{name:<{width}}  {shown(value)}" for name, value in result.summary.items()))
    _say("", f"{folder}: {(result.report or result.notebook).name} and all else")
    missed = [r.string for r in requirements if not _holds(r, result.summary)]
    if missed:
        _complain("missed: " + "; ".join(missed))
    return MISSED if missed else DONE


@contextmanager
def _extra(command: str) -> Iterator[None]:
    """Say how to get what a command needs, where an import shows that it is missing."""
    try:
        yield
    except ImportError as error:
        problem = f"{command} needs {error.name}, which is not installed"
        raise ConfigError(problem, 'install it: pip install "venlab[lab]"') from None


def _run_parser() -> argparse.ArgumentParser:
    parser = Parser("venlab run", add_help=False, allow_abbrev=False)
    parser.add_argument("notebook", nargs="?", default="")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[])
    parser.add_argument("--out", default="")
    parser.add_argument("--resume", default="")
    parser.add_argument("--require", action="append", default=[])
    parser.add_argument("--html", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    return parser


def _resumed(notebook: Notebook, args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the run in a folder goes on with; ask for its secrets."""
    if args.out:
        raise ConfigError("--out and --resume name two folders", "a run goes on in its own")
    kept = resume.kept_settings(args.resume)
    _ask_for(resume.secrets_to_ask(kept), str(kept.get("vtn_url") or "the VTN"))
    given, names = notebook.values(args.parameter), {row[1] for row in config.describe()}
    changes = {name: value for name, value in given.items() if name in names}
    if Path(changes.get("out_dir", args.resume)) != Path(args.resume):
        raise ConfigError("--resume and -p out_dir name two folders", "a run goes on in its own")
    return given | resume.settings_of(resume.config_of(args.resume, changes), kept)


def _ask_for(variables: list[str], whose: str) -> None:
    """Ask a person for secrets; they go where every secret is looked for, and into no file."""
    for variable in variables:
        if sys.stdin.isatty():
            os.environ[variable] = getpass(f"{variable} for {whose}: ")


def _kept_folder(notebook: Notebook, folder: Path) -> Path:
    """Return a run's folder; the notebook that was executed until it broke off keeps its place."""
    executed = folder / f"{notebook.name}.ipynb"
    if executed.exists():
        number = sum(1 for _ in folder.glob(f"{notebook.name}.until-*.ipynb")) + 1
        executed.rename(folder / f"{notebook.name}.until-{number}.ipynb")
    return folder


def _planned_s(notebook: Notebook, values: Mapping[str, Any]) -> float:
    """Check the settings among a notebook's parameters; return the wall time they ask for [s]."""
    names = {row[1] for row in config.describe()}
    settings = {}
    for parameter in notebook.parameters.values():
        if parameter.name in names:
            with suppress(ValueError):  # a computed default is checked when the notebook runs
                settings[parameter.name] = ast.literal_eval(parameter.default)
    settings |= {name: value for name, value in values.items() if name in names}
    if not settings:
        return 0.0
    checked = config.params(**settings)
    return checked.steps * checked.simulate_every_s / checked.speed


def _make_folder(name: str, *asked: str) -> Path:
    """Make the run folder: the one asked for, if it is empty, or a new one under ``runs``."""
    wishes = {wish for wish in asked if wish}
    if len(wishes) > 1:
        raise ConfigError("--out and -p out_dir name two folders", "give one")
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = (
        Path(*wishes) if wishes else runlog.runs_folder() / f"{name}-{stamp}-{secrets.token_hex(2)}"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StoreError(f"{folder} is not empty", "name another folder with --out")
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(
            f"cannot write to {folder}: {error.strerror}", "name another folder with --out"
        ) from None
    return folder


def _requirement(text: str, notebook: Notebook) -> re.Match[str]:
    """Read ``success_rate>=0.99``: a key of the summary, and a value or another key."""
    found = re.fullmatch(r"\s*(\w+)\s*(>=|<=|==|!=|>|<)\s*([^<>=!]+?)\s*", text)
    if not found:
        example = 'write it like "success_rate>=0.99"'
        raise ConfigError(f"--require {text!r} cannot be read", example)
    if notebook.path in shipped().values() and found[1] not in SUMMARY_KEYS:
        raise ConfigError(
            f"--require {text!r}: the summary has no {found[1]}{near(found[1], SUMMARY_KEYS)}",
            f"its keys are {', '.join(SUMMARY_KEYS)}",
        )
    return found


def _holds(requirement: re.Match[str], summary: Mapping[str, Any]) -> bool:
    key, sign, limit = requirement.groups()
    problem = f"--require {requirement.string!r}"
    if key not in summary:
        keys = ", ".join(summary) or "none: the notebook wrote no summary.json"
        raise ConfigError(f"{problem}: the summary has no {key}", f"its keys are {keys}")
    try:
        other = summary[limit] if limit in summary else json.loads(limit)
    except ValueError:
        other = limit  # a bare word is a text
    try:
        return summary[key] is not None and COMPARE[sign](summary[key], other)
    except TypeError:
        raise ConfigError(f"{problem}: {key} is {summary[key]!r}, no such comparison") from None


def _describe(notebook: Notebook) -> None:
    _say(f"{notebook.name}: {notebook.title}", "", "parameters (-p NAME VALUE):")
    table = [(p.name, p.kind, p.default, p.meaning) for p in notebook.parameters.values()]
    widths = [max(len(row[n]) for row in table) if table else 0 for n in range(3)]
    for *cells, meaning in table:
        start = "  ".join(f"{c:<{w}}" for c, w in zip(cells, widths, strict=True))
        _say(f"  {start}  {meaning}".rstrip())


# -- venlab vtn, probe, clean, lab, venlab ------------------------------------------------------


def _vtn(words: list[str]) -> int:
    from venlab.vtn.__main__ import main as serve

    return serve(words) or DONE


def _probe(words: list[str]) -> int:
    commands.probe(words, _say)
    return DONE


def _clean(words: list[str]) -> int:
    commands.clean(words, _say, _ask_for)
    return DONE


def _lab(words: list[str]) -> int:
    with _extra("venlab lab"):
        from jupyterlab.labapp import LabApp
    folder = _editable_notebooks()
    _say(f"JupyterLab on {folder}")
    LabApp.launch_instance([f"--ServerApp.root_dir={folder}", *words])
    return DONE


def _editable_notebooks() -> Path:
    """Return a clone's notebooks, or a copy here of the installed ones, which are not to edit."""
    home, folder = notebooks_dir(), Path("venlab-notebooks")
    if home.name == "notebooks" and os.access(home, os.W_OK):
        return home.resolve()
    try:
        folder.mkdir(exist_ok=True)
        for path in shipped().values():
            if not (folder / path.name).exists():  # what the user changed there stays
                shutil.copyfile(path, folder / path.name)
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror}", "go elsewhere") from None
    return folder.resolve()


def _about(words: list[str]) -> int:
    if words in (["--version"], ["-V"]):
        _say(f"venlab {version('venlab')}")
        return DONE
    if words and words not in (["--help"], ["-h"]):
        raise ConfigError(f"there is no command {words[0]}", "it is run, vtn, probe, clean or lab")
    _say(f"usage: {USAGE}", "", "notebooks: " + ", ".join(shipped()), "", EXIT_CODES)
    return DONE


def _say(*lines: str) -> None:
    """Write lines at once; a terminal that cannot show a character, or is gone, stops nothing."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    text = "".join(line + "\n" for line in lines)
    with suppress(BrokenPipeError):
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()


def _complain(text: str) -> None:
    line = " ".join(text.split())
    sys.stderr.write(f"venlab: {line}\n")
