"""An environment for each peer, since their needs clash: made once, and anew for other pins."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MAKE_S = 300.0


@dataclass(frozen=True)
class Peer:
    """A client that others wrote: its package, the versions it speaks, the Pythons it runs on."""

    package: str
    versions: tuple[str, ...]
    oldest: tuple[int, int]
    about: str

    @property
    def script(self) -> Path:
        return HERE / "peers" / f"play_{self.package.replace('-', '_')}.py"

    @property
    def requirements(self) -> Path:
        return HERE / "requirements" / f"{self.package}.txt"

    @property
    def pinned(self) -> str:
        """Package and version, as its requirements have it."""
        lines = self.requirements.read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if line.startswith(f"{self.package}=="))


PEERS = {
    peer.package: peer
    for peer in (
        Peer("toadr3", ("3.0.1",), (3, 11), "small asynchronous client; Apache-2.0"),
        Peer(
            "oadr30-ven-ud", ("3.0.1",), (3, 9), "VEN with a scheduler, by Universal Devices; MIT"
        ),
        Peer("openadr3-client", ("3.0.1", "3.1.0"), (3, 12), "BL and VEN, by ElaadNL; Apache-2.0"),
        Peer("python-oa3-client", ("3.1.0",), (3, 10), "BL and VEN over `openadr3`; MIT"),
    )
}


class CannotMakeError(Exception):
    """Why an environment is not there and cannot be made."""


def folder() -> Path:
    """Return where environments are kept; git ignores it."""
    return Path(os.environ.get("VENLAB_INTEROP") or ROOT / ".interop")


def python_of(peer: Peer, *, make: bool) -> Path:
    """Return the interpreter of a peer's environment, which is made if it may be.

    Raises
    ------
    CannotMakeError
        It is not there and may not be made, no Python fits, or pip failed; with the reason.
    """
    wanted = peer.requirements.read_text(encoding="utf-8")
    home = folder() / peer.package
    made = home / "made-of.txt"  # written last: what is half made is made anew
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if made.exists() and made.read_text(encoding="utf-8") == wanted:
        return python
    if not make:
        raise CannotMakeError("no environment: run `python -m tests.interop --make`")
    interpreter = _interpreter(peer.oldest)
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    if interpreter == sys.executable:
        venv.create(home, with_pip=True)
    else:
        _run(interpreter, "-m", "venv", str(home))
    _run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(peer.requirements))
    made.write_text(wanted, encoding="utf-8")
    return python


def made(name: str) -> int:
    """Make one environment and say so."""
    try:
        print(f"{PEERS[name].pinned}: {python_of(PEERS[name], make=True)}", flush=True)
    except CannotMakeError as error:
        print(f"{name}: cannot be made: {error}", file=sys.stderr)
        return 1
    return 0


def _interpreter(oldest: tuple[int, int]) -> str:
    """Return a Python that is new enough: this one, one on the path, or one of pyenv's."""
    if sys.version_info >= oldest:
        return sys.executable
    names = [f"python3.{minor}" for minor in range(oldest[1], oldest[1] + 3)]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    kept = [str(found) for name in names for found in sorted(pyenv.glob(f"*/bin/{name}"))]
    for candidate in [*filter(None, map(shutil.which, names)), *kept]:
        asked = [candidate, "-c", "import ensurepip, venv"]  # a shim may lead nowhere
        if subprocess.run(asked, capture_output=True, check=False).returncode == 0:
            return candidate
    raise CannotMakeError(f"no Python {oldest[0]}.{oldest[1]} or newer here")


def _run(*command: str) -> None:
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=MAKE_S)
    except subprocess.TimeoutExpired:
        raise CannotMakeError(f"not made within {MAKE_S:g} s") from None
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode("utf-8", "replace").strip()[-300:]
        raise CannotMakeError(f"it failed: {words}") from None


if __name__ == "__main__":  # with nothing but Python, before anything is installed
    sys.exit(max(map(made, PEERS)))
