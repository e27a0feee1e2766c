"""A VTN that takes less than the schedule gives: said once, and not where it only catches up."""

from __future__ import annotations

import pytest

from venlab.ratewatch import RateWatch


class Wall:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_slow_vtn_is_told_with_its_rate(caplog: pytest.LogCaptureFixture) -> None:
    """150 readings each 15 s are asked, 60 are taken: 10 and 4 a second, so a speed of 0.4 fits."""
    wall = Wall()
    watch = RateWatch(150, 15.0, wall)
    for cycle in range(1, 8):
        wall.now_s += 15.0
        watch.look(settled=60 * cycle, waiting=90 * cycle, speed=1.0)
    assert "asks for 10 readings a second, and the VTN gets 4:" in watch.notice
    assert "Lower speed to 0.4" in watch.notice
    assert caplog.text.count("asks for") == 1


def test_a_limit_of_requests_counts_what_each_carries() -> None:
    """150 readings each 15 s are 10 a second: two requests with 75 each are few enough for a limit
    of 0.2 a second, and not for one of 0.1: 7.5 readings."""
    watch = RateWatch(150, 15.0)
    watch.expect(0.2, 1.0, in_a_report=75)
    assert watch.notice == ""
    watch.expect(0.1, 1.0, in_a_report=75)
    assert "asks for 10 readings a second, and the VTN gets 7.5:" in watch.notice


def test_a_vtn_that_takes_nothing_is_away_and_not_slow() -> None:
    """Of it other words are said: no speed would help."""
    wall = Wall()
    watch = RateWatch(150, 15.0, wall)
    for cycle in range(8):
        wall.now_s += 15.0
        watch.look(settled=60, waiting=150 * cycle, speed=1.0)
    assert watch.notice == ""


def test_a_backlog_that_shrinks_is_no_slow_vtn() -> None:
    """After an outage much waits, and ever less of it."""
    wall = Wall()
    watch = RateWatch(150, 15.0, wall)
    for waiting in (3000, 2000, 1000, 400, 0):
        wall.now_s += 15.0
        watch.look(settled=10_000 - waiting, waiting=waiting, speed=1.0)
    assert watch.notice == ""


def test_the_notice_goes_when_nothing_waits() -> None:
    """What a limit foretold is over when the run has caught up."""
    watch = RateWatch(150, 15.0)
    watch.expect(rate_per_s=4.0, speed=1.0)
    assert watch.notice
    watch.look(settled=150, waiting=0, speed=1.0)
    assert watch.notice == ""


def test_without_waiting_no_rate_is_asked_for() -> None:
    """At speed inf the schedule follows the VTN."""
    watch = RateWatch(150, 15.0)
    watch.expect(rate_per_s=4.0, speed=float("inf"))
    assert watch.notice == ""
