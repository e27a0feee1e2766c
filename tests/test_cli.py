from __future__ import annotations

import builtins
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.scratch_notebooks import code, parameters, prose, write_notebook
from venlab import cli
from venlab.cli import main

SUMMARY = {"success_rate": 0.995, "heard": 8, "measured": 8, "latency_ms_p99": None, "run_id": "r"}
WORK = f"""\
import json, pathlib
pathlib.Path(out_dir, "summary.json").write_text(json.dumps({SUMMARY!r}))"""


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test works in a folder of its own, where only `tiny.ipynb` stands."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("VENLAB_RUNS", raising=False)
    write_notebook(here / "tiny.ipynb", prose("# Tiny"), parameters(), code(WORK))
    return here


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line on stderr; nothing else may be said."""
    out, err = capsys.readouterr()
    assert not out
    assert re.fullmatch(r"venlab: [^\n]+\n", err), err
    return err.removeprefix("venlab: ").strip()


RUN = ["run", "tiny.ipynb"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "fleet_rnu"], "there is no notebook fleet_rnu (did you mean fleet_run?)"),
        (["run", "nowhere/fleet_run"], "there is no notebook nowhere/fleet_run"),
        (["run"], "venlab run needs a notebook"),
        (["rnu", "fleet_run"], "there is no command rnu"),
        (["run", "fleet_run", "-p", "vnes", "3"], "no parameter vnes (did you mean vens?)"),
        (["run", "fleet_run", "-p", "seed", "pony"], "seed is 'pony', it must be of type int"),
        (["run", "fleet_run", "-p", "speed", "-1"], "speed is -1.0, allowed is float above 0"),
        (["run", "fleet_run", "-p", "speed", "nan"], "speed is nan"),
        (["run", "fleet_run", "-p", "realtime", "perhaps"], "must be true or false"),
        (["run", "fleet_run", "-p", "report_every_s", "7"], "one must divide the other"),
        (["run", "fleet_run", "-p", "start", "2023-03-26T02:30"], "start"),
        ([*RUN, "-p", "vens", "0"], "vens is 0, allowed is int from 1 to 287"),
        ([*RUN, "-p", "vens"], "expected 2 arguments"),
        ([*RUN, "--frobnicate"], "unrecognized arguments: --frobnicate"),
        ([*RUN, "--require", "success_rate"], "--require 'success_rate' cannot be read"),
        ([*RUN, "--require", "success_rate=>1"], "cannot be read"),
        ([*RUN, "--out", "a", "-p", "out_dir", "b"], "name two folders"),
        ([*RUN, "--out", "."], ". is not empty"),
        ([*RUN, "--out", "tiny.ipynb"], "cannot write to tiny.ipynb"),
        ([*RUN, "--out", "tiny.ipynb/x"], "cannot write to"),
        ([*RUN, "-p", "out_dir", "tiny.ipynb/x"], "cannot write to"),
    ],
)
def test_bad_words_are_one_line_and_make_nothing(
    words: list[str], said: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad name, type or value ends with 2 and one readable line, before anything is made."""
    assert main(words) == 2
    assert said in complaint(capsys)
    assert [p.name for p in empty_folder.iterdir()] == ["tiny.ipynb"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[schedule]\nreport_every_s = -1", "report_every_s is -1"),
        ("[schedule]\nreprot_every_s = 15", "unknown key in [schedule]: reprot_every_s"),
        ("[schedule", "is not TOML"),
    ],
)
def test_bad_lab_toml(text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong lab.toml is found before the run folder is made."""
    Path("lab.toml").write_text(text, encoding="utf-8")
    assert main(["run", "fleet_run"]) == 2
    assert said in complaint(capsys)
    assert not Path("runs").exists()


def test_a_folder_without_permission(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run folder that cannot be written is an error before the run, also in one that exists."""

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cli.tempfile, "TemporaryFile", refuse)  # root may write everywhere
    Path("locked").mkdir()
    assert main([*RUN, "--out", "locked"]) == 2
    assert "cannot write to locked: Permission denied" in complaint(capsys)


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Installed without [lab], `run` says what to install."""
    real = builtins.__import__

    def without_papermill(name: str, *args: Any, **options: Any) -> Any:
        if name == "papermill":
            raise ImportError("no papermill", name="papermill")
        return real(name, *args, **options)

    monkeypatch.delitem(sys.modules, "venlab.runs", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_papermill)
    assert main(RUN) == 2
    assert 'papermill, which is not installed. Install it: pip install "venlab[lab]"' in complaint(
        capsys
    )


def test_a_run_makes_a_folder_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """By default the folder is runs/NAME-TIME-XXXX, handed to the notebook and named at the end."""
    required = ["heard==measured", "success_rate >= 0.99", "run_id==r"]
    assert main([*RUN, *(word for text in required for word in ("--require", text))]) == 0
    (folder,) = Path("runs").iterdir()
    assert re.fullmatch(r"tiny-\d{8}T\d{6}Z-[0-9a-f]{4}", folder.name)
    assert {p.name for p in folder.iterdir()} == {"tiny.ipynb", "report.html", "summary.json"}
    out, err = capsys.readouterr()
    assert not err
    assert "success_rate    0.995" in out
    assert out.splitlines()[-1].startswith(str(folder))


def fake_run(
    monkeypatch: pytest.MonkeyPatch, summary: Mapping[str, object] = SUMMARY
) -> list[dict[str, Any]]:
    """Put a run that only hands back `summary` in place of a kernel; return its arguments."""
    from venlab import runs

    calls: list[dict[str, Any]] = []

    def run(path: Path, values: dict[str, Any], folder: Path, **options: Any) -> runs.RunResult:
        calls.append({"values": values, "folder": folder, **options})
        return runs.RunResult(folder, folder / path.name, None, dict(summary))

    monkeypatch.setattr(runs, "run_notebook", run)
    return calls


@pytest.mark.parametrize(
    ("required", "code"),
    [
        (["success_rate>=0.99"], 0),
        (["success_rate<0.9"], 3),
        (["success_rate>=0.99", "heard>8"], 3),
        (["heard!=measured"], 3),
        (["latency_ms_p99<100"], 3),
        (["sucess_rate>=0.99"], 2),
        (["run_id>5"], 2),
    ],
)
def test_require(
    required: Sequence[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A requirement compares a key of the summary with a value or another key; none is missed."""
    fake_run(monkeypatch)
    assert main([*RUN, *(word for text in required for word in ("--require", text))]) == code
    err = capsys.readouterr().err
    assert err.count("\n") == (code != 0)
    if code == 3:
        assert err == f"venlab: missed: {required[-1]}\n"


