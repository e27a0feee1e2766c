"""What tests of the lab, of going on, of probing and of cleaning share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.elsewhere import elsewhere
from venlab.embedded import EmbeddedVtn


@pytest.fixture
async def vtn(tmp_path: Path) -> AsyncIterator[EmbeddedVtn]:
    """A VTN that is there before the lab, as somebody else's would be."""
    async with elsewhere(tmp_path / "vtn") as there:
        yield there
