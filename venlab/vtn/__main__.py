"""The VTN as a process: ``python -m venlab.vtn``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from venlab.errors import ConfigError, VenlabError
from venlab.faults import KINDS, PRESETS, Faults
from venlab.secret import Secret
from venlab.vtn.app import FLAT
from venlab.vtn.kinds import VERSIONS
from venlab.vtn.misbehave import Misbehaving
from venlab.vtn.server import Server
from venlab.vtn.webhooks import Webhooks

__all__ = ["main"]

_GRACE_S = 1  # for requests in flight, once it is told to end
_LOOK_S = 0.25  # between two looks whether the parent is there
_SETTINGS: Any = {
    "access_log": False,
    "lifespan": "off",
    "log_config": None,
    "proxy_headers": False,
    "server_header": False,
    "timeout_graceful_shutdown": _GRACE_S,
    "timeout_keep_alive": 75,  # longer than the pause between two report cycles
    "ws": "none",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the VTN until a signal, or embedded the end of stdin, ends it; return the exit code."""
    style = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=style)
    options = _parser().parse_args(argv)
    if options.faults == "help":
        sys.stdout.write(_faults_help())
        return 0
    try:
        with ExitStack() as stack:
            _run(options, stack)
    except VenlabError as error:
        sys.stderr.write(f"venlab vtn: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "venlab vtn",
        usage="%(prog)s [OPTION]...",
        description=_ABOUT,
        epilog=_EXAMPLE,
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, max_help_position=22),
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    add("--port", type=int, default=0, metavar="N", help="port to listen on (default: a free one)")
    add("--store", type=Path, metavar="FILE", help="SQLite (default: one that is gone at the end)")
    written = "where the credential is written, for you alone"
    add("--credential-file", type=Path, metavar="FILE", help=written)
    lasts = "how long OAuth2 tokens last [s] (default: %(default)s)"
    add("--token-ttl", type=int, default=3600, metavar="S", help=lasts)
    filled = "come up filled: N VENs (default: %(const)s), their resources, an event to report on"
    add("--seed-fleet", type=int, nargs="?", const=10, metavar="N", help=filled)
    add("--webhooks", action="store_true", help="tell subscribers, by https and to public hosts")
    add("--webhooks-anywhere", action="store_true", help="the same, also by http and in here")
    wrong = "what it does wrong from the start; --faults help lists the kinds"
    add("--faults", default="", metavar="TEXT", help=wrong)
    add("--fault-seed", type=int, default=0, metavar="N", help="the same seed, the same faults")
    add("--embedded", action="store_true", help="take the credential from stdin, end with stdin")
    return parser


_ABOUT = """\
A VTN to build and test against. It speaks three dialects side by side, each below
its own base path with a page of its own at /docs, and keeps their objects apart:

  /openadr3/3.1.0   OpenADR 3.1.0: everything but MQTT; objects and targets of a
                    VEN are seen by it alone
  /openadr3/3.0.1   OpenADR 3.0.1: everything
  /flat             the old system's, with extensions

Whoever shows the credential at BASE/auth/token with the client id `operator` is
business logic; with any other client id it is that VEN. As a bearer token itself the
credential is the operator's. It is $VENLAB_TOKEN or a random one. When the VTN
listens it prints one line of JSON: urls, port, and the file with the credential."""
_EXAMPLE = """\
with curl:
  venlab vtn --port 8080 --credential-file token.txt --seed-fleet &
  B=http://127.0.0.1:8080/openadr3/3.1.0
  curl -H "Authorization: Bearer $(cat token.txt)" $B/vens
  curl -d grant_type=client_credentials -d client_id=aabenraa \\
       -d client_secret=$(cat token.txt) $B/auth/token"""


def _faults_help() -> str:
    kinds = "".join(f"  {kind:15}{meaning}\n" for kind, (meaning, _) in KINDS.items())
    presets = "".join(f"  {name:15}{text}\n" for name, text in PRESETS.items())
    example = "503 stored share=0.3 path=/reports from=5 for=10; latency=0.2"
    return f"faults, such as '{example}':\n{kinds}{presets}"


def _run(options: argparse.Namespace, stack: ExitStack) -> None:
    faults = Faults.parse(options.faults, options.fault_seed)
    if options.embedded:
        credential = _credential_from_stdin()
    else:
        credential = Secret(os.environ.get("VENLAB_TOKEN") or secrets.token_urlsafe(32))
    listener = stack.enter_context(_listen(options.host, options.port))
    if options.store is None:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="venlab-vtn-"))
        options.store = Path(folder, "vtn.sqlite")
    webhooks = options.webhooks or options.webhooks_anywhere or None
    machine = Misbehaving(
        options.store,
        credential,
        token_ttl_s=options.token_ttl,
        webhooks=webhooks and Webhooks(anywhere=options.webhooks_anywhere),
    )
    stack.enter_context(closing(machine))
    if options.seed_fleet is not None:
        from venlab.vtn.seed import fill  # with NumPy and tables, which no other VTN needs

        asyncio.run(fill(machine.app, credential, options.seed_fleet))
    server = Server(machine, faults, **_SETTINGS)
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    ready = {"url": url, "port": port, "flat": url + FLAT}
    ready |= {version.name: url + version.base for version in VERSIONS}
    if options.embedded:
        threading.Thread(target=_end_with_parent, args=[server], daemon=True).start()
    else:
        path = options.credential_file or options.store.with_suffix(".credential")
        ready["credential_file"] = _write(path, credential)
        stack.callback(path.unlink, missing_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        # Before the loop runs too; and the server raises them again, half-way out.
        signal.signal(number, server.handle_exit)
    # What is there now stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, *gc.get_threshold()[1:])
    # The socket listens already; who connects now is served as soon as the loop runs.
    _say(ready)
    server.run([listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if not 0 <= port < 2**16:
            raise OSError("a port is 0 to 65535")
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]
        said = f"cannot listen on {host} port {port}: {reason}"
        raise ConfigError(said, "take another port, or 0 for a free one") from None


def _write(path: Path, credential: Secret) -> str:
    try:
        path.unlink(missing_ok=True)  # an old file would keep its own mode
        path.touch(0o600, exist_ok=False)
        path.write_text(credential.reveal(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", "name it elsewhere") from None
    return str(path.resolve())


def _credential_from_stdin() -> Secret:
    line = b""
    while not line.endswith(b"\n") and (more := os.read(0, 4096)):
        line += more
    try:
        return Secret(msgspec.json.decode(line, type=dict[str, str])["credential"])
    except (ValueError, KeyError):
        remedy = 'send {"credential": "…"} in one line'  # what was sent may hold the secret
        raise ConfigError("stdin does not begin with the credential", remedy) from None


def _say(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def _end_with_parent(server: Server) -> None:
    """End when stdin does, or when the parent is gone and what it forked holds the pipe open."""
    parent = os.getppid()
    reader = threading.Thread(target=_obey, args=[server], daemon=True)
    reader.start()
    while reader.is_alive() and os.getppid() == parent:
        reader.join(_LOOK_S)
    server.should_exit = True
    time.sleep(_GRACE_S + 0.5)
    os._exit(1)  # it did not end by itself; nobody is left to ask for more


def _obey(server: Server) -> None:
    """Take orders, each a line, until stdin ends."""
    begun = b""
    # os.read, not sys.stdin: a reader of that can crash the interpreter at its end.
    while more := os.read(0, 4096):
        *lines, begun = (begun + more).split(b"\n")
        for line in lines:
            _say(server.obey(line))


if __name__ == "__main__":
    sys.exit(main())
