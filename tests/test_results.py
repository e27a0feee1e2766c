"""What a run folder tells, of a run at whatever state, and of a folder that holds none."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.test_lab import played, quick
from tests.test_outbox import report, row
from venlab.audit import Check
from venlab.errors import StoreError
from venlab.fleet import Fleet
from venlab.lab import Lab
from venlab.outbox import Outbox
from venlab.results import RUN_FILE, SUMMARY_KEYS, Results
from venlab.runfile import Attempt, Outage, ReadingRow, Settled
from venlab.wire.flat import FlatWriter

REPORT = report("a")._replace(watt_s=900)


@pytest.mark.parametrize("content", [b"", b"a shopping list " * 300])
def test_a_file_that_is_no_run(tmp_path: Path, content: bytes) -> None:
    """One error that names the file, whatever is asked of it."""
    (tmp_path / RUN_FILE).write_bytes(content)
    results = Results(tmp_path)
    for ask in (results.check, results.summary, lambda: results.loops, lambda: results.power_kw):
        with pytest.raises(StoreError, match=RUN_FILE):
            ask()


async def test_a_run_that_was_killed(tmp_path: Path) -> None:
    """It noted no facts as a whole: the summary says what is known, the check what is not."""
    Fleet.reference(7).only(1).to_csv(tmp_path / "fleet.csv")
    watts = np.array([2, -1], "<i4").tobytes()
    box = Outbox(tmp_path / RUN_FILE)
    await box.append(ReadingRow(0, "2023-11-30T15:00:00+00:00", 450, 1, 900, watts), [REPORT])
    box.close()
    results = Results(tmp_path)
    summary = results.summary()
    assert set(summary) == set(SUMMARY_KEYS)
    assert (summary["measured"], summary["waiting"], summary["wall_s"]) == (1, 1, None)
    assert results.check().missing == (
        "simulator → run file: not compared, since the run has not ended",
    )


def test_results_are_only_read(tmp_path: Path) -> None:
    """Whatever is asked, the run's file is not written to."""
    Outbox(tmp_path / RUN_FILE).close()
    with pytest.raises(StoreError, match="readonly"):
        Results(tmp_path).rows("DELETE FROM readings")


async def test_reports_a_second_are_those_acknowledged(tmp_path: Path) -> None:
    """A VTN that answers 503 a thousand times has taken no report."""
    Fleet.reference(7).only(1).to_csv(tmp_path / "fleet.csv")
    box = Outbox(tmp_path / RUN_FILE)
    await box.append(row(0), [report("a"), report("b"), report("c")])
    a, b, c = await box.take(3)
    states = [(a, "acknowledged", 201), (b, "waiting", 503), (c, "rejected", 422)]
    box.settle([Settled(item.id, state, status) for item, state, status in states])
    box.note_about(wall_s=0.5)
    await box.flush()
    box.close()
    assert Results(tmp_path).summary()["reports_per_s"] == 2.0


