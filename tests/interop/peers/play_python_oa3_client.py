"""python-oa3-client over openadr3: business logic and VEN of 3.1.0, by typed and raw calls."""

from __future__ import annotations

from typing import Any

from script import doing, holds, one, same, told


def raw(answer: Any) -> Any:
    """Return the JSON of its raw calls, where the answer was good."""
    if answer.status_code >= 300:
        raise ValueError(f"{answer.status_code}: {answer.text[:300]}")
    return answer.json()


def play() -> None:
    from openadr3_client import BlClient, VenClient

    t = told()
    lab, write = t.lab, t.write
    business = BlClient(url=t.url, client_id=t.operator["id"], client_secret=t.operator["secret"])
    ven = VenClient(url=t.url, client_id=t.ven["id"], client_secret=t.ven["secret"])
    with doing("get a token"):
        business.start()
        ven.start()
        assert ven.token
    with doing("find the token server"):
        assert raw(ven.get_auth_server())["tokenURL"].startswith("http")
    with doing("read programs"):
        holds(one([plain_id(each) for each in ven.programs()], lab["program"]["id"]), {})
        found = ven.find_program_by_name(lab["program"]["programName"])
        assert found.id == lab["program"]["id"]
    with doing("read one program"):
        assert ven.program(lab["program"]["id"]).id == lab["program"]["id"]
        assert ven.get_program_by_id("nothing-such").status_code == 404
    with doing("write a program") as note:
        program = raw(business.create_program(write["program"]))
        note |= {"kind": "program", "wrote": program["id"]}
    with doing("change a program"):
        raw(
            business.update_program(
                lab["spare"]["id"], write["program"] | {"programName": "by oa3"}
            )
        )
    with doing("delete a program"):
        raw(business.delete_program(lab["waste"]["id"]))
        assert business.get_program_by_id(lab["waste"]["id"]).status_code == 404
    with doing("read events of a program"):
        events = business.events(programID=lab["program"]["id"])
        same([plain_id(each) for each in events], lab["events"])
    with doing("read events by target"):
        same([plain_id(each) for each in business.events(targets=["north"])], lab["events"][:1])
    with doing("page through events"):
        pages: list[Any] = []
        for skip in range(0, len(lab["events"]) + 2, 2):
            pages += business.events(programID=lab["program"]["id"], skip=skip, limit=2)
        same([plain_id(each) for each in pages], lab["events"])
    with doing("write an event") as note:
        event = raw(business.create_event(write["event"]))
        note |= {"kind": "event", "wrote": event["id"]}
    with doing("change an event"):
        raw(business.update_event(event["id"], write["event"] | {"priority": 0}))
        assert business.event(event["id"]).priority == 0
        raw(business.update_event(event["id"], write["event"]))
    with doing("delete an event"):
        more = raw(business.create_event(write["event"]))
        raw(business.delete_event(more["id"]))
        assert business.get_event_by_id(more["id"]).status_code == 404
    with doing("register a VEN") as note:
        ven.register(write["ven"]["venName"])
        note |= {"kind": "ven", "wrote": ven.ven_id, "body": {"venName": write["ven"]["venName"]}}
        first = ven.ven_id
        ven.register(write["ven"]["venName"])
        assert ven.ven_id == first
    with doing("read VENs"):
        assert [each.id for each in ven.vens()] == [ven.ven_id]
        assert len(business.vens()) > 1
    with doing("see what its targets grant"):
        peak = lab["events"][0]["id"]
        assert peak not in {each.id for each in ven.events()}
        granted = {"objectType": "BL_VEN_REQUEST", "clientID": t.ven["id"], "targets": ["north"]}
        raw(business.update_ven(ven.ven_id, {"venName": write["ven"]["venName"]} | granted))
        assert peak in {each.id for each in ven.events()}
    with doing("write a resource") as note:
        resource = raw(ven.create_resource(write["resource"] | {"venID": ven.ven_id}))
        note |= {
            "kind": "resource",
            "wrote": resource["id"],
            "body": write["resource"] | {"venID": ven.ven_id},
        }
    with doing("read resources"):
        assert [each.id for each in ven.resources(venID=ven.ven_id)] == [resource["id"]]
    with doing("send a report") as note:
        report = raw(ven.create_report(write["plain report"]))
        note |= {"kind": "report", "wrote": report["id"], "body": write["plain report"]}
        first = report["id"]
    with doing("send a report with descriptors") as note:
        report = raw(ven.create_report(write["report"]))
        note |= {"kind": "report", "wrote": report["id"]}
    with doing("repeat a report's name"):
        assert ven.create_report(write["report"]).status_code == 409
    with doing("read reports"):
        assert {each.id for each in ven.reports()} == {first, report["id"]}
        theirs = business.report(lab["report"]["id"])
        found = [each.intervals[0].payloads[0].values for each in theirs.resources]
        wanted = [
            each["intervals"][0]["payloads"][0]["values"] for each in lab["report"]["resources"]
        ]
        holds([[float(value) for value in values] for values in found], wanted)
    with doing("write a subscription") as note:
        kept = raw(ven.create_subscription(write["subscription"]))
        note |= {"kind": "subscription", "wrote": kept["id"]}
    with doing("read subscriptions"):
        assert [each.id for each in ven.subscriptions()] == [kept["id"]]
    with doing("delete a subscription"):
        more = raw(ven.create_subscription(write["subscription"] | {"clientName": "gone"}))
        raw(ven.delete_subscription(more["id"]))
        assert ven.get_subscription_by_id(more["id"]).status_code == 404
    with doing("read notifiers"):
        assert isinstance(ven.discover_notifiers()["WEBHOOK"], bool)
        assert ven.vtn_supports_mqtt() is False
    with doing("ask for MQTT topics"):
        # There is no broker: a problem, and not an answer that it cannot take.
        assert ven.get_mqtt_topics_ven_events(ven.ven_id).status_code in {404, 501}
    ven.stop()
    business.stop()


def plain_id(found: Any) -> Any:
    return {"id": found.id}


if __name__ == "__main__":
    play()
