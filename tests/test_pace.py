"""The rate limit, by the times at which requests arrive at a real server."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from pathlib import Path

import pytest

from tests.scripted import Reply, Request, scripted
from tests.test_lab import quick
from venlab.clock import Clock
from venlab.fasttransport import FastTransport
from venlab.lab import Lab
from venlab.pace import Paced
from venlab.transport import HttpxTransport

RATE_PER_S = 60.0
HURRY = 3.0
LASTS_S = 15.0


@pytest.mark.parametrize("transport", [HttpxTransport, FastTransport])
async def test_never_a_burst_and_never_too_few(
    transport: type[HttpxTransport] | type[FastTransport],
) -> None:
    """While a backlog lasts: in any 10 s at most 1.05 times the limit, on average at least 0.95
    times it."""
    wall = Clock(HURRY)
    arrived: list[float] = []

    def reply(_: Request) -> Reply:
        arrived.append(wall.schedule_s())
        return 201, b"{}"

    async with scripted(reply) as vtn:
        paced = Paced(transport(vtn.url, in_flight=8), RATE_PER_S, wall)
        left = list(range(int(RATE_PER_S * LASTS_S)))

        async def sender() -> None:
            while left:
                left.pop()
                await paced.send("POST", "/reports", b"{}", {})

        await asyncio.gather(*(sender() for _ in range(8)))
        await paced.close()
    in_10_s = [bisect_left(arrived, at + 10) - n for n, at in enumerate(arrived)]
    assert max(in_10_s) <= 1.05 * 10 * RATE_PER_S
    assert len(arrived) / (arrived[-1] - arrived[0]) >= 0.95 * RATE_PER_S


async def test_a_schedule_that_asks_for_more_says_so_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """360 readings a second under a limit of 100: status and log say it before the first is sent,
    with a speed that would do, and all arrive all the same."""
    config = quick(tmp_path, speed=60.0, rate_per_s=100.0, drain_s=30.0)
    async with Lab(config, wall=Clock(5.0)) as lab:
        await lab.register()
        lab.start()
        async with asyncio.timeout(5):
            while not lab.status.problem:  # noqa: ASYNC110 - it is for whoever watches
                await asyncio.sleep(0.01)
        assert lab.status.cycle == 0
        said = lab.status.problem
        assert "the schedule asks for 360 readings a second, and the VTN gets 100" in said
        assert "Lower speed to 17" in said
        results = await lab.wait()
        await lab.read_back()
    assert [record.message for record in caplog.records].count(said) == 1
    assert results.check().heard == 360


async def test_a_limit_of_requests_is_enough_where_each_carries_a_town(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same in 3.1.0: 4 requests a second under the limit of 100, and nothing is said."""
    config = quick(tmp_path, dialect="3.1.0", speed=60.0, rate_per_s=100.0, drain_s=30.0)
    async with Lab(config) as lab:
        await lab.register()
        lab.start()
        await lab.wait()
        assert (await lab.read_back()).check().heard == 360
    assert "the schedule asks for" not in caplog.text
