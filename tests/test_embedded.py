"""The embedded VTN's process, where it does not behave."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from venlab.embedded import EmbeddedVtn
from venlab.errors import RunError


def misbehaving(
    folder: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[EmbeddedVtn, list[subprocess.Popen[bytes]]]:
    """Return one that runs another program, and what it started."""
    started = []

    def spawn(_: EmbeddedVtn) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        with (folder / "vtn.log").open("ab") as log:
            command = [sys.executable, "-c", program]
            started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log))
        return started[-1]

    monkeypatch.setattr(EmbeddedVtn, "_spawn", spawn)
    return EmbeddedVtn(folder), started


async def test_one_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for without end, and not left behind."""
    monkeypatch.setattr("venlab.embedded.READY_S", 0.5)
    vtn, started = misbehaving(tmp_path, "import time; time.sleep(60)", monkeypatch)
    began = time.monotonic()
    with pytest.raises(RunError, match="it said nothing"):
        await vtn.start()
    assert time.monotonic() - began < 10
    assert started[0].poll() is not None
    await vtn.stop()


async def test_one_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error carries the end of its log."""
    vtn, started = misbehaving(tmp_path, "raise SystemExit('no room')", monkeypatch)
    with pytest.raises(RunError, match="no room"):
        await vtn.start()
    assert started[0].poll() is not None
    await vtn.stop()
