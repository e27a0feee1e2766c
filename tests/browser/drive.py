"""JupyterLab in headless Chromium, for tests: a server of its own, a page, a notebook in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat

TOKEN = "venlab-browser-test"
START_S = 90
LOOK = """
    const panel = () => document.querySelector('.vl-dash');
    const text = () => panel()?.innerText ?? '';
    const value = label => {
        const at = [...panel().querySelectorAll('.vl-label')].find(e => e.innerText === label);
        const said = at.nextElementSibling.innerText.replaceAll(',', '');
        return isNaN(said) ? said : Number(said);
    }"""  # what a condition may ask: the dashboard, its words, what stands under a label
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def chromium() -> str | None:
    """Return the browser of this machine; CHROMIUM names another."""
    named = os.environ.get("CHROMIUM")
    names = (named,) if named else ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def missing() -> str:
    """Say what these tests lack on this machine, or nothing."""
    name = chromium()
    if not name or subprocess.run([name, "--version"], capture_output=True, check=False).returncode:
        return "no Chromium that starts: apt-get install chromium, or name one in CHROMIUM"
    lacks = [name for name in ("playwright", "jupyterlab") if find_spec(name) is None]
    return f"no {lacks[0]}: pip install venlab[browser]" if lacks else ""


@contextmanager
def jupyterlab(root: Path, *, theme: str = "JupyterLab Light") -> Iterator[str]:
    """Serve a folder on a free port with settings of its own; yield the address."""
    home = root / ".home"
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}  # no pop-up over the page
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet), "utf-8")
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}), "utf-8")
    folders = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    own = {f"JUPYTER_{name}": str(home / name.lower()) for name in folders}
    own |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    own |= {"JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"), "IPYTHONDIR": str(home / "ip")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--ServerApp.root_dir={root}"]
    # The page gets window.jupyterapp: commands are surer than menus.
    command += [f"--IdentityProvider.token={TOKEN}", "--LabApp.expose_app_in_browser=True"]
    with (root / "jupyterlab.log").open("wb") as log:
        server = subprocess.Popen(
            command, env=os.environ | own, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield _address(server, home / "runtime_dir")
        finally:
            server.terminate()  # a clean end also ends the kernels
            with suppress(subprocess.TimeoutExpired):
                server.wait(20)
            server.kill()
            server.wait()


def _address(server: subprocess.Popen[bytes], runtime: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            with suppress(ValueError, KeyError):  # half written
                return str(json.loads(file.read_text("utf-8"))["url"])
        time.sleep(0.1)
    raise RuntimeError("JupyterLab did not start; its words are in jupyterlab.log")


@contextmanager
def browser(width: int = 1400, height: int = 1000) -> Iterator[Any]:
    """Yield a page of a headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        process = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield process.new_page(viewport={"width": width, "height": height})
        finally:
            process.close()


class Notebook:
    """A notebook that is open in JupyterLab, with a kernel that answers."""

    def __init__(self, page: Any, url: str, path: Path) -> None:
        self.page, self.path = page, path
        page.set_default_timeout(60_000)
        page.goto(f"{url}lab/tree/{path.name}?token={TOKEN}&reset")
        page.wait_for_selector("#jupyterlab-splash", state="detached")
        page.wait_for_selector(".jp-Notebook")
        # Running before the session is ready brings up a dialog that waits for ever.
        page.evaluate("""async () => {
            const panel = window.jupyterapp.shell.currentWidget;
            await panel.context.ready;
            await panel.sessionContext.ready;
            await panel.sessionContext.session.kernel.info;
            window.jupyterapp.commands.execute('application:toggle-left-area')
        }""")

    def command(self, name: str, **options: str) -> None:
        """Run one of JupyterLab's commands to its end."""
        run = "([name, options]) => window.jupyterapp.commands.execute(name, options)"
        self.page.evaluate(f"{run}.then(() => true)", [name, options])

    def run(self, *cells: int) -> None:
        """Run these cells, each to its end."""
        select = "n => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = n; }"
        for cell in cells:
            self.page.evaluate(select, cell)
            self.command("notebook:run-cell")

    def run_all(self) -> None:
        """Begin to run all cells; `finish` waits for the last."""
        self.page.evaluate("""() => { window.ran = window.jupyterapp.commands
            .execute('notebook:run-all-cells').then(() => true, e => String(e)); }""")

    def finish(self) -> list[str]:
        """Wait until all cells ran, save, and return what each code cell printed or raised."""
        self.page.evaluate("() => window.ran")
        self.command("docmanager:save")
        cells = nbformat.read(self.path, as_version=4).cells
        return ["".join(map(_text, c.outputs)) for c in cells if c.cell_type == "code"]

    def press(self, label: str) -> None:
        """Press a button of the dashboard as soon as it may be pressed."""
        self.page.locator(".vl-dash").get_by_role("button", name=label, exact=True).click()

    def until(self, condition: str, *values: object) -> None:
        """Wait until JavaScript says true, which may ask as `LOOK` tells."""
        self.page.wait_for_function(f"(values) => {{ {LOOK}; return {condition}; }}", arg=values)

    def value(self, label: str) -> float | str:
        """Return what stands under a label of the dashboard."""
        found: float | str = self.page.evaluate(
            f"(label) => {{ {LOOK}; return value(label); }}", label
        )
        return found


def _text(output: nbformat.NotebookNode) -> str:
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}"
    return str(output.data.get("text/plain", ""))
