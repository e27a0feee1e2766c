"""Tasks and loops: limits, one ordinary error, a loop that wakes up, a door for scripts."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

__all__ = ["awake", "for_each", "in_any_case", "run_blocking"]

T = TypeVar("T")

WAKE_S = 0.2


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


@asynccontextmanager
async def awake() -> AsyncIterator[None]:
    """Wake the loop every 0.2 s: a kernel's stop button waits for whatever wakes it next."""

    async def beat() -> None:
        while True:  # noqa: ASYNC110 - waking up is the purpose, there is no event to wait for
            await asyncio.sleep(WAKE_S)

    heart = asyncio.create_task(beat(), context=contextvars.Context())
    try:
        yield
    finally:
        heart.cancel()


async def in_any_case(work: Coroutine[Any, Any, T]) -> T:
    """Await short work to its end, however often the caller is interrupted meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
        forgive_interrupt()
    return task.result()


def forgive_interrupt() -> None:
    """Take back the cancellation of the running task: what it asked for is being done."""
    if task := asyncio.current_task():
        while task.cancelling():
            task.uncancel()


def run_blocking(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run to the end what is awaited elsewhere: from a script, a cell, a thread.

    Parameters
    ----------
    work : callable
        Makes the coroutine.

    Returns
    -------
    T
        What it returns; Ctrl-C or the stop button cancels it, and it may still return.

    Notes
    -----
    Without a running loop this is `asyncio.run`. With one, as in a notebook's cell, a thread with
    a loop of its own does the work; no loop is patched.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    return _run_in_thread(work)


def _run_in_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    done: Future[T] = Future()
    cancel: list[Callable[[], object]] = []
    started = threading.Event()

    async def main() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task
        cancel.append(lambda: loop.call_soon_threadsafe(task.cancel))
        started.set()
        return await work()

    def thread_main() -> None:
        try:
            with asyncio.Runner() as runner:  # not `asyncio.run`, which a patched kernel replaces
                done.set_result(runner.run(main()))
        except BaseException as error:
            done.set_exception(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(thread_main,), name="venlab-run-sync")
    thread.start()
    while True:
        try:
            return done.result()
        except KeyboardInterrupt:
            started.wait()
            cancel[0]()
