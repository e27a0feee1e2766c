"""What a VTN is, found out by asking: dialect, auth, calls, limits, and what bad reports get."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple, TypeVar

from venlab.auth import FLEET, ClientCredentials
from venlab.config import LabConfig
from venlab.credentials import credential_of
from venlab.errors import NoAnswer, VenlabError, plain
from venlab.exchange import Exchange
from venlab.outside import Outside, look_at
from venlab.runfile import Attempt
from venlab.secret import Secret
from venlab.transport import Answer, HttpxTransport, Transport
from venlab.wire import Call, dialect
from venlab.wire.probing import get, ids_in, lists

__all__ = ["Asker", "Finding", "Tried", "asking", "look"]

T = TypeVar("T")
LIMITS = (50, 51, 1000, 5000, 5001)  # that a list is asked for, since one is a usual bound each
FEW = 2  # objects that a list must have to tell whether skip works


class Tried(NamedTuple):
    """One question and its answer: how many came where it was a list, and what was said if not."""

    call: str
    status: int | None
    how_many: str
    words: str


class Verdict(NamedTuple):
    """What one report got, and whether that is what its dialect says; "open" if it says nothing."""

    report: str
    status: int | None
    right: str
    words: str


@dataclass
class Finding:
    """What was found out about a VTN."""

    url: str
    dialect: str
    how: str
    auth: str = ""
    token_server: str = ""
    repeated_names: str = ""
    calls: list[Tried] = field(default_factory=list)
    limits: dict[str, str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    reports: list[Verdict] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        rows = {name: [row._asdict() for row in getattr(self, name)] for name in _TABLES}
        return dataclasses.asdict(self) | rows

    def lines(self) -> Iterator[str]:
        """Yield all of it as a person reads it."""
        named = {"dialect": f"{self.dialect}: {self.how}", "auth": self.auth}
        named |= {"tokens from": self.token_server, "a name twice": self.repeated_names}
        yield self.url
        yield from _aligned(list((named | self.limits).items()))
        for name, heads in _TABLES.items():
            if rows := [tuple(map(_cell, row)) for row in getattr(self, name)]:
                yield ""
                yield from _aligned([heads, *rows])
        if self.made:
            yield from ("", f"made there: {', '.join(self.made)}")
            yield (
                f"left there: {', '.join(self.left)}" if self.left else "all of it is deleted again"
            )


_TABLES = {
    "calls": ("call", "status", "how many", "what it says"),
    "reports": ("report", "status", "as it should", "what it says"),
}


class Asker(Exchange):
    """Asks a VTN as one credential does, whatever it answers."""

    speaker = FLEET

    def speak_as(self, ven_id: str, token: Secret) -> None:
        """Speak with the token of a VEN from now on, which it got when it was registered."""
        self._tokens.keep(ven_id, token)
        self.speaker = ven_id

    async def ask(self, call: Call[Any]) -> Answer:
        """Send a call and return the answer, also a refusal; NoAnswer where none came."""
        return await self._send("probe", call, "", self.speaker)

    async def read(self, purpose: str, call: Call[T]) -> T:
        """Send a call and return what its answer means; an error where it is refused."""
        return await self._ask(purpose, call, speaker=self.speaker)

    def words(self, answer: Answer) -> str:
        """Return the VTN's words for a refusal, cut to a cell of a table."""
        good = 200 <= answer.status < 300
        return "" if good else self.dialect.explain(answer.body)[:100]


@asynccontextmanager
async def asking(
    config: LabConfig,
    there: Outside,
    note: Callable[[Attempt], None] = lambda _: None,
    transport: Callable[..., Transport] = HttpxTransport,
    *,
    credential: Secret | ClientCredentials | None = None,
) -> AsyncIterator[Asker]:
    """Hand out what asks a VTN with the credential of the settings, or with another."""
    who = credential_of(config, transport, there.token_url) if credential is None else credential
    carrier = transport(there.url, in_flight=1, timeout_s=config.timeout_s)
    asker = Asker(carrier, dialect(there.dialect), who, note)
    try:
        yield asker
    finally:
        await asker.close()


async def look(
    config: LabConfig, transport: Callable[..., Transport] = HttpxTransport
) -> tuple[Finding, Outside]:
    """Find out about a VTN what can be seen without making anything there.

    Parameters
    ----------
    config : LabConfig
        Its `vtn_url`, and the credential if there is one.
    transport : callable
        Makes what carries the requests.

    Raises
    ------
    NoAnswer, NotAVtn
        No VTN is there.
    AccessDenied
        The token server refuses the client.
    """
    there = await look_at(config, transport)
    finding = Finding(there.url, there.dialect, there.how, token_server=there.token_url)
    times: list[float] = []
    note = _timed(times)
    async with asking(config, there, note, transport, credential=Secret("")) as nobody:
        bare = await nobody.ask(get("/programs?skip=0&limit=1"))
        if not there.token_url and there.dialect != "flat":
            finding.token_server = await _token_server(nobody, there)
    async with asking(config, there, note, transport) as asker:
        known = await asker.ask(get("/programs?skip=0&limit=1"))
        finding.auth = _auth(config, bare.status, known.status)
        finding.repeated_names = await _repeated(asker)
        longest = await _calls(asker, finding)
        if longest:
            await _paging(asker, finding, longest)
    finding.limits["answer time"] = f"{median(times):.1f} ms (median of {len(times)})"
    return finding, there


