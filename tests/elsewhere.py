"""A VTN that is there before the lab, as somebody else's would be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from venlab.embedded import EmbeddedVtn


@asynccontextmanager
async def elsewhere(folder: Path) -> AsyncIterator[EmbeddedVtn]:
    """A VTN that is not the lab's own."""
    vtn = EmbeddedVtn(folder)
    await vtn.start()
    try:
        yield vtn
    finally:
        await vtn.stop()


def credentials(folder: Path, vtn: EmbeddedVtn, *towns: str) -> str:
    """A table of each VEN's credential; our VTN takes any client with the fleet's secret."""
    secret = vtn.credential.reveal()
    rows = [f"{town},client-{n},{secret}" for n, town in enumerate(towns)]
    path = folder / "credentials.csv"
    path.write_text("\n".join(["town_id,client_id,client_secret", *rows]), encoding="utf-8")
    return str(path)
