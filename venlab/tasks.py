"""Work at the same time, with a limit and one ordinary error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

__all__ = ["for_each"]

T = TypeVar("T")


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[object]], limit: int) -> None:
    """Await `work` for each item, in order, at most `limit` at the same time.

    The first failure ends the others and is raised as it is, never in an ExceptionGroup: one of
    those that leaves a notebook's cell can hang the kernel.
    """
    rest = iter(items)

    async def worker() -> None:
        for item in rest:
            await work(item)

    workers = [asyncio.create_task(worker()) for _ in range(limit)]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
