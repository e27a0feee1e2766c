"""Runs against an event that says how it wants its reports: each reading once, as it asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import venlab as vl
from tests.elsewhere import credentials, elsewhere
from tests.standard.recording import forwarding, recorded, served
from tests.test_resume import broken_off
from venlab.client import Client
from venlab.config import DIALECTS
from venlab.errors import ConfigError
from venlab.lab import Lab
from venlab.model import Event, ReportDescriptor, Ven
from venlab.transport import Answer

STANDARD = [name for name in DIALECTS if name != "flat"]
# One town, four steps of 15 min, eight cycles of 7.5 min with 90 readings each.
CYCLES, READINGS = 8, 90


def quick(folder: Path, **values: object) -> vl.LabConfig:
    chosen = {"vens": 1, "simulated_hours": 1.0, "dialect": "3.1.0", "report_event": "asked"}
    return vl.params(**{**chosen, "out_dir": str(folder), **values})


async def seeded(lab: Lab, *asked: ReportDescriptor) -> None:
    """Let an operator have made an event that asks for reports, before anybody registers."""
    program = await lab.client.create_program("metering")
    await lab.client.create_event(Event("", "asked", program.id, report_descriptors=asked))


async def played(config: vl.LabConfig, *asked: ReportDescriptor) -> vl.Results:
    async with Lab(config) as lab:
        await seeded(lab, *asked)
        await lab.register()
        await lab.run()
        return await lab.read_back()


def whole(results: vl.Results, measured: int, *, not_asked: int = 0) -> None:
    """Check that all that is asked for was measured, taken and heard, and the rest is told."""
    check = results.check()
    assert check, str(check)
    assert check.heard == check.acknowledged == check.measured == measured
    assert (check.rejected, check.waiting, check.not_asked) == (0, 0, not_asked)
    assert check.heard_kwh == check.measured_kwh > 0
    assert results.by_ven["heard"].sum() == measured


def sent(results: vl.Results) -> list[list[int]]:
    """Return the intervals of each report's first resource, in order, by their ids."""
    found = []
    for (body,) in results.rows("SELECT body FROM bodies ORDER BY id"):
        resources: list[Any] = json.loads(body)["resources"]
        found.append([interval["id"] for interval in resources[0]["intervals"]])
    return found


@pytest.mark.parametrize("name", STANDARD)
async def test_a_report_every_third_interval(tmp_path: Path, name: str) -> None:
    """Three intervals a report for ever: 0–2, 3–5, and what there is at the end; all heard."""
    asked = ReportDescriptor("USAGE", num_intervals=3, repeat=-1)
    results = await played(quick(tmp_path / "run", dialect=name), asked)
    assert sent(results) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    whole(results, CYCLES * READINGS)
    assert len(results.rows("SELECT 1 FROM requests WHERE purpose = 'report'")) == 3


async def test_a_report_by_hand(tmp_path: Path) -> None:
    """Its intervals have their cycle's number, their own start and length, and their energy."""
    asked = ReportDescriptor("USAGE", start_interval=3, num_intervals=2)
    results = await played(quick(tmp_path / "run"), asked)
    (body,) = [json.loads(b) for (b,) in results.rows("SELECT body FROM bodies")]
    assert body["reportName"] == f"{results.about['run_id']}/aabenraa/20231130T152230Z"
    first = body["resources"][0]
    readings = results.readings
    load = readings[
        (readings["resource"] + "." + readings["load"] == first["resourceName"])
    ].set_index("start")
    assert first["intervals"] == [
        {
            "id": n,
            "intervalPeriod": {"start": f"2023-11-30T15:{time}Z", "duration": "PT7M30S"},
            "payloads": [
                {
                    "type": "USAGE",
                    "values": [float(load["energy_kwh"].iloc[n])],
                }
            ],
        }
        for n, time in ((2, "15:00"), (3, "22:30"))
    ]
    assert len(body["resources"]) == READINGS
    whole(results, 2 * READINGS, not_asked=6 * READINGS)
    said = str(results.check())
    assert "the event asks for no report of 540 readings beside them" in said
    summary = results.save()
    assert (summary["measured"], summary["not_asked"], summary["success_rate"]) == (180, 540, 1.0)
    assert len(results.readings) == CYCLES * READINGS, "measured they were all the same"
    assert results.backlog.iloc[-1] == 0


async def test_gaps(tmp_path: Path) -> None:
    """Two intervals of each four, from the third on: the others wait for nobody."""
    asked = ReportDescriptor("DEMAND", start_interval=3, num_intervals=2, frequency=4, repeat=-1)
    results = await played(quick(tmp_path / "run"), asked)
    assert sent(results) == [[2, 3], [6, 7]]
    whole(results, 4 * READINGS, not_asked=4 * READINGS)


