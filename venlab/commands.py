"""``venlab probe`` and ``venlab clean``: what they ask, and what they print."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Callable
from typing import Any, NoReturn

from venlab import resume
from venlab.clean import cleaner
from venlab.config import DIALECTS, SECRETS, LabConfig
from venlab.errors import ConfigError, VtnError
from venlab.probe import look
from venlab.secret import Secret
from venlab.trial import try_reports

__all__ = ["Parser", "clean", "probe"]

Say = Callable[..., None]


class Parser(argparse.ArgumentParser):
    """Words of a command; what is wrong with them is an error of our family."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError."""
        raise ConfigError(message, f"see {self.prog} --help")

    def read(self, words: list[str], say: Say) -> argparse.Namespace | None:
        """Return what the words say; None where they ask for help, which is said then."""
        if {"-h", "--help"} & set(words):
            say(self.format_help().rstrip())
            return None
        return self.parse_args(words)


def probe(words: list[str], say: Say) -> None:
    """Find out what a VTN is and print it.

    Parameters
    ----------
    words : list of str
        What stands after ``venlab probe``.
    say : callable
        Given each line.

    Raises
    ------
    ConfigError
        The words are wrong.
    VtnError
        There is no VTN, or it takes nothing; what was found until then is printed.
    """
    args = _probe_parser().read(words, say)
    if args is not None:
        asyncio.run(_probe(args, say))


async def _probe(args: argparse.Namespace, say: Say) -> None:
    named = ("dialect", "client_id", "token_url", "scope", "auth_style", "timeout_s")
    told: dict[str, Any] = {name: getattr(args, name) for name in named}
    told |= {name: Secret(os.environ.get(there, "").strip()) for name, there in SECRETS.items()}
    # Not from lab.toml: what that says of another VTN, its token server above all, is not for this.
    config = LabConfig(vtn_url=args.url, **told)
    finding, there = await look(config)
    problem: VtnError | None = None
    if args.allow_writes:
        try:
            await try_reports(config, there, finding)
        except VtnError as error:
            problem = error
    if args.json:
        say(json.dumps(finding.as_json(), indent=2, ensure_ascii=False))
    else:
        say(*finding.lines())
    if problem:
        raise problem


def clean(words: list[str], say: Say, ask: Callable[[list[str], str], None]) -> None:
    """Delete what a run made at a VTN, or print what would go.

    Parameters
    ----------
    words : list of str
        What stands after ``venlab clean``.
    say : callable
        Given each line.
    ask : callable
        Asks a person for secrets: the variables they belong into, and for which VTN.

    Raises
    ------
    ConfigError, StoreError
        The words are wrong, there is no run, or its VTN has no deletion.
    VtnError
        The VTN refuses; what went until then is gone, and the command may be repeated.
    """
    args = _clean_parser().read(words, say)
    if args is None:
        return
    kept = resume.kept_settings(args.folder)
    ask(resume.secrets_to_ask(kept), str(kept.get("vtn_url") or "the VTN"))
    asyncio.run(_clean(args, kept, say))


async def _clean(args: argparse.Namespace, kept: dict[str, Any], say: Say) -> None:
    async with cleaner(args.folder, kept) as cleaning:
        say(*(await cleaning.look()))
        if not cleaning.going:
            say("nothing of the run is there to delete")
        elif args.yes:
            await cleaning.delete(say)
            say("deleted")
        else:
            say("nothing is deleted yet: say --yes")


def _clean_parser() -> Parser:
    parser = Parser(
        "venlab clean",
        add_help=False,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Delete at an OpenADR 3 VTN what a run made there: its reports, and the\n"
        "resources, VENs, report event and program that were not there before and that\n"
        "no other run uses. Without --yes, only say what would go.",
        epilog="it may be repeated, also after an interrupt. The flat dialect has no deletion.",
    )
    parser.add_argument("folder", metavar="RUN_FOLDER", help="the run's, as in runs/")
    parser.add_argument("--yes", action="store_true", help="delete it")
    return parser


def _probe_parser() -> Parser:
    parser = Parser(
        "venlab probe",
        add_help=False,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Find out what a VTN is: dialect, auth, which calls work, which limits.\n"
        "Nothing is made there, unless you say --allow-writes.",
        epilog="secrets come from the environment: VENLAB_TOKEN is a static token, and\n"
        "VENLAB_CLIENT_SECRET the secret of --client-id. With both, --allow-writes makes the\n"
        "event with the token (business logic) and all else as the client (a VEN).\n\n"
        "of a report, `as it should` says yes or no, or open where the dialect leaves it open.",
    )
    add = parser.add_argument
    add("url", metavar="URL", help="the VTN's base url; a path like /openadr3/3.1.0 is found")
    add("--dialect", default="auto", choices=("auto", *DIALECTS), help="default: %(default)s")
    add("--client-id", default="", metavar="ID", help="the OAuth2 client to ask as")
    add("--token-url", default="", metavar="URL", help="who gives tokens (default: the VTN says)")
    add("--scope", default="", help="OAuth2 scopes to ask for (default: none are named)")
    add("--auth-style", default="body", choices=("body", "basic"), help="default: %(default)s")
    add("--timeout-s", type=float, default=10.0, metavar="S", help="longest wait for an answer [s]")
    add("--json", action="store_true", help="print JSON instead of a table")
    writes = "register a VEN venlab-probe-…, send a good report and ten bad ones, delete it again"
    add("--allow-writes", action="store_true", help=writes)
    return parser