async def test_two_values_that_changed_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts and the sum of energy agree, yet the check is red and names both reports."""
    write = FlatWriter.write

    def swapping(self, stamp, duration_s, watts):  # type: ignore[no-untyped-def]
        first = watts[0]
        assert first != watts[3]
        return write(self, stamp, duration_s, [watts[3], *watts[1:3], first, *watts[4:]])

    monkeypatch.setattr(FlatWriter, "write", swapping)
    results = await played(quick(tmp_path, simulated_hours=0.25))
    check = results.check()
    assert not check
    assert (check.measured_kwh, check.acknowledged_kwh) == (check.heard_kwh, check.heard_kwh)
    (line,) = check.missing
    assert "another power heard than sent: 4, " in line
    assert "/load_0/" in line
    assert "/load_3/" in line


async def test_a_check_without_reading_back_does_not_say_too_much(tmp_path: Path) -> None:
    """What the VTN holds is not known then, and is not called complete in words."""
    async with Lab(quick(tmp_path, simulated_hours=0.25)) as lab:
        await lab.register()
        results = await lab.run()
        assert str(results.check()).endswith("what the VTN holds is not known")
        await lab.read_back()
        assert str(results.check()).endswith("nothing is missing")


def test_a_reader_beside_the_writer(tmp_path: Path) -> None:
    """While another connection writes, results are read without waiting."""
    box = Outbox(tmp_path / RUN_FILE)
    with closing(sqlite3.connect(tmp_path / RUN_FILE, isolation_level=None)) as c:
        c.execute("BEGIN IMMEDIATE")
        c.execute("INSERT INTO about VALUES ('run_id', '\"r\"')")
        assert Results(tmp_path).about == {}
        c.execute("COMMIT")
    assert Results(tmp_path).about == {"run_id": "r"}
    box.close()


async def test_what_it_took(tmp_path: Path) -> None:
    """Two reports at the first attempt, one at the third, one refused: worked by hand."""
    Fleet.reference(7).only(1).to_csv(tmp_path / "fleet.csv")
    box = Outbox(tmp_path / RUN_FILE)
    await box.append(row(0, measured=4), [report(name) for name in "abcd"])
    a, b, c, d = await box.take(4)
    box.settle([Settled(a.id, "acknowledged", 201, attempts=1)])
    box.settle([Settled(b.id, "acknowledged", 201, attempts=1)])
    box.settle([Settled(c.id, "acknowledged", 409, attempts=3, unanswered=2)])
    box.settle([Settled(d.id, "rejected", 422, attempts=1)])
    for status, latency_ms in ((201, 4.0), (201, 6.0), (None, 50.0), (503, 2.0), (422, 3.0)):
        box.note_attempt(Attempt(1e9, "report", "Aabenraa", status, latency_ms, 400))
    box.note_outage(Outage(1e9, 1e9 + 4, 1e9 + 7, "no answer"))
    await box.keep_heard([(name, 1, 1) for name in "abc"], anew=True)
    await box.flush()
    box.close()
    results = Results(tmp_path)
    (of_ven,) = results.by_ven.to_dict("records")
    assert {name: of_ven[name] for name in ("attempts", "retried", "rejected", "heard")} == {
        "attempts": 6,
        "retried": 2,
        "rejected": 1,
        "heard": 3,
    }
    summary = results.summary()
    assert (summary["attempts"], summary["retried"], summary["outages"]) == (6, 2, 1)
    assert (summary["outage_s"], summary["catch_up_s"]) == (4.0, 3.0)
    assert results.outages["catch_up_s"].tolist() == [3.0]
    assert results.latency["requests"].to_dict() == {
        "no answer": 1,
        "refused": 1,
        "taken": 2,
        "to be tried again": 1,
    }
    assert results.latency.loc["taken", "p50_ms"] == 5.0
    backlog = results.backlog
    assert (backlog.iloc[0], backlog.iloc[-1], backlog.max()) == (4, 0, 4)


async def test_reports_as_they_were_sent_and_what_they_cost(tmp_path: Path) -> None:
    """Two cycles of three requests with 600 bytes each: 3 and 1.8 kB a cycle; one body by name."""
    Fleet.reference(7).only(1).to_csv(tmp_path / "fleet.csv")
    watts = np.array([2, -1], "<i4").tobytes()
    box = Outbox(tmp_path / RUN_FILE)
    for cycle, name in enumerate("ab"):
        kept = ReadingRow(cycle, f"2023-11-30T15:0{cycle}:00+00:00", 450, 1, 900, watts)
        body = b'{"report_name":"%s","values":[0.002]}' % name.encode()
        await box.append(kept, [REPORT._replace(name=name, body=body)])
    for purpose in ["report"] * 6 + ["poll events"]:
        box.note_attempt(Attempt(0.0, purpose, "", 201, 1.0, 600, ""))
    box.close()
    results = Results(tmp_path)
    assert results.sent() == {"report_name": "a", "values": [0.002]}
    assert results.sent("b")["report_name"] == "b"
    with pytest.raises(StoreError, match="no report c"):
        results.sent("c")
    assert results.traffic.to_list() == [3.0, 1.8]


def test_a_run_that_sent_nothing_cost_nothing(tmp_path: Path) -> None:
    """No cycles are no error, and no report is one that says so."""
    Outbox(tmp_path / RUN_FILE).close()
    assert Results(tmp_path).traffic.to_list() == [0.0, 0.0]
    with pytest.raises(StoreError, match="no report"):
        Results(tmp_path).sent()


def test_a_check_says_what_the_vtn_does_not_have() -> None:
    """8 measured, 5 acknowledged and heard: nothing is missing, but 1 rejected and 2 waiting are
    not at the VTN."""
    said = str(Check(8, 9.0, 5, 6.0, 1, 2, 5, 6.0, ()))
    assert said.endswith("nothing is missing, but the VTN does not have 3 of them")


def test_requests_are_written_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five requests, two at a time: one head, five rows; no answer is no number."""
    Fleet.reference(7).only(1).to_csv(tmp_path / "fleet.csv")
    box = Outbox(tmp_path / RUN_FILE)
    for n in range(5):
        box.note_attempt(Attempt(float(n), "report", "", None if n > 2 else 201, 1.0, 600, ""))
    box.close()
    monkeypatch.setattr("venlab.results.AT_ONCE", 2)
    Results(tmp_path).save()
    head, *rows = (tmp_path / "requests.csv").read_text("utf-8").splitlines()
    assert head == "at,purpose,ven,status,latency_ms,bytes,problem"
    assert [row.split(",")[3] for row in rows] == ["201", "201", "201", "", ""]
