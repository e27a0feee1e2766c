"""The soak, for two minutes: what an hour of it shows, begun."""

from __future__ import annotations

from pathlib import Path

from tests.soak import soak


async def test_two_minutes_among_faults_leave_nothing_behind(tmp_path: Path) -> None:
    """At speed 20 among faults each reading is heard once, and nothing grows or stays open."""
    said: list[str] = []
    assert await soak(2.0, tmp_path, seed=7, say=said.append) == [], "\n".join(said)
