"""openadr3-client: business logic and VEN of 3.0.1 and 3.1.0, typed both ways."""

from __future__ import annotations

import os
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from script import doing, holds, one, refused, same, told

BL_VEN = {"objectType": "BL_VEN_REQUEST"}


def plain(found: Any) -> Any:
    """Return its own object, or a list of them, as the JSON it stands for."""
    if isinstance(found, list | tuple):
        return [plain(each) for each in found]
    return found.model_dump(mode="json", by_alias=True, exclude_none=True)


class Played:
    """What is told, both clients, and the models of the version that is played."""

    def __init__(self) -> None:
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # loopback
        self.t: SimpleNamespace = told()
        self.lab, self.write = self.t.lab, self.t.write
        self.new = self.t.version == "3.1.0"
        self.package = f"openadr3_client.oadr{self.t.version.replace('.', '')}"

    def connect(self) -> None:
        from openadr3_client.bl.http_factory import BusinessLogicHttpClientFactory
        from openadr3_client.ven.http_factory import VirtualEndNodeHttpClientFactory
        from openadr3_client.version import OADRVersion

        how: Any = {"version": OADRVersion(self.package.split(".")[1]), "allow_insecure_http": True}
        how["token_url"] = None if self.new else self.t.token_url  # 3.1.0: it asks the VTN
        bl, ven = self.t.operator, self.t.ven
        self.bl: Any = BusinessLogicHttpClientFactory.create_http_bl_client(
            self.t.url, bl["id"], bl["secret"], **how
        )
        self.ven: Any = VirtualEndNodeHttpClientFactory.create_http_ven_client(
            self.t.url, ven["id"], ven["secret"], **how
        )

    def model(self, module: str, name: str, content: Any) -> Any:
        found = getattr(import_module(f"{self.package}.models.{module}"), name)
        return found.model_validate(content)

    def filter(self, name: str, **content: Any) -> Any:
        found = getattr(import_module(f"{self.package}._vtn.interfaces.filters"), name)
        return found(**content)

    def update(self, existing: Any, module: str, name: str, body: Any) -> Any:
        """Return what its update takes: the whole changed object in 3.0.1, a request in 3.1.0."""
        changed = self.model(module, name, body)
        return changed if self.new else existing.update(changed)


def play() -> None:
    p = Played()
    with doing("find the token server" if p.new else "get a token"):
        p.connect()
        if not p.new:
            p.ven.programs.get_programs(None, None)
    if p.new:
        with doing("get a token"):
            p.ven.programs.get_programs(None, None)
    programs(p)
    events(p)
    ven_id = vens(p)
    if p.new:
        grants(p, ven_id)
    resources(p, ven_id)
    reports(p)
    subscriptions(p)
    if p.new:
        with doing("read notifiers"):
            p.ven.notifiers.get_notifiers()
        # There is no broker, and the VTN says so.
        with doing("ask for MQTT topics"), refused(404, 501):
            p.ven.notifiers.get_program_topics()


def programs(p: Played) -> None:
    wanted = p.lab["program"]
    with doing("read programs"):
        found = plain(p.ven.programs.get_programs(None, None))
        holds(one(found, wanted["id"])["programName"], wanted["programName"])
    with doing("read one program"):
        holds(p.ven.programs.get_program_by_id(wanted["id"]).program_name, wanted["programName"])
    with doing("write a program") as note:
        new = p.model("program.program", "NewProgram", p.write["program"])
        note |= {"kind": "program", "wrote": p.bl.programs.create_program(new).id}
    with doing("change a program"):
        spare = p.bl.programs.get_program_by_id(p.lab["spare"]["id"])
        body = {"programName": f"by {p.package}"}
        changed = p.update(spare, "program.program", "ProgramUpdate", body)
        p.bl.programs.update_program_by_id(spare.id, changed)
        again = p.bl.programs.get_program_by_id(spare.id)
        holds(again.program_name, body["programName"])
    with doing("delete a program"):
        p.bl.programs.delete_program_by_id(p.lab["waste"]["id"])


