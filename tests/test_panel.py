"""What the dashboard's picture says, worked out by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import venlab as vl
from venlab import panel
from venlab.clock import Clock
from venlab.durations import FOR_EVER
from venlab.model import Event, Interval, Period, Signal
from venlab.player import Status

START = datetime(2023, 11, 30, 15, tzinfo=UTC)  # 16:00 in Copenhagen


def lab_at(speed: float = 60.0, **settings: Any) -> vl.Lab:
    """A lab of two towns over three simulated hours, as if it ran; nothing is opened."""
    lab = vl.Lab(vl.params(**{"vens": 2, "simulated_hours": 3.0, "speed": speed, **settings}))
    lab._player = type("Player", (), {"clock": Clock(speed)})()  # type: ignore[assignment]
    return lab


def power(*steps_kw: float) -> tuple[tuple[datetime, Any], ...]:
    """Steps of a quarter, all of it heating."""
    return tuple(
        (START + timedelta(minutes=15 * n), np.array([kw, 0, 0, 0, 0, 0.0]))
        for n, kw in enumerate(steps_kw)
    )


def counts(*each: int) -> Any:
    return np.array(each, np.int64)


RUNNING = Status(
    "running",
    schedule_s=90.0,
    end_s=360.0,
    cycle=6,
    cycles=24,
    measured=counts(540, 1008),
    acknowledged=counts(540, 1000),
    rejected=counts(0, 3),
    power_kw=power(100.0, 50.0),
)


class Reader(HTMLParser):
    """The words of a page, one text a line; fails where a tag is closed that is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)


def words(text: str) -> str:
    return "\n".join(Reader(text).words)


def test_the_numbers() -> None:
    """1,540 of 1,548 are 99.4 %: cut; 5 wait; a quarter of the run is left behind."""
    text = words(panel.head(lab_at(), RUNNING))
    for number in (
        "Running",
        "2 VENs, 43 resources",
        "VTN up",
        "Cycle\n6\nof 24",
        "Simulated time\n16:45\nThu 30 Nov",
        "Left\n0:00:04\nat 60 ×",  # 270 schedule seconds at 60: 4.5 s, rounded to even
        "Measured\n1,548\nof 6,192",  # (15 + 28) resources × 6 loads × 24 cycles
        "Acknowledged\n1,540\nsuccess rate 99.4 %",
        "Waiting\n5",
        "Rejected\n3",
    ):
        assert number in text, number


def test_a_hundred_per_cent_means_that_none_is_missing() -> None:
    """9,999 of 10,000 is 99.9 %, not 100.0 %."""
    assert panel._rate(9_999, 10_000) == "99.9 %"
    assert panel._rate(10_000, 10_000) == "100.0 %"
    assert panel._rate(0, 0) == "–"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("new", "Not registered yet"),
        ("registering", "Registering\n0 of 45 resources"),
        ("registered", "Ready"),
    ],
)
def test_before_the_run(state: str, said: str) -> None:
    """It says how far the lab is, and invents no numbers."""
    lab = lab_at()
    page = words(panel.page(lab, Status(state)))
    said = said.replace("45", str(lab.fleet.n_resources))
    for line in said.split("\n"):
        assert line in page
    assert "nothing is simulated yet" in page
    assert "VTN" not in page
    assert "%" not in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "paused"}, "Paused"),
        ({"state": "done", "cycle": 24}, "Done\n"),
        ({"state": "stopped"}, "5 readings wait in "),
        ({"state": "failed", "problem": "division by zero"}, "division by zero"),
        ({"cycle": 24}, "Sending what is left"),
        ({"vtn_up": False}, "VTN away"),
    ],
)
def test_what_is_the_matter(changes: dict[str, Any], said: str) -> None:
    """Pause, end, failure and a VTN that is away are said in words."""
    assert said in words(panel.page(lab_at(), replace(RUNNING, **changes)))


def test_the_bars_add_up() -> None:
    """Of 6,192 readings 1,540 are acknowledged, 5 wait, 3 are rejected: 24.87 + 0.08 + 0.05 %."""
    head = panel.head(lab_at(), RUNNING)
    assert re.findall(r"vl-(\w+)\" style=\"width:([\d.]+)%", head) == [
        ("good", "24.87"),
        ("warn", "0.08075"),
        ("bad", "0.04845"),
    ]


