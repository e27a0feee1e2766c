from __future__ import annotations

import json
import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from tests.scratch_notebooks import code, parameters, prose, write_notebook
from venlab.errors import RunError
from venlab.runs import RunResult, run_notebook

LOG = """\
2026-11-23 22:00:00,123 INFO venlab.lab Active VENs: 10 on Ærø
2026-11-23 22:00:00,124 DEBUG venlab.lab a detail
2026-11-23 22:00:00,125 INFO venlab.roster Registering VEN: Aabenraa
2026-11-23 22:00:00,126 WARNING venlab.delivery the VTN is away
"""
WORK = f"""\
import json, pathlib, sys
folder = pathlib.Path(out_dir)
(folder / "lab.log").write_text({LOG!r}, encoding="utf-8")
(folder / "summary.json").write_text(json.dumps({{"run_id": "r<1>", "vens": vens}}))
print([sys.executable, vens, speed, name])"""
SHOW = """\
import ipywidgets, pandas as pd
from IPython.display import HTML, display
display(HTML('<script src="https://cdn.example/x.js"></script><b>bold</b>'))
display(ipywidgets.IntSlider())
pd.DataFrame({"power_kw": [1.5, 2.5]})"""
PLOT = """\
%matplotlib inline
import matplotlib.pyplot as plt
plt.plot([1, 2]);"""


@dataclass
class Ran:
    result: RunResult
    said: list[str]

    @property
    def page(self) -> str:
        assert self.result.report
        return self.result.report.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run one notebook that does a bit of all, where a false kernel of that name is installed."""
    home = tmp_path_factory.mktemp("run")
    false_kernel = home / "jupyter" / "kernels" / "python3"
    false_kernel.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "Python 3", "language": "python"}
    (false_kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    title = prose("# What is <heard>?\n\nOne question.")
    cells = (title, parameters(), code(WORK), prose("## Look"), code(SHOW), code(PLOT))
    notebook = write_notebook(home / "03_tiny.ipynb", *cells)
    folder, said = home / "out {x}", list[str]()
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(home / "jupyter"))
        values = {"vens": 4, "speed": float("inf"), "name": "-x", "out_dir": str(folder)}
        return Ran(run_notebook(notebook, values, folder, html=True, say=said.append), said)


def test_executed_notebook_is_kept_with_its_values(ran: Ran) -> None:
    """The executed notebook stands in the run folder and ran on this interpreter."""
    assert ran.result.notebook == ran.result.folder / "tiny.ipynb"
    cells = nbformat.read(ran.result.notebook, as_version=4).cells
    texts = [o.text for c in cells for o in c.get("outputs", []) if o.output_type == "stream"]
    assert texts == [f"{[sys.executable, 4, float('inf'), '-x']}\n"]


def test_summary_is_handed_back(ran: Ran) -> None:
    """What the notebook left as summary.json comes back as values."""
    assert ran.result.summary == {"run_id": "r<1>", "vens": 4}


def test_progress_is_headings_and_what_the_lab_says(ran: Ran) -> None:
    """A terminal sees headings, the lab's own lines and every warning, in order."""
    assert ran.said == [
        "What is <heard>?",
        "Active VENs: 10 on Ærø",
        "the VTN is away",
        "Look",
    ]


def test_report_loads_nothing(ran: Ran) -> None:
    """The page reads well offline: no script, nothing to load, and a policy that says so."""
    assert "default-src 'none'" in ran.page
    assert not re.search(r"<script|<iframe|<link|@import|url\(", ran.page)
    assert set(re.findall(r"""\bsrc\s*=\s*["']?([a-z]*:?//?|[a-z]+:)""", ran.page)) == {"data:"}


def test_report_shows_what_there_is(ran: Ran) -> None:
    """Title, summary, parameters, tables and pictures are there once; code and widgets are not."""
    assert ran.page.count("<h1>What is &lt;heard&gt;?</h1>") == 1
    assert "<tr><th>run_id<td>r&lt;1&gt;" in ran.page
    assert "<tr><th>speed<td>inf" in ran.page
    assert "data:image/png;base64," in ran.page
    assert "<b>bold</b>" in ran.page
    assert "<td>2.5</td>" in ran.page
    assert "import pandas" not in ran.page
    assert "IntSlider" not in ran.page


def run_one(folder: Path, source: str, **options: float) -> None:
    notebook = write_notebook(folder / "n.ipynb", code("1"), code(source))
    (folder / "out").mkdir()
    run_notebook(notebook, {}, folder / "out", html=True, say=lambda _: None, **options)


def test_failure_names_cell_and_error(tmp_path: Path) -> None:
    """A failed cell is one short line; the notebook up to it is kept, with its traceback."""
    source = "# the second\nraise ValueError('\\x1b[31mno pony,\\nno cry')"
    with pytest.raises(RunError) as caught:
        run_one(tmp_path, source)
    executed = tmp_path / "out" / "n.ipynb"
    assert str(caught.value) == (
        "cell 2 (# the second) failed: ValueError: no pony, no cry."
        f" The executed notebook is {executed}."
    )
    assert "no pony" in executed.read_text(encoding="utf-8")
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL elsewhere")
def test_a_killed_kernel_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A kernel that dies ends the run with one error and no other words."""
    with pytest.raises(RunError, match="the kernel failed: Kernel died"):
        run_one(tmp_path, f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})")
    assert capfd.readouterr() == ("", "")


def test_a_cell_that_never_ends_is_an_error(tmp_path: Path) -> None:
    """No cell waits for ever: a kernel may fail without an answer."""
    with pytest.raises(RunError, match=r"cell timed out .* after 1 seconds"):
        run_one(tmp_path, "import asyncio; await asyncio.sleep(600)", timeout_s=1)
