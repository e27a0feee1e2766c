"""Reports of the standard's dialects on the hot route: what it takes, and how it keeps it."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.standard.samples import request
from tests.vtn.standards import VERSIONS, Asker, Vtn
from tests.vtn.test_models import ANYTHING, WRONG_DURATIONS, WRONG_TIMES, places
from venlab.vtn.kinds import REPORTS
from venlab.vtn.kinds import VERSIONS as SERVED
from venlab.vtn.lenient import read_body
from venlab.vtn.problems import Unfit
from venlab.vtn.quick import Quick
from venlab.vtn.standard import Standard

SHAPES = {version.name: version.shape(REPORTS) for version in SERVED}


@pytest.fixture
async def only_quick(
    standard: Vtn, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Vtn, Asker]]:
    """A VTN with an event, whose ordinary route of reports is closed."""
    _, aars = await standard.filled()

    async def closed(*_: Any) -> Any:
        raise AssertionError("the ordinary route was asked")

    with monkeypatch.context() as patched:
        patched.setattr(Standard, "_draft", closed)
        yield standard, aars


async def test_a_good_report_takes_the_short_cut(only_quick: tuple[Vtn, Asker]) -> None:
    """With all that a report may say; nulls too where the document has them."""
    vtn, aars = only_quick
    path, sent = vtn.sample("report", reportName="r/2")
    sent["resources"][0]["intervals"][0]["intervalPeriod"] = {
        "start": "2024-02-29T23:59:59.123456789-11:30",
        "duration": "P1Y2M3DT4H5M6.7S",
        "randomizeStart": "PT0S",
    }
    assert (await aars("POST", path, sent))[0] == 201
    nulls = {"reportName": None, "payloadDescriptors": None}
    assert (await aars("POST", path, sent | nulls))[0] == 201


async def test_the_bytes_are_kept_as_they_came(only_quick: tuple[Vtn, Asker]) -> None:
    """Spaces, order and digits as sent, then what the VTN sets, in POST and in GET."""
    vtn, aars = only_quick
    content = vtn.sample("report", reportName="r/\u00f8")[1]
    sent = json.dumps(content, indent=3).replace("1.5", "1.50000000000000000000001e0").encode()
    headers = {"Authorization": f"Bearer {aars.token}", "Content-Type": "application/json"}
    url = f"{vtn.base}/reports"
    posted = await vtn.http.post(url, content=b"\n " + sent + b"\n", headers=headers)
    assert posted.status_code == 201
    assert posted.content.startswith(sent[:-1] + b',"id":"report-')
    page = await vtn.http.get(f"{url}?limit=1&skip=1", headers=headers)
    assert page.content == b"[" + posted.content + b"]"
    one = await vtn.http.get(f"{url}/{posted.json()['id']}", headers=headers)
    assert one.content == posted.content


async def test_reports_of_both_dialects_share_a_commit(standard: Vtn) -> None:
    """What arrives together, flat's too, is decided in one commit, each under its own numbers."""
    _, aars = await standard.filled()
    seen: list[str] = []
    standard.store._db.set_trace_callback(seen.append)
    path, sent = standard.sample("report")
    answers = await asyncio.gather(
        *(aars("POST", path, sent | {"reportName": f"r/{n % 12}"}) for n in range(24))
    )
    assert seen.count("COMMIT") == 1
    assert [status for status, _ in answers] == [201, 409, *10 * [201], *12 * [409]]
    numbers = [content["id"] for status, content in answers if status == 201]
    assert len(set(numbers)) == 11


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "member", ["unknown", "id", "clientID", "createdDateTime", "objectType", "modificationDateTime"]
)
async def test_what_would_come_twice_goes_the_ordinary_way(version: str, member: str) -> None:
    """What is not known is not kept unread, and what the VTN sets is never shown twice."""
    body = json.dumps(request(version, "report") | {member: "REPORT"}).encode()
    assert Quick(version).report(body) is None
    assert member not in read_body(body, SHAPES[version])[1] or member == "objectType"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("inside", ["resource", "interval"])