def test_the_figure_by_hand() -> None:
    """100 kW, then 50 kW, each a twelfth of the 3 h shown: half the height, then the other half."""
    figure = panel.figure(lab_at(), RUNNING)
    assert 'd="M0 100V0H83.333V50H166.67V100Z"' in figure
    text = words(figure)
    assert "Fleet power [kW] by end use, Copenhagen time" in text
    assert "0\n20\n40\n60\n80\n100\n16:00\n16:30\n17:00\n17:30\n18:00\n18:30\n19:00" in text
    assert "last step [kW]\n50" in text


def test_megawatts_and_many_steps() -> None:
    """From 2 MW on it is MW; 2,000 steps are averaged to at most 240 a layer, and none is lost."""
    kw = np.where(np.arange(2000) < 1000, 3000.0, 1000.0)
    figure = panel.figure(lab_at(simulated_hours=500.0), replace(RUNNING, power_kw=power(*kw)))
    (path,) = re.findall(r'fill="#D55E00" d="M0 100(.*)V100Z"', figure)
    steps = [(100 - float(v), float(h)) for v, h in re.findall(r"V([\d.]+)H([\d.]+)", path)]
    assert len(steps) == -(-2000 // 9)
    widths = np.diff([0.0, *(right for _, right in steps)])
    assert widths.sum() == pytest.approx(1000)
    assert (widths * [height for height, _ in steps]).sum() / 1000 == pytest.approx(
        100 * 2 / 3, 1e-3
    )
    assert "last step [MW]\n1.00" in words(figure)


@pytest.mark.parametrize(
    ("steps", "hours"), [(1, 3), (12, 3), (13, 6), (24, 6), (25, 12), (900, 240)]
)
def test_the_time_axis_doubles_as_it_fills(steps: int, hours: int) -> None:
    """So the first steps of a long run can be seen; the axis ends with the run."""
    status = replace(RUNNING, power_kw=power(*[1.0] * steps))
    begin, span = panel._window(lab_at(simulated_hours=240.0), status)
    assert (begin, span) == (START, timedelta(hours=hours))


def test_the_day_the_clock_goes_back() -> None:
    """29 October 2023 has 25 h: a tick stands where its local time is, and 02:00 is one of two."""
    begin = datetime(2023, 10, 28, 22, tzinfo=UTC)  # 00:00 in Copenhagen
    ticks = list(panel._time_ticks(begin, begin + timedelta(hours=25)))
    found = [re.findall(r"left:([\d.]+)%\">(.+?)<", tick)[0] for tick in ticks]
    assert [time for _, time in found] == ["00:00", "06:00", "12:00", "18:00", "00:00"]
    assert [float(at) * 25 / 100 for at, _ in found] == pytest.approx([0, 7, 13, 19, 25], abs=0.01)


def test_names_of_others_are_text() -> None:
    """What a VTN or a person named cannot become markup."""
    signal = Signal("SIMPLE", (2.0,))
    peak = Event.between(START, START + timedelta(hours=2), signal, name="<b>peak</b>")
    peak = replace(peak, id="1", version=3)
    gone = Event.between(START, START + timedelta(days=1), name="gone")
    gone = replace(gone, id="2", cancelled=True)
    status = replace(RUNNING, events=(peak, gone), problem="<script>")
    page = panel.page(lab_at(), status, "")
    assert "<b>" not in page
    assert "<script>" not in page
    text = words(page)
    assert "Thu 30 Nov 16:00–18:00\n<b>peak</b>\nSIMPLE 2\nversion 3" in text
    assert text.index("gone\n") < text.index("<b>peak</b>")
    assert "Thu 30 Nov 16:00–Fri 01 Dec 16:00" in text


def test_events_without_an_end_or_a_value() -> None:
    """For ever has no last hour; who starts when it is received has no first; words are words."""
    alert = Event.between(START, START, Signal("ALERT_FIRE", ("<run>",)), name="smoke")
    endless = replace(alert, period=Period(START, FOR_EVER))
    quiet = replace(alert, intervals=(Interval(0, (Signal("CURVE", ()),)),), period=Period())
    status = replace(RUNNING, events=(replace(quiet, intervals=()), quiet, endless))
    text = words(panel.events(status)).split("\n")
    assert text[1:5] == ["Thu 30 Nov 16:00–", "smoke", "ALERT_FIRE <run>", "version 0"]
    assert text[5:8] == ["when received", "smoke", "CURVE"]
    assert text[9:12] == ["when received", "smoke", "version 0"]


def test_a_cell_for_each_ven() -> None:
    """Aabenraa has all its 540, Aars 1,000 of 1,008: 99.2 %."""
    text = words(panel.vens(lab_at(), RUNNING))
    assert text == "Aabenraa\n540\n100.0 %\nAars\n1,000\n99.2 %"