def test_require_without_a_summary(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing can be required of a notebook that writes no summary."""
    fake_run(monkeypatch, {})
    assert main([*RUN, "--require", "heard>1"]) == 2
    assert "the notebook wrote no summary.json" in capsys.readouterr().err


def test_options_reach_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values, folder, page and patience are handed on; a long schedule gets the time it needs."""
    calls = fake_run(monkeypatch)
    assert main(["run", "fleet_run", "-p", "speed", "1", "--out", "a/b", "--no-html", "-v"]) == 0
    (call,) = calls
    assert call["values"] == {"speed": 1.0, "out_dir": str(Path("a/b"))}
    assert (call["folder"], call["html"], call["verbose"]) == (Path("a/b"), False, True)
    assert call["timeout_s"] == 3600 + 2 * 12 * 30


def test_a_failed_notebook_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    """The notebook's error is one line with the cell and where the executed notebook is."""
    write_notebook(Path("bad.ipynb"), code("raise KeyError('pony')"))
    assert main(["run", "bad.ipynb", "--out", "o"]) == 1
    assert capsys.readouterr().err == (
        "venlab: cell 1 (raise KeyError('pony')) failed: KeyError: 'pony'."
        f" The executed notebook is {Path('o/bad.ipynb')}.\n"
    )


def test_help_of_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    """`run NOTEBOOK --help` prints the title and each parameter with type, default and meaning."""
    assert main([*RUN, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tiny: Tiny"
    assert "  vens     int    3             VENs that take part, a = b is no trap" in lines
    assert "  fast     bool   True" in lines


@pytest.mark.parametrize("words", [["--help"], ["-h"], [], ["run", "--help"]])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Help shows the commands, the notebooks there are and the exit codes."""
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "venlab lab" in out
    assert re.search(r"^notebooks: tour, .*\bfleet_run$", out, re.MULTILINE)
    assert "3 a --require was missed" in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`venlab --version` prints one line."""
    assert main(["--version"]) == 0
    assert re.fullmatch(r"venlab \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_lab_copies_installed_notebooks_and_keeps_edits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed notebooks are copied to work on; what a person changed there is never lost."""
    from jupyterlab.labapp import LabApp

    installed = tmp_path / "_notebooks"
    installed.mkdir()
    write_notebook(installed / "one.ipynb", prose("# One"))
    started: list[list[str]] = []
    monkeypatch.setattr("venlab.cli.notebooks_dir", lambda: installed)
    monkeypatch.setattr("venlab.notebooks.notebooks_dir", lambda: installed)
    monkeypatch.setattr(LabApp, "launch_instance", started.append)
    assert main(["lab", "--no-browser"]) == 0
    copy = Path("venlab-notebooks/one.ipynb")
    copy.write_text("mine", encoding="utf-8")
    assert main(["lab"]) == 0
    assert copy.read_text(encoding="utf-8") == "mine"
    root = f"--ServerApp.root_dir={copy.parent.resolve()}"
    assert started == [[root, "--no-browser"], [root]]


def test_vtn_hands_its_words_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """`venlab vtn` is the VTN's own command line."""
    heard: list[list[str]] = []
    monkeypatch.setattr("venlab.vtn.__main__.main", heard.append)
    assert main(["vtn", "--port", "0", "--help"]) == 0
    assert heard == [["--port", "0", "--help"]]


@pytest.mark.skipif(os.name != "posix", reason="an interrupt is sent another way elsewhere")
def test_interrupt(empty_folder: Path) -> None:
    """Ctrl-C ends a run with 130 and one line; what there is stays, and no kernel is left."""
    source = """\
import os, pathlib, time
pathlib.Path(out_dir, "pid").write_text(str(os.getpid()))
pathlib.Path(out_dir, "lab.log").write_text("x INFO venlab.lab working\\n")
time.sleep(600)"""
    write_notebook(Path("long.ipynb"), parameters(), code(source))
    command = [sys.executable, "-c", "import sys; from venlab.cli import main; sys.exit(main())"]
    with subprocess.Popen(
        [*command, "run", "long.ipynb", "--out", "o"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        while process.stdout.readline() not in ("working\n", ""):
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "venlab: interrupted; what there is stands in o\n")
    assert Path("o/long.ipynb").is_file()
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("o/pid").read_text(encoding="utf-8")), 0)


def test_fleet_run_with_other_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    """The main job runs headless with what it is told, and leaves all that a run folder holds."""
    told = {"vens": "2", "simulated_hours": "0.5", "seed": "3"}
    words = [word for name, value in told.items() for word in ("-p", name, value)]
    required = ["--require", "heard==measured", "--require", "success_rate>=1"]
    assert main(["run", "fleet_run", "--out", "o", *words, *required]) == 0, capsys.readouterr()
    names = {p.name for p in Path("o").iterdir()}
    files = "fleet_run.ipynb report.html summary.json params.json readings.csv requests.csv lab.log"
    assert names >= {*files.split(), "figures", "run.sqlite"}
    summary = json.loads(Path("o/summary.json").read_text(encoding="utf-8"))
    assert (summary["vens"], summary["seed"], summary["cycles"]) == (2, 3, 4)
    assert summary["measured_kwh"] == summary["heard_kwh"] > 0
    assert "Active VENs: 2" in capsys.readouterr().out


def test_a_persons_lab_toml_wins_over_a_notebooks_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A notebook's default, then the file, then -p."""
    monkeypatch.chdir(tmp_path)
    text = "[fleet]\nvens = 1\nseed = 9\n[simulation]\nsimulated_hours = 0.25\n"
    (tmp_path / "lab.toml").write_text(text, encoding="utf-8")
    assert main(["run", "fleet_run", "--out", "run", "-p", "seed", "11", "--no-html"]) == 0
    said = json.loads((tmp_path / "run" / "params.json").read_text(encoding="utf-8"))
    assert (said["vens"], said["simulated_hours"], said["seed"]) == (1, 0.25, 11)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("requirement", "words"),
    [("pony>3", "the summary has no pony"), ("measured>>3", "cannot be read"), ("x", "cannot be")],
)
def test_a_require_that_cannot_be_met_is_refused_before_the_run(
    requirement: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing runs for half a minute to end in a typing mistake."""
    assert main(["run", "fleet_run", "--require", requirement]) == 2
    assert words in capsys.readouterr().err
    assert not Path("runs").exists()