@pytest.mark.parametrize("name", STANDARD)
async def test_rolling_sums(tmp_path: Path, name: str) -> None:
    """User Guide 8.8, shortened: each interval anew with the two before it, summed up; a VTN that
    is not the lab's own, and the documents allow every word."""
    asked = ReportDescriptor(
        "USAGE",
        aggregate=True,
        start_interval=0,
        num_intervals=3,
        historical=False,
        frequency=1,
        repeat=-1,
    )
    async with elsewhere(tmp_path / "vtn") as vtn:
        with recorded() as seen, served(seen.app(forwarding(vtn.url))) as url:
            there = {
                "vtn_url": f"{url}/openadr3/{name}",
                "token": vtn.credential,
                "ven_credentials": credentials(tmp_path, vtn, "aabenraa"),
                "token_url": f"{url}/openadr3/{name}/auth/token",
            }
            results = await played(quick(tmp_path / "run", dialect=name, **there), asked)
        assert seen.exchanges[f"{name} POST 201"] > 6
    assert sent(results) == [[n, n + 1, n + 2] for n in range(6)]
    last = json.loads(results.rows("SELECT body FROM bodies ORDER BY id DESC")[0][0])
    (only,) = last["resources"]
    assert only["resourceName"] == "AGGREGATED_REPORT"
    of_fleet = results.power_kw.sum(axis=1).to_numpy() * 0.125  # kW over 7.5 min
    told = [interval["payloads"][0]["values"][0] for interval in only["intervals"]]
    assert np.allclose(told, of_fleet[5:8], rtol=1e-12)
    whole(results, CYCLES * READINGS)


async def test_sums_of_each_interval(tmp_path: Path) -> None:
    """Nothing but `aggregate` is asked for: one value a VEN and interval, for all its readings."""
    results = await played(
        quick(tmp_path / "run", vens=2), ReportDescriptor("DEMAND", aggregate=True)
    )
    assert sent(results) == [[n] for n in range(CYCLES) for _ in range(2)]
    assert {
        len(json.loads(b)["resources"]) for (b,) in results.rows("SELECT body FROM bodies")
    } == {1}
    whole(results, results.summary()["cycles"] * 258)


@pytest.mark.parametrize("limits", [{"batch_resources": 40}, {"batch_bytes": 4_000}])
async def test_reports_that_are_too_long_go_in_parts(
    tmp_path: Path, limits: dict[str, int]
) -> None:
    """By resources and by bytes, also within a resource's intervals."""
    asked = ReportDescriptor("USAGE", num_intervals=4, repeat=-1)
    results = await played(quick(tmp_path / "run", **limits), asked)
    whole(results, CYCLES * READINGS)
    most = limits.get("batch_resources", 10_000)
    bodies = [body for (body,) in results.rows("SELECT body FROM bodies")]
    assert len(bodies) > 4
    assert max(len(json.loads(body)["resources"]) for body in bodies) <= most
    assert max(map(len, bodies)) <= limits.get("batch_bytes", 1_000_000)


async def test_the_last_interval_is_shorter(tmp_path: Path) -> None:
    """Intervals of 30 min over 75 min: 30, 30 and 15 in one report; its energy is right."""
    config = quick(tmp_path / "run", simulated_hours=1.25, report_every_s=60.0)
    results = await played(config, ReportDescriptor("USAGE", num_intervals=9))
    assert sent(results) == [[0, 1, 2]]
    body = json.loads(results.rows("SELECT body FROM bodies")[0][0])
    lengths = [i["intervalPeriod"]["duration"] for i in body["resources"][0]["intervals"]]
    assert lengths == ["PT30M", "PT30M", "PT15M"]
    whole(results, 3 * READINGS)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (ReportDescriptor("SETPOINT"), "payloadType 'SETPOINT'"),
        (ReportDescriptor("USAGE", num_intervals=0), "numIntervals 0"),
    ],
)
async def test_what_cannot_be_honoured_is_said_at_registration(
    tmp_path: Path, asked: ReportDescriptor, said: str
) -> None:
    """Before anything runs, with the value and what to do."""
    async with Lab(quick(tmp_path / "run")) as lab:
        await seeded(lab, asked)
        with pytest.raises(ConfigError, match=said):
            await lab.register()


async def test_the_first_that_can_be_honoured(tmp_path: Path) -> None:
    """Of several descriptors the lab takes the first of power or energy."""
    asked = ReportDescriptor("SETPOINT"), ReportDescriptor("USAGE", num_intervals=8)
    results = await played(quick(tmp_path / "run"), *asked)
    assert sent(results) == [list(range(CYCLES))]
    whole(results, CYCLES * READINGS)


