"""oadr30-ven-ud: reads programs and events into a time series, makes a VEN, reports; 3.0.1."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from script import doing, holds, one, same, told

STATE = {"type": "OPERATING_STATE", "values": ["NORMAL"]}


def hand_token(ops: Any, token_url: str, who: dict[str, str], scope: str) -> None:
    """Give it a token of more scopes than the one that it always asks for."""
    import requests

    form = {"grant_type": "client_credentials", "scope": scope}
    form |= {"client_id": who["id"], "client_secret": who["secret"]}
    ops.token = requests.post(token_url, data=form, timeout=10).json() | {
        "received": datetime.now()
    }


def play() -> None:
    from oadr30.vtn import VTNOps

    t = told()
    lab = t.lab
    ven = VTNOps(t.url, t.ven["id"], t.ven["secret"], auth_url=t.token_url)
    business = VTNOps(t.url, t.operator["id"], t.operator["secret"], auth_url=t.token_url)
    with doing("get a token"):
        assert ven.__get_token__()["access_token"]
    with doing("read programs"):
        found = one(ven.get_programs() or [], lab["program"]["id"])
        holds(found, {"programName": lab["program"]["programName"]})
    with doing("read one program"):
        holds(ven.get_program(lab["program"]["id"]), {"id": lab["program"]["id"]})
        assert ven.get_program("nothing-such") is None
    with doing("read events of a program"):
        events = ven.get_events(lab["program"]["id"])
        same(events, lab["events"])
        values = [value.getValues() for value in one(events, lab["events"][0]["id"]).tsValues]
        wanted = [
            payload["values"]
            for each in lab["events"][0]["intervals"]
            for payload in each["payloads"]
        ]
        holds([list(each) for each in values], wanted)
        starts = [value.getStartTime() for value in events.getTimeSeries()]
        assert starts == sorted(starts)
    with doing("write with the token it asked for"):
        assert business.create_program("refused", programName="refused"), "it got no program"
    hand_token(business, t.token_url, t.operator, "read_all write_programs")
    hand_token(ven, t.token_url, t.ven, "read_all write_reports write_vens")
    with doing("write a program") as note:
        made = business.create_program("by-oadr30", programName=t.write["program"]["programName"])
        assert made, "it got no program"
        named = {"programName": t.write["program"]["programName"]}
        note |= {"kind": "program", "wrote": made["id"], "body": named}
    with doing("register a VEN") as note:
        own = [{"resourceName": "meter"}]
        made = ven.create_ven(t.write["ven"]["venName"], resources=own)
        assert made, "it got no VEN"
        note |= {"kind": "ven", "wrote": made["id"], "body": {"venName": t.write["ven"]["venName"]}}
    with doing("read VENs"):
        holds(ven.get_ven(made["id"]), {"venName": t.write["ven"]["venName"]})
    with doing("send a report") as note:
        event, program = lab["events"][0]["id"], lab["program"]["id"]
        assert made.getResources(), "the VEN came back without its resources"
        # It returns None whether the report was taken or not: who reads it back will know.
        assert ven.send_report(event, program, made, {"payloadType": "READING"}) is None
        fixed = {"resourceName": "meter", "intervals": [{"id": 0, "payloads": [STATE]}]}
        body = {"programID": program, "eventID": event, "resources": [fixed]}
        note |= {"kind": "report", "body": body}


if __name__ == "__main__":
    play()