def events(p: Played) -> None:
    wanted, program = p.lab["events"], p.lab["program"]["id"]
    with doing("read events of a program"):
        found = plain(p.bl.events.get_events(None, None, program))
        same(found, wanted)
        payloads = [{"payloads": each["payloads"]} for each in wanted[0]["intervals"]]
        holds(one(found, wanted[0]["id"])["intervals"], payloads)
    with doing("read events by target"):
        north = (
            {"targets": ["north"]}
            if p.new
            else {"target_type": "GROUP", "target_values": ["north"]}
        )
        found = p.bl.events.get_events(p.filter("TargetFilter", **north), None, None)
        same(plain(found), wanted[:1])
    with doing("page through events"):
        pages: list[Any] = []
        for skip in range(0, len(wanted) + 2, 2):
            page = p.filter("PaginationFilter", skip=skip, limit=2)
            pages += p.bl.events.get_events(None, page, program)
        same(plain(pages), wanted)
    with doing("write an event") as note:
        made = p.bl.events.create_event(p.model("event.event", "NewEvent", p.write["event"]))
        note |= {"kind": "event", "wrote": made.id}
    with doing("change an event"):
        body = p.write["event"] | {"priority": 0}
        changed = p.update(made, "event.event", "EventUpdate", body)
        p.bl.events.update_event_by_id(made.id, changed)
        assert p.bl.events.get_event_by_id(made.id).priority == 0
        changed = p.update(made, "event.event", "EventUpdate", p.write["event"])
        p.bl.events.update_event_by_id(made.id, changed)
    with doing("delete an event"):
        more = p.bl.events.create_event(p.model("event.event", "NewEvent", p.write["event"]))
        p.bl.events.delete_event_by_id(more.id)


def vens(p: Played) -> str:
    name, ven_id = p.write["ven"]["venName"], "none"
    with doing("register a VEN") as note:
        new = p.model("ven.ven", "NewVenVenRequest" if p.new else "NewVen", p.write["ven"])
        ven_id = p.ven.vens.create_ven(new).id
        note |= {"kind": "ven", "wrote": ven_id}
    with doing("read VENs"):
        assert [each.id for each in p.ven.vens.get_vens(name, None, None)] == [ven_id]
        holds(p.ven.vens.get_ven_by_id(ven_id).ven_name, name)
    return ven_id


def grants(p: Played, ven_id: str) -> None:
    with doing("see what its targets grant"):
        peak = p.lab["events"][0]["id"]
        assert peak not in {each.id for each in p.ven.events.get_events(None, None, None)}
        body = {"clientID": p.t.ven["id"], "targets": ["north"]}
        granted = p.model("ven.ven", "VenUpdateBlRequest", p.write["ven"] | BL_VEN | body)
        p.bl.vens.update_ven_by_id(ven_id, granted)
        assert peak in {each.id for each in p.ven.events.get_events(None, None, None)}


def resources(p: Played, ven_id: str) -> None:
    body = p.write["resource"] | {"venID": ven_id}
    with doing("write a resource") as note:
        if p.new:
            new = p.model("resource.resource", "NewResourceVenRequest", body)
            made = p.ven.resources.create_resource(new)
        else:
            new = p.model("ven.resource", "NewResource", body)
            made = p.ven.vens.create_ven_resource(ven_id, new)
        note |= {"kind": "resource", "wrote": made.id, "body": body}
    with doing("read resources"):
        if p.new:
            found = p.ven.resources.get_resources(ven_id, body["resourceName"])
        else:
            found = p.ven.vens.get_ven_resources(ven_id, body["resourceName"], None, None)
        assert [each.id for each in found] == [made.id]


def reports(p: Played) -> None:
    def send(what: str) -> Any:
        return p.ven.reports.create_report(p.model("report.report", "NewReport", p.write[what]))

    with doing("send a report") as note:
        made = send("plain report")
        note |= {"kind": "report", "wrote": made.id, "body": p.write["plain report"]}
    with doing("send a report with descriptors") as note:
        note |= {"kind": "report", "wrote": send("report").id}
    with doing("repeat a report's name"), refused(409):
        send("plain report")
    with doing("read reports"):
        wanted = p.lab["report"]
        found = plain(p.bl.reports.get_reports(None, None, wanted["eventID"], None))
        payloads = [each["intervals"][0]["payloads"] for each in wanted["resources"]]
        theirs = one(found, wanted["id"])["resources"]
        holds([each["intervals"][0]["payloads"] for each in theirs], payloads)


def subscriptions(p: Played) -> None:
    def new(**changes: Any) -> Any:
        body = p.write["subscription"] | changes
        return p.model("subscriptions.subscription", "NewSubscription", body)

    side = p.ven if hasattr(p.ven.subscriptions, "create_subscription") else p.bl
    with doing("write a subscription") as note:
        made = side.subscriptions.create_subscription(new())
        note |= {"kind": "subscription", "wrote": made.id}
    with doing("read subscriptions"):
        assert side.subscriptions.get_subscription_by_id(made.id).id == made.id
    with doing("delete a subscription"):
        more = side.subscriptions.create_subscription(new(clientName="gone"))
        side.subscriptions.delete_subscription_by_id(more.id)


if __name__ == "__main__":
    play()
