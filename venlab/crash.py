"""A run that ends as by a power button, in a process of its own: for lessons and tests."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

from venlab.config import LabConfig
from venlab.lab import Lab

__all__ = ["crashed"]

EXIT_CODE = 9


async def crashed(config: LabConfig, at_s: float) -> int:
    """Play a run in another process, which ends without a word in the middle of it.

    Parameters
    ----------
    config : LabConfig
        Of the run; its `out_dir` is where to look afterwards.
    at_s : float
        When it ends [schedule s]; `speed` must be finite.

    Returns
    -------
    int
        The process's exit code: 9, where it came so far.
    """
    settings = {name: value for name, value in config.public().items() if value != float("inf")}
    words = [sys.executable, "-m", "venlab.crash", json.dumps(settings), str(at_s)]
    ended = await asyncio.to_thread(subprocess.run, words, check=False)
    return ended.returncode


async def _crash(settings: dict[str, Any], at_s: float) -> None:
    async with Lab(LabConfig.load(**settings)) as lab:
        await lab.register()
        lab.start()
        await lab.clock.until(at_s)
        os._exit(EXIT_CODE)  # no `finally`, no `atexit`, no file closed


if __name__ == "__main__":
    asyncio.run(_crash(json.loads(sys.argv[1]), float(sys.argv[2])))
