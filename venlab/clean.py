"""What a run made at somebody's VTN, found again there and deleted; what others use stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from venlab import resume, runlog
from venlab.clock import Clock
from venlab.config import LabConfig
from venlab.errors import AccessDenied, ConfigError, StoreError
from venlab.fleet import Fleet
from venlab.link import Link
from venlab.made import Diary, Making
from venlab.model import Ven
from venlab.opening import patience
from venlab.retry import Patience
from venlab.roster import Roster
from venlab.runreader import RUN_FILE
from venlab.tasks import for_each
from venlab.upload import PAST
from venlab.wire import Address, Call

__all__ = ["Cleaning", "cleaner"]


class Going(NamedTuple):
    """One thing that is to be deleted: how, and as whom."""

    kind: str
    name: str
    call: Call[None]
    client_name: str = ""


@asynccontextmanager
async def cleaner(folder: str, kept: Mapping[str, Any]) -> AsyncIterator[Cleaning]:
    """Open the VTN of a run, to delete there what the run made; nobody plays it meanwhile.

    Parameters
    ----------
    folder : path
        The run's.
    kept : mapping
        Its settings, as `resume.kept_settings` reads them.

    Raises
    ------
    ConfigError
        A secret is missing, the run had a VTN of its own, or one of a dialect without deletion.
    StoreError
        The run is being played.
    """
    if not kept.get("vtn_url"):
        said = f"the run in {folder} had a VTN of its own, whose store is in that folder"
        raise ConfigError(said, "delete the folder")
    try:
        config = resume.config_of(folder, {})
    except ConfigError as error:
        raise ConfigError(error.problem, error.remedy.replace("resume", "clean")) from None
    async with runlog.held(Path(folder, RUN_FILE), resume=True):
        wall = Clock(1.0)
        link = Link(config, Path(folder), lambda _: None, wall)
        try:
            await link.open()
            says = link.client.dialect
            if not link.client.can("delete"):
                problem = f"{link.url} speaks {says.name}: {says.cannot['delete']}"
                raise ConfigError(problem, "what the run made there stays; ask who runs the VTN")
            yield Cleaning(config, folder, str(kept["run_id"]), link, patience(config, wall))
        finally:
            await link.close()


class Cleaning:
    """Finds at a VTN what a run made, and deletes it.

    Parameters
    ----------
    config : LabConfig
        The run's.
    folder : path
        The run's.
    run_id : str
        What its reports' names begin with.
    link : Link
        The way to its VTN, open.
    patiently : Patience
        What a question is asked with, where the VTN may not answer at once.

    Attributes
    ----------
    going : list of Going
        What is to be deleted, in order; empty before `look`.
    """

    def __init__(
        self, config: LabConfig, folder: str, run_id: str, link: Link, patiently: Patience
    ) -> None:
        try:
            fleet = Fleet.from_csv(f"{folder}/fleet.csv")
        except OSError as error:
            raise StoreError(f"{folder}/fleet.csv cannot be read: {error.strerror}") from None
        roster = Roster(fleet, prefix=config.name_prefix)
        self._vens = roster.names
        self._run_id, self._client, self._url = run_id, link.client, link.url
        self._ours = f"{run_id}/", f"{run_id}{PAST}"
        self._in_flight, self._patiently = config.in_flight, patiently
        self._diary = Diary(folder, link.url)
        link.client.voices = roster.client_names
        self.going: list[Going] = []
        self._stays: list[str] = []

    async def look(self) -> list[str]:
        """Find what is the run's, and return in words what would go and what stays, and why."""
        self.going, self._stays = [], []
        behind: list[Going] = []
        pairs = list(zip(self._vens, self._client.voices, strict=True))
        await for_each(pairs, lambda pair: self._look_at_ven(*pair, behind), self._in_flight)
        # Reports first: they say whose a VEN is. Then what stands behind VENs, of all of them.
        self.going += sorted(behind, key=lambda going: going.kind == "VEN")
        for name in sorted(self._diary.names["event"]):
            await self._look_at_event(name)
        for name in sorted(self._diary.names["program"]):
            await self._look_at_program(name)
        counts = Counter(going.kind for going in self.going)
        goes = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items()]
        heads = f"{self._run_id} at {self._url} ({self._client.dialect.name})"
        return [f"{heads}: {', '.join(goes) or 'nothing'}", *(f"stays: {s}" for s in self._stays)]

    async def delete(self, say: Callable[[str], None]) -> None:
        """Delete what `look` found; each kind when all before it are gone.

        Parameters
        ----------
        say : callable
            Told of each kind that is begun.

        Raises
        ------
        VtnError
            The VTN refuses, or does not answer; what is left is found by the next look.
        """
        for kind in dict.fromkeys(going.kind for going in self.going):
            some = [going for going in self.going if going.kind == kind]
            say(f"deleting {len(some)} {kind}{'s' if len(some) > 1 else ''}")
            await for_each(some, self._delete, self._in_flight)

    async def _delete(self, going: Going) -> None:
        await self._patiently(partial(self._client.delete, going.call, going.client_name))

    async def _look_at_ven(self, name: str, client_name: str, behind: list[Going]) -> None:
        client, says = self._client, self._client.dialect
        reports = await self._patiently(partial(client.reports, client_name))
        ours = [r for r in reports if r.name.startswith(self._ours)]
        self.going += [Going("report", r.name, says.delete_report(r.id), client_name) for r in ours]
        ven = await self._patiently(partial(client.find_ven, name, client_name))
        if ven is None:
            return
        held = await self._patiently(partial(client.resources_of, ven))
        own = [r for r in held if self._owns("resource", r, held[r], name)]
        is_own = self._owns("ven", name, ven.id)
        if not (own or is_own):
            self._stays.append(f"VEN {name}: it was there before")
        elif others := len(reports) - len(ours):
            self._stays.append(f"VEN {name}: {others} reports there are of other runs")
        else:
            behind += self._with_resources(ven, {r: held[r] for r in own}, is_own, len(held))

    def _with_resources(
        self, ven: Ven, own: Mapping[str, str], is_own: bool, count: int
    ) -> Iterable[Going]:
        """Yield a VEN's resources that are the run's, and the VEN where nothing else is behind."""
        says = self._client.dialect
        for name, resource_id in own.items():
            call = says.delete_resource(ven.id, resource_id)
            yield Going("resource", name, call, ven.client_name)
        if not is_own:
            self._stays.append(f"VEN {ven.name}: it was there before")
        elif count > len(own):
            self._stays.append(f"VEN {ven.name}: {count - len(own)} resources are not of the run")
        else:
            yield Going("VEN", ven.name, says.delete_ven(ven.id), ven.client_name)

    async def _look_at_event(self, name: str) -> None:
        client = self._client
        for event in await self._patiently(client.addresses):
            if event.name == name and self._owns("event", name, event.event_id):
                reports = await self._patiently(partial(client.reports, event_id=event.event_id))
                others = [r for r in reports if not r.name.startswith(self._ours)]
                if others:
                    said = f"event {name}: {len(others)} reports on it are of other runs"
                    self._stays.append(said)
                else:
                    call = client.dialect.delete_event(event.event_id)
                    self.going.append(Going("event", event.event_id, call))

    async def _look_at_program(self, name: str) -> None:
        client = self._client
        gone = {going.name for going in self.going if going.kind == "event"}
        events: list[Address] = await self._patiently(client.addresses)
        for program in await self._patiently(client.programs):
            if program.name == name and self._owns("program", name, program.id):
                others = [
                    e for e in events if e.program_id == program.id and e.event_id not in gone
                ]
                subscribed = partial(client.is_subscribed, program.id)
                why = f"{len(others)} events in it stay" if others else ""
                try:
                    if not why and await self._patiently(subscribed):
                        why = "somebody subscribed"
                except AccessDenied as error:
                    why = f"who subscribed is not said: {error.problem}"
                if why:
                    self._stays.append(f"program {name}: {why}")
                else:
                    call = client.dialect.delete_program(program.id)
                    self.going.append(Going("program", name, call))

    def _owns(self, kind: str, name: str, its_id: str, behind: str = "") -> bool:
        return self._diary.owns(Making(kind, name, behind, its_id))