def _timed(times: list[float]) -> Callable[[Attempt], None]:
    return lambda attempt: times.append(attempt.latency_ms)


async def _token_server(nobody: Asker, there: Outside) -> str:
    """Tell where tokens seem to be given: the path answers, though not to a mere question."""
    try:
        answer = await nobody.ask(get("/auth/token"))
    except NoAnswer:
        return "not found"
    found = answer.status not in (404, 410, 501)
    return f"{there.url}/auth/token (it is there: {answer.status})" if found else "not found"


def _auth(config: LabConfig, bare: int, known: int) -> str:
    needs = "it wants none" if bare < 300 else f"without one it answers {bare}"
    who = "none is given"
    if config.client_id:
        who = f"OAuth2 client credentials of {config.client_id!r}"
    elif config.token:
        who = "a static token, from VENLAB_TOKEN"
    if config.client_id or config.token:
        who += ", which is taken" if known < 300 else f", which is refused: {known}"
    return f"{who}; {needs}"


async def _repeated(asker: Asker) -> str:
    """Tell whether a report's name is refused twice, where the VTN says so of itself."""
    try:
        health = await asker.read("health", asker.dialect.health())
    except VenlabError:
        return "it does not say whether a report's name is taken twice"
    return "refused, it says" if health.refuses_repeated_names else "not refused, as far as it says"


async def _calls(asker: Asker, finding: Finding) -> str:
    """Ask for each list; return the path of the longest of them."""
    page = asker.dialect.page
    counts: dict[str, int] = {}
    first_ven = ""
    for name, path in lists(finding.dialect).items():
        found = await _call(asker, finding, name, path, page)
        counts[path] = len(found)
        if name == "vens":
            first_ven = next(iter(found), "")
    if (place := lists(finding.dialect, first_ven).get("resources")) and place not in counts:
        counts[place] = len(
            await _call(asker, finding, f"vens/{plain(first_ven, 40)}/resources", place, page)
        )
    elif "resources" not in lists(finding.dialect, first_ven):
        finding.calls.append(Tried("GET vens/…/resources", None, "", "no VEN to look behind"))
    if finding.dialect == "3.1.0":
        await _call(asker, finding, "notifiers", "/notifiers", 0)
    await _call(asker, finding, "health", "/health", 0)
    longest = max(counts, key=lambda path: counts[path])
    return longest if counts[longest] else ""


async def _call(asker: Asker, finding: Finding, name: str, path: str, page: int) -> list[str]:
    """Ask once and note the answer; return the ids that came."""
    query = f"?skip=0&limit={page}" if page else ""
    try:
        answer = await asker.ask(get(path + query))
    except NoAnswer as error:
        finding.calls.append(Tried(f"GET {name}", None, "", error.problem))
        return []
    found = ids_in(answer.body) if answer.status < 300 else None
    count = "" if found is None else f"{len(found)}{' or more' if len(found) == page else ''}"
    finding.calls.append(Tried(f"GET {name}", answer.status, count, asker.words(answer)))
    return found or []


async def _paging(asker: Asker, finding: Finding, path: str) -> None:
    """Find out how long a page may be, and whether skip passes over what it should."""
    taken, most = "none of those tried", 0
    for limit in LIMITS:
        try:
            answer = await asker.ask(get(f"{path}?skip=0&limit={limit}"))
        except NoAnswer:
            break
        if answer.status >= 300:
            taken += f" ({limit} is refused: {answer.status})"
            break
        taken, most = str(limit), max(most, len(ids_in(answer.body) or []))
    finding.limits["largest limit"] = taken
    finding.limits["most on a page"] = f"{most} (of {path})"
    one, other = [await _page(asker, path, skip) for skip in range(FEW)]
    if most < FEW:
        finding.limits["skip"] = "cannot be told: no list has two objects"
    elif one and other:
        finding.limits["skip"] = "works" if one != other else "does nothing: the same comes again"
    else:
        finding.limits["skip"] = "does not work: nothing comes"


async def _page(asker: Asker, path: str, skip: int) -> list[str]:
    answer = await asker.ask(get(f"{path}?skip={skip}&limit=1"))
    return ids_in(answer.body) or []


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    shown = [row for row in rows if any(row[1:])]
    widths = [max(len(row[n]) for row in shown) for n in range(len(shown[0]) - 1)]
    for *cells, last in shown:
        start = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)]
        yield "  ".join([*start, last]).rstrip()


def _cell(value: object) -> str:
    return "–" if value is None else str(value)
