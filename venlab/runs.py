"""Headless runs: a notebook, its parameters and a run folder; the only place with papermill."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import IO, Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from venlab.errors import RunError
from venlab.notebooks import open_notebook

__all__ = ["RunResult", "run_notebook", "shown"]

CELL_S = 3600.0  # longest wait for one cell
SOCKET_PATH_MAX = 80  # a Unix socket's path ends at 104 to 108 characters, with its port


@dataclass(frozen=True)
class RunResult:
    """What a run left: its folder, the executed notebook, the page and the summary, if any."""

    folder: Path
    notebook: Path
    report: Path | None
    summary: dict[str, Any]


def run_notebook(
    path: Path,
    parameters: Mapping[str, Any],
    out_dir: Path,
    *,
    html: bool,
    say: Callable[[str], None],
    verbose: bool = False,
    timeout_s: float = CELL_S,
) -> RunResult:
    """Execute a notebook into a run folder.

    Parameters
    ----------
    path : Path
        The notebook.
    parameters : mapping
        Names and values to inject; `Notebook.values` checks them.
    out_dir : Path
        A folder that exists; the executed notebook is kept there under its name.
    html : bool
        Whether to write ``report.html`` as well.
    say : callable
        Given each line of progress: headings, and what the lab logs (all of it if `verbose`).
    timeout_s : float
        Longest time for one cell [s]; a kernel may fail without a word.

    Raises
    ------
    RunError
        Naming the cell that failed and its error; the executed notebook is kept.
    """
    notebook = open_notebook(str(path))
    executed = out_dir / f"{notebook.name}.ipynb"
    # papermill's own words about a failure: the error below says it once.
    logging.getLogger("papermill").addHandler(logging.NullHandler())
    wanted = r"(.*)" if verbose else r".*? (?:INFO venlab\.lab|(?:WARNING|ERROR) \S+) (.*)"

    def on_cell_start(cell: NotebookNode, **_: Any) -> None:
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            catch_up()
            say(cell.source.splitlines()[0].lstrip("# "))

    with (
        tempfile.TemporaryDirectory(prefix="venlab-") as sockets,
        _kept_if_used(out_dir / "kernel.log") as stream,
        _followed(out_dir / "lab.log", re.compile(wanted), say) as catch_up,
    ):
        try:
            node = papermill.execute_notebook(
                nbformat.read(path, as_version=4),
                str(executed).replace("{", "{{").replace("}", "}}"),  # papermill formats it
                dict(parameters),
                kernel_name="python3",
                language="python",
                progress_bar=False,
                execution_timeout=timeout_s,
                kernel_manager_class=_own_kernel(sockets, stream),
                on_cell_start=on_cell_start,
            )
        except (papermill.PapermillExecutionError, RuntimeError, TimeoutError) as error:
            raise RunError(_failure(error), f"the executed notebook is {executed}") from None
    summary = _json(out_dir / "summary.json")
    report = out_dir / "report.html" if html else None
    if report:
        facts = _json(out_dir / "params.json") or parameters
        text = _page(node, notebook.title or notebook.name, facts, summary)
        report.write_text(text, encoding="utf-8")
    return RunResult(out_dir, executed, report, summary)


def shown(value: Any) -> str:
    """Return a value of a summary as a person reads it.

    Examples
    --------
    >>> shown(19872), shown(0.99934567), shown(None)
    ('19,872', '0.999346', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if type(value) is int else str(value)


# -- running it -------------------------------------------------------------------------------


def _failure(error: Exception) -> str:
    if not isinstance(error, papermill.PapermillExecutionError):
        return f"the kernel failed: {_line(error)}"
    first = error.source.strip().splitlines()[0]
    return f"cell {error.exec_count} ({first}) failed: {error.ename}: {_line(error.evalue)}"


def _line(error: object) -> str:
    """Return what was said as one line of readable length, without colours."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", " ".join(str(error).split()))[:400]


def _own_kernel(folder: str, stream: IO[bytes]) -> type[AsyncKernelManager]:
    """Return a manager that starts this very interpreter, whatever kernels are installed."""
    private = os.name == "posix" and len(folder) < SOCKET_PATH_MAX
    # Sockets in a folder of its own: kernels that start together race for TCP ports.
    sockets = {"transport": "ipc", "ip": f"{folder}/kernel"} if private else {}
    quiet = ["-Xfrozen_modules=off"]  # else the debugger in the kernel warns at each start
    command = [sys.executable, *quiet, "-m", "ipykernel_launcher", "-f", "{connection_file}"]

    class OwnKernel(AsyncKernelManager):
        def __init__(self, **options: Any) -> None:
            super().__init__(**sockets, **options)

        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=command, display_name="Python 3", language="python")

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
            await super().start_kernel(stdout=stream, stderr=stream, **options)

    return OwnKernel


@contextmanager
def _kept_if_used(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for what the kernel itself says; an empty one does not stay."""
    try:
        with path.open("wb") as stream:
            yield stream
    finally:
        if not path.stat().st_size:
            path.unlink()


@contextmanager
def _followed(
    log: Path, wanted: re.Pattern[str], say: Callable[[str], None]
) -> Iterator[Callable[[], None]]:
    """Say the wanted lines of a log that grows, from a thread; yield what catches up at once."""
    ended, lock, position = threading.Event(), threading.Lock(), 0

    def catch_up() -> None:
        nonlocal position
        with lock, suppress(FileNotFoundError), log.open("rb") as file:
            file.seek(position)
            while (line := file.readline()).endswith(b"\n"):
                position += len(line)
                if found := wanted.match(line.decode("utf-8", "replace").rstrip()):
                    say(found[1])

    def follow() -> None:
        while not ended.wait(0.2):
            catch_up()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield catch_up
    finally:
        ended.set()
        thread.join()
        catch_up()


# -- the page ---------------------------------------------------------------------------------


def _page(
    node: NotebookNode, title: str, parameters: Mapping[str, Any], summary: Mapping[str, Any]
) -> str:
    """Return what a notebook says and shows, without its code, as a page that loads nothing."""
    body, _ = HTMLExporter(
        template_name="basic", exclude_input=True, exclude_output_prompt=True, anchor_link_text=""
    ).from_notebook_node(node)
    return Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8")).substitute(
        title=escape(title),
        summary=_rows(summary),
        parameters=_rows(parameters),
        body=re.sub(r"(?is)<(script|iframe)\b.*?</\1>", "", body),
    )


def _rows(facts: Mapping[str, Any]) -> str:
    return "".join(f"<tr><th>{escape(k)}<td>{escape(shown(v))}\n" for k, v in facts.items())


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