def test_times_and_durations_are_looked_at(version: str, inside: str) -> None:
    """What is no time, or no duration by the documents' pattern, is refused by both routes."""
    good = {"start": "2023-01-09T16:00:00Z"}
    wrong = [{"start": time} for time in WRONG_TIMES if time != "2023-01-01"]
    # The documents' pattern takes a sign, and a T that nothing follows.
    durations = [d for d in WRONG_DURATIONS if d not in ("-PT1H", "P1DT")]
    wrong += [good | {name: d} for name in ("duration", "randomizeStart") for d in durations]
    for period in [*wrong, good | {"start": None}, good | {"duration": None}, good | {"x": 1}]:
        sent = request(version, "report")
        holder = sent["resources"][1]
        (holder if inside == "resource" else holder["intervals"][0])["intervalPeriod"] = period
        body = json.dumps(sent).encode()
        assert Quick(version).report(body) is None, period
        if period in wrong:
            with pytest.raises(Unfit):
                read_body(body, SHAPES[version])
    startless = request(version, "report")
    startless["resources"][0]["intervalPeriod"] = {"duration": "P1DT"}
    found = Quick(version).report(json.dumps(startless).encode())
    assert (found is None) == (version == "3.0.1")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("inside", ["resource", "interval"])
def test_each_different_period_is_looked_at(version: str, inside: str) -> None:
    """What starts with a good one is not good for that."""
    good = {"start": "2023-01-09T16:00:00Z", "duration": "PT1H", "randomizeStart": "PT1H"}
    for wrong in ("duration", "randomizeStart"):
        for bad in (0, 1):
            sent = request(version, "report")
            for n, resource in enumerate(sent["resources"]):
                holder = resource if inside == "resource" else resource["intervals"][0]
                holder["intervalPeriod"] = good | ({wrong: "1H"} if n == bad else {})
            assert Quick(version).report(json.dumps(sent).encode()) is None


def same(quick: Any, ordinary: Any) -> bool:
    """Whether both routes read the same; a null that may as well be left out is nothing."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {n: plain(v) for n, v in value.items() if v is not None}
        return [plain(each) for each in value] if isinstance(value, list) else value

    return bool(plain(msgspec.to_builtins(quick)) == plain(msgspec.to_builtins(ordinary)))


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_the_short_cut_takes_nothing_that_the_ordinary_route_refuses(data: st.DataObject) -> None:
    """Any member replaced by anything or left out: what is taken is read the same by both."""
    version = data.draw(st.sampled_from(VERSIONS))
    content = copy.deepcopy(request(version, "report"))
    for _ in range(data.draw(st.integers(1, 2))):
        *path, last = data.draw(st.sampled_from(places(content)))
        holder: Any = content
        for key in path:
            holder = holder[key]
        if data.draw(st.booleans()):
            holder[last] = data.draw(ANYTHING)
        elif isinstance(holder, dict):
            holder.pop(last, None)
    body = json.dumps(content).encode()
    found = Quick(version).report(body)
    if found is not None:
        assert same(found, read_body(body, SHAPES[version])[0])


@given(
    st.sampled_from(VERSIONS),
    st.integers(0, 900),
    st.integers(0, 3),
    st.one_of(
        st.binary(max_size=3),
        st.sampled_from([b"\\ud800", b"\xed\xa0\x80", b"NaN", b"1e999", b"\xef\xbb\xbf", b"null"]),
        st.sampled_from([b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"-0", b" ", b"\n"]),
    ),
)
@settings(max_examples=400, deadline=None)
def test_bytes_changed_anywhere(version: str, at: int, cut: int, put: bytes) -> None:
    """What the short cut still takes, the ordinary route takes too, as the same report."""
    good = json.dumps(request(version, "report")).encode()
    body = good[:at] + put + good[at + cut :]
    found = Quick(version).report(body)
    if found is not None:
        assert same(found, read_body(body, SHAPES[version])[0])
