"""Tasks and loops: limits, one ordinary error, a loop that wakes up, a door for scripts."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar

__all__ = ["awake", "for_each", "forgive_interrupt", "in_any_case", "run_blocking"]

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
async def awake(remedy: Callable[[], str] = lambda: "") -> AsyncIterator[None]:
    """Wake the loop every 0.2 s: a kernel's stop button waits for whatever wakes it next.

    Parameters
    ----------
    remedy : callable, optional
        What an interrupt says: what is half done, and how to go on. It stays a CancelledError and
        no other, since asyncio's timeouts go by that, but a notebook shows this one line of it.
    """

    async def beat() -> None:
        while True:  # noqa: ASYNC110 - waking up is the purpose, there is no event to wait for
            await asyncio.sleep(WAKE_S)

    heart = asyncio.create_task(beat(), context=contextvars.Context())
    try:
        with _pressed_often():
            yield
    except asyncio.CancelledError as error:
        if said := remedy():
            line = f"interrupted; {said}"
            error.args = (line,)
            vars(error)["_render_traceback_"] = lambda: [line]  # IPython asks for it
        raise
    finally:
        heart.cancel()


async def in_any_case(work: Awaitable[T]) -> T:
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

    Raises
    ------
    KeyboardInterrupt
        It was cancelled by that and had nothing to return.

    Notes
    -----
    Without a running loop one is run here. With one, as in a notebook's cell, a thread with a loop
    of its own does the work. No loop is patched, and none that others patched is used.
    """
    job = _Job(work)
    with _on_interrupt(job.cancel):
        try:
            return job.play() if asyncio._get_running_loop() is None else _in_thread(job)
        except asyncio.CancelledError as error:
            if not job.cancelled:
                raise
            interrupt = KeyboardInterrupt(*error.args)
            vars(interrupt).update(vars(error))  # what a notebook shows of it
            raise interrupt from None


class _Job(Generic[T]):
    """Work in a loop of its own, which may be cancelled from anywhere and before it begins."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._cancel: Callable[[], object] = lambda: None
        self.cancelled = False

    def play(self) -> T:
        with asyncio.Runner() as runner:  # not `asyncio.run`, which nest_asyncio replaces
            return runner.run(self._main())

    async def _main(self) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        if self.cancelled:
            task.cancel()
        return await self._work()

    def cancel(self) -> None:
        self.cancelled = True
        with suppress(RuntimeError):  # its loop is closed: it has ended meanwhile
            self._cancel()


def _in_thread(job: _Job[T]) -> T:
    done: Future[T] = Future()

    def main() -> None:
        try:
            done.set_result(job.play())
        except BaseException as error:
            done.set_exception(error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(main,), name="venlab-run-sync").start()
    while not wait([done], WAKE_S).done:
        pass  # in short waits: on Windows no signal ends a long one
    return done.result()


@contextmanager
def _pressed_often() -> Iterator[None]:
    """Let Ctrl-C cancel the main task of `asyncio.run` and do no more, however often it comes.

    At the second press Python raises between any two instructions, those of the loop too: a task
    whose wake-up is lost by that is never woken, and `asyncio.run` waits for it without an end.
    """
    main, runs = asyncio.current_task(), signal.getsignal(signal.SIGINT)
    if not main or not isinstance(runs, partial) or runs.keywords.get("main_task") != main:
        yield  # a kernel's, a script's of its own, or a task beside the main one
        return
    wake = asyncio.get_running_loop().call_soon_threadsafe
    runner = getattr(runs.func, "__self__", None)

    def press() -> None:
        if not getattr(runner, "_interrupt_count", 1):
            runs(signal.SIGINT, None)  # Python is told of the first
            return
        main.cancel()
        wake(lambda: None)  # the loop may wait for something else

    with _on_interrupt(press):
        yield


@contextmanager
def _on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """Do this at Ctrl-C; a handler is never late or early, as a KeyboardInterrupt can be."""
    if threading.current_thread() is not threading.main_thread():
        yield  # an interrupt never comes here
        return
    before = signal.signal(signal.SIGINT, lambda *_: act())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
