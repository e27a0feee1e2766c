"""toadr3: reads programs, events and reports, sends reports, keeps subscriptions; 3.0.1."""

from __future__ import annotations

import asyncio
from typing import Any

from script import doing, holds, one, refused, same, told


def plain(found: Any) -> Any:
    """Return toadr3's own object as the JSON it stands for."""
    return found.model_dump(mode="json", exclude_none=True)


async def play() -> None:
    import toadr3
    from toadr3.models import Program, Report, Subscription, TargetType

    t = told()
    lab, write = t.lab, t.write

    def client(who: dict[str, str], scope: str) -> toadr3.ToadrClient:
        asked = toadr3.OAuthScopeConfig(
            t.token_url, "client_credentials", scope, who["id"], who["secret"]
        )
        return toadr3.ToadrClient(t.url, asked)

    business = client(t.operator, "read_all write_programs")
    ven = client(t.ven, "read_all write_reports write_subscriptions")
    async with business, ven:
        with doing("get a token"):
            token = await ven.token
            assert token is not None
            assert token.token
            assert 60 < token.expires_in <= 3600
        with doing("read programs"):
            found = [plain(each) for each in await ven.get_programs()]
            holds(one(found, lab["program"]["id"])["programName"], lab["program"]["programName"])
        with doing("read one program"):
            program = await ven.get_program(lab["program"]["id"])
            holds(plain(program)["programName"], lab["program"]["programName"])
            assert await ven.get_program("nothing-such") is None
        with doing("change a program") as note:
            changed = Program.model_validate(write["program"] | {"programName": "by toadr3"})
            await business.put_program(lab["spare"]["id"], changed)
            note |= {
                "kind": "program",
                "wrote": lab["spare"]["id"],
                "body": {"programName": "by toadr3"},
            }
        with doing("delete a program"):
            assert await business.delete_program(lab["waste"]["id"])
            assert await business.get_program(lab["waste"]["id"]) is None
        with doing("read events of a program"):
            events = [plain(e) for e in await ven.get_events(program_id=lab["program"]["id"])]
            same(events, lab["events"])
            peak = one(events, lab["events"][0]["id"])
            holds(
                peak["intervals"],
                [{"payloads": each["payloads"]} for each in lab["events"][0]["intervals"]],
            )
        with doing("read events by target"):
            events = await ven.get_events(target_type=TargetType.GROUP, target_values=["north"])
            same([plain(each) for each in events], lab["events"][:1])
        with doing("page through events"):
            pages: list[Any] = []
            for skip in range(0, len(lab["events"]) + 2, 2):
                pages += await ven.get_events(lab["program"]["id"], skip=skip, limit=2)
            same([plain(each) for each in pages], lab["events"])
        with doing("send a report") as note:
            sent = await ven.post_report(Report.model_validate(write["plain report"]))
            note |= {"kind": "report", "wrote": sent.id, "body": write["plain report"]}
        with doing("send a report with descriptors") as note:
            sent = await ven.post_report(Report.model_validate(write["report"]))
            note |= {"kind": "report", "wrote": sent.id}
        with doing("repeat a report's name"), refused(409):
            await ven.post_report(Report.model_validate(write["report"]))
        with doing("read reports"):
            found = [
                plain(each)
                for each in await business.get_reports(event_id=lab["report"]["eventID"])
            ]
            theirs = one(found, lab["report"]["id"])
            values = [each["intervals"][0]["payloads"] for each in lab["report"]["resources"]]
            holds([each["intervals"][0]["payloads"] for each in theirs["resources"]], values)
        with doing("write a subscription") as note:
            kept = await ven.post_subscription(Subscription.model_validate(write["subscription"]))
            note |= {"kind": "subscription", "wrote": kept.id}
            await ven.put_subscription(kept.id, Subscription.model_validate(write["subscription"]))
        with doing("read subscriptions"):
            listed = await ven.get_subscriptions(client_name=write["subscription"]["clientName"])
            assert [each.id for each in listed] == [kept.id]
            assert (await ven.get_subscription(kept.id)).id == kept.id
        with doing("delete a subscription"):
            gone = await ven.post_subscription(
                Subscription.model_validate(write["subscription"] | {"clientName": "gone"})
            )
            assert await ven.delete_subscription(gone.id)
            assert await ven.get_subscription(gone.id) is None


if __name__ == "__main__":
    asyncio.run(play())