ROLLING = ReportDescriptor(
    "DEMAND", start_interval=2, num_intervals=4, frequency=3, repeat=-1, historical=False
)
SUMS = ReportDescriptor("USAGE", aggregate=True, num_intervals=4, repeat=-1)


async def broken_off_with(config: vl.LabConfig, asked: ReportDescriptor, at_step: int = 2) -> Lab:
    """Play for an event that was there before, until a step."""
    lab = Lab(config)
    register = lab.register

    async def with_event() -> None:
        await seeded(lab, asked)
        await register()

    lab.register = with_event  # type: ignore[method-assign, assignment] # it registers after that
    return await broken_off(lab, at_step)


@pytest.mark.parametrize("asked", [ROLLING, SUMS])
async def test_broken_off_within_a_report(tmp_path: Path, asked: ReportDescriptor) -> None:
    """What waits for its report is counted as waiting; gone on with, the same reports are sent."""
    untouched = await played(quick(tmp_path / "untouched"), asked)
    lab = await broken_off_with(quick(tmp_path / "run"), asked, at_step=3)
    results = lab.results
    cycles = results.summary()["cycles"]
    assert 4 < cycles < CYCLES
    check = results.check()
    assert [words for words in check.missing if "not compared" not in words] == []
    assert check.waiting + check.acknowledged == check.measured
    assert check.waiting % READINGS == 0 < check.waiting
    async with Lab.resume(lab.folder) as again:
        await again.register()
        await again.run()
        results = await again.read_back()
    assert sent(results) == sent(untouched)
    assert values(results) == values(untouched)
    before = untouched.check()
    whole(results, before.measured, not_asked=before.not_asked)


def values(results: vl.Results) -> list[Any]:
    """Return what reports say of their resources."""
    return [json.loads(b)["resources"] for (b,) in results.rows("SELECT body FROM bodies")]


async def test_the_event_says_something_else_meanwhile(tmp_path: Path) -> None:
    """A run that goes on reports as it began."""
    lab = await broken_off_with(quick(tmp_path / "run"), SUMS)
    async with Lab.resume(lab.folder) as again:
        (event,) = [e for e in await again.client.events() if e.name == "asked"]
        other = Event(event.id, "asked", event.program_id, report_descriptors=(ROLLING,))
        await again.client.change_event(other)
        await again.register()
        await again.run()
        results = await again.read_back()
    assert sent(results) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert {v[0]["resourceName"] for v in values(results)} == {"AGGREGATED_REPORT"}
    whole(results, CYCLES * READINGS)


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], bool]], None]:
    """Let the VTN refuse the reports that a test says are wrong."""

    def refuse(wrong: Callable[[Any], bool]) -> None:
        post = Client.post_report

        async def judged(self: Client, ven: Ven, body: bytes) -> Answer:
            if wrong(json.loads(body)):
                return Answer(400, {}, b'{"title": "no", "status": 400}')
            return await post(self, ven, body)

        monkeypatch.setattr(Client, "post_report", judged)

    return refuse


async def test_one_wrong_reading_of_a_report(
    tmp_path: Path, refusing: Callable[[Callable[[Any], bool]], None]
) -> None:
    """It is rejected alone; all others of its report are taken, each with its own energy."""
    name: list[str] = []

    def wrong(report: Any) -> bool:
        name[:] = name or [report["resources"][41]["resourceName"]]
        return any(
            r["resourceName"] == name[0] and 5 in [i["id"] for i in r["intervals"]]
            for r in report["resources"]
        )

    refusing(wrong)
    asked = ReportDescriptor("USAGE", num_intervals=4, repeat=-1)
    results = await played(quick(tmp_path / "run"), asked)
    check = results.check()
    assert check, str(check)
    assert (check.rejected, check.acknowledged) == (1, CYCLES * READINGS - 1)
    assert check.heard == check.acknowledged
    assert results.rejected["readings"].to_list() == [1]


async def test_one_wrong_sum(
    tmp_path: Path, refusing: Callable[[Callable[[Any], bool]], None]
) -> None:
    """With the sum of an interval all its readings are rejected, and no other."""
    refusing(lambda report: 5 in [i["id"] for i in report["resources"][0]["intervals"]])
    results = await played(quick(tmp_path / "run"), SUMS)
    check = results.check()
    assert check, str(check)
    assert (check.rejected, check.acknowledged) == (READINGS, 7 * READINGS)
    assert check.heard == check.acknowledged


