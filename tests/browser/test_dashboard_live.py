"""The dashboard as a person meets it: a real JupyterLab, its kernel, a browser."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.browser.drive import Notebook, browser, jupyterlab, missing

pytestmark = pytest.mark.browser

CELLS = (
    "import venlab as vl\nlab = vl.Lab(vl.params(vens=2, speed=20, simulated_hours=24))",
    "vl.Dashboard(lab)",
    "await lab.open()\nawait lab.register()",
    "results = await lab.run()",
    "await lab.read_back()\nprint(results.check())",
    "await lab.close()\nprint('acknowledged', results.summary()['acknowledged'])",
)
ENOUGH_S = 3.0  # a run ends within 1 s of its stop; the rest is the page's, on a busy machine


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the screenshots go: VENLAB_SCREENSHOTS, else a temporary folder."""
    folder = os.environ.get("VENLAB_SCREENSHOTS")
    path = Path(folder) if folder else tmp_path_factory.mktemp("screenshots")
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    if lacks := missing():
        pytest.skip(lacks)
    root = tmp_path_factory.mktemp("notebooks")
    with jupyterlab(root) as url:
        yield root, url


@pytest.fixture
def notebook(
    server: tuple[Path, str], shots: Path, request: pytest.FixtureRequest
) -> Iterator[Notebook]:
    """A notebook of `CELLS`, open; the page is kept as a picture when the test ends."""
    root, url = server
    path = root / f"{request.node.name.replace('[', '-').rstrip(']')}.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
    with browser() as page:
        opened = Notebook(page, url, path)
        yield opened
        page.screenshot(path=shots / f"{path.stem}.png")


def test_buttons_play_a_run_while_no_cell_does(notebook: Notebook, shots: Path) -> None:
    """Start, Pause, Resume, speed and Stop are obeyed, and the next cell has the results."""
    notebook.run(0, 1, 2)
    notebook.until("/Ready/.test(text())")
    notebook.press("Start")
    notebook.until("/Running/.test(text()) && value('Acknowledged') > 0")
    seen = notebook.value("Acknowledged")
    notebook.until("value('Acknowledged') > values[0]", seen)
    notebook.page.screenshot(path=shots / "running.png")

    notebook.press("Pause")
    notebook.until("/Paused/.test(text()) && value('Waiting') === 0")
    notebook.until("document.querySelectorAll('.vl-plot svg path[fill]').length === 6")
    paused_at = notebook.value("Measured")
    notebook.page.screenshot(path=shots / "paused.png")
    notebook.page.locator(".vl-controls .noUi-handle").press("ArrowRight")
    notebook.until("/at 60 ×/.test(text())")
    assert notebook.value("Measured") == paused_at
    notebook.press("Resume")
    notebook.until("/Running/.test(text()) && value('Measured') > values[0]", paused_at)

    pressed = time.monotonic()
    notebook.press("Stop")
    notebook.until("/Stopped/.test(text())")
    assert time.monotonic() - pressed < ENOUGH_S
    notebook.run(3, 4, 5)
    told = notebook.finish()
    assert "nothing is missing" in told[4]
    assert "acknowledged" in told[5]
    assert "Error" not in "".join(told)


@pytest.mark.parametrize("how", ["button", "interrupt"])
def test_stopped_in_the_middle_the_notebook_goes_on(notebook: Notebook, how: str) -> None:
    """Run all, stop while the cell awaits: partial results, no traceback, a picture that stays."""
    notebook.run_all()
    notebook.until("/Running/.test(text()) && value('Acknowledged') > 0")
    seen = notebook.value("Simulated time")
    notebook.until("value('Simulated time') !== values[0]", seen)
    pressed = time.monotonic()
    if how == "button":
        notebook.press("Stop")
    else:
        notebook.command("notebook:interrupt-kernel")
    notebook.until("/Stopped/.test(text())")
    assert time.monotonic() - pressed < ENOUGH_S
    told = notebook.finish()
    assert "nothing is missing" in told[4]
    assert "acknowledged" in told[5]
    assert "Error" not in "".join(told)
    # What is saved needs no kernel and no widgets to be read.
    (output,) = nbformat.read(notebook.path, as_version=4).cells[1].outputs
    assert set(output.data) == {"text/plain", "text/html"}
    assert "Stopped" in output.data["text/html"]


def test_it_fits_a_narrow_page_and_a_dark_one(notebook: Notebook, shots: Path) -> None:
    """Nothing is wider than the page in either theme, and words have the theme's colour."""
    notebook.run_all()
    notebook.until("/Running/.test(text()) && value('Acknowledged') > 0")
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        notebook.command("apputils:change-theme", theme=theme)
        notebook.until("!document.querySelector('#jupyterlab-splash')")
        for width in (1400, 600):
            notebook.page.set_viewport_size({"width": width, "height": 1000})
            notebook.until("panel().clientWidth < innerWidth && panel().clientWidth > 400")
            assert notebook.page.evaluate(
                "() => [...document.querySelectorAll('.vl-dash *')]"
                ".every(e => e.scrollWidth <= document.querySelector('.vl-dash').clientWidth)"
            )
            notebook.page.screenshot(path=shots / f"{theme.split()[1].lower()}-{width}.png")
    notebook.press("Stop")
    notebook.finish()