async def test_a_wrong_value_that_was_told_before(
    tmp_path: Path, refusing: Callable[[Callable[[Any], bool]], None]
) -> None:
    """A rolling report is refused for a value of old: it goes without, and nothing new is lost."""
    name: list[str] = []

    def wrong(report: Any) -> bool:
        name[:] = name or [report["resources"][7]["resourceName"]]
        held = [
            interval["id"]
            for resource in report["resources"]
            for interval in resource["intervals"]
            if resource["resourceName"] == name[0]
        ]
        return 5 in held and 2 not in held

    refusing(wrong)
    results = await played(quick(tmp_path / "run"), ROLLING)
    check = results.check()
    assert check, str(check)
    assert results.rejected.empty
    assert check.heard == check.acknowledged == check.measured == 6 * READINGS


async def test_a_vtn_that_holds_another_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is heard is compared value by value: one kWh more is found and its report named."""
    post = Client.post_report

    async def wrong(self: Client, ven: Ven, body: bytes) -> Answer:
        report = json.loads(body)
        report["resources"][0]["intervals"][0]["payloads"][0]["values"][0] += 1
        return await post(self, ven, json.dumps(report).encode())

    monkeypatch.setattr(Client, "post_report", wrong)
    results = await played(quick(tmp_path / "run"), SUMS)
    check = results.check()
    assert not check
    assert any("another power heard than sent: 2" in words for words in check.missing)


async def test_stopped_within_a_report(tmp_path: Path) -> None:
    """The check holds: what has no report yet waits, and is no reading that was lost."""
    asked = ReportDescriptor("USAGE", num_intervals=7, repeat=-1)
    async with Lab(quick(tmp_path / "run", speed=60.0)) as lab:
        await seeded(lab, asked)
        await lab.register()
        lab.start()
        while lab.status.cycle < 2:  # noqa: ASYNC110 - the status is a picture, not an event
            await asyncio.sleep(0.02)
        assert lab.status.waiting == int(lab.status.measured.sum())  # type: ignore[union-attr]
        lab.stop()
        await lab.wait()
        check = (await lab.read_back()).check()
    assert check, str(check)
    assert check.measured == check.waiting > 0 == check.heard


async def test_the_event_goes_before_its_report_is_full(tmp_path: Path) -> None:
    """The report is about the one that the lab makes in its place, and as it was asked for."""
    asked = ReportDescriptor("USAGE", aggregate=True, num_intervals=6, repeat=-1)
    async with Lab(quick(tmp_path / "run", speed=60.0)) as lab:
        await seeded(lab, asked)
        await lab.register()
        lab.start()
        while lab.status.cycle < 2:  # noqa: ASYNC110 - the status is a picture, not an event
            await asyncio.sleep(0.02)
        (event,) = [e for e in await lab.client.events() if e.name == "asked"]
        await lab.client.cancel_event(event)
        await lab.wait()
        results = await lab.read_back()
    assert sent(results) == [list(range(6)), [6, 7]]
    whole(results, CYCLES * READINGS)
    bodies = [json.loads(body) for (body,) in results.rows("SELECT body FROM bodies")]
    assert bodies[0]["eventID"] == event.id != bodies[1]["eventID"]


async def test_reports_that_a_run_is_too_short_for_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """From interval 8 on, of a run that has 0 to 7: no report, and nobody need wonder why."""
    asked = ReportDescriptor("DEMAND", start_interval=8, num_intervals=1)
    results = await played(quick(tmp_path / "run"), asked)
    assert sent(results) == []
    assert "asks for reports from interval 8 on, and the run has 8: none is sent" in caplog.text
    assert results.check().not_asked == CYCLES * READINGS


@pytest.mark.parametrize(
    ("asked", "limit", "is_said"),
    [
        # 90 readings every 0.125 s of wall are one report of 90: 8 requests a second
        (ReportDescriptor("DEMAND", num_intervals=4, frequency=1, repeat=-1), 4.0, True),
        (ReportDescriptor("DEMAND", num_intervals=1, frequency=4, repeat=-1), 4.0, False),
        (ReportDescriptor("DEMAND", num_intervals=4, repeat=-1), 4.0, False),
    ],
)
async def test_a_limit_is_held_against_the_reports_that_are_asked_for(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    asked: ReportDescriptor,
    limit: float,
    is_said: bool,
) -> None:
    """At 8 cycles a second a rolling window of four is 8 requests; one in four cycles is two."""
    config = quick(tmp_path / "run", speed=120.0, rate_per_s=limit)
    results = await played(config, asked)
    assert results.check()
    assert ("the schedule asks for" in caplog.text) == is_said
