"""Long lists, a page at a time: whole though they change, and ended though a VTN goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from venlab.errors import NotAVtn
from venlab.wire import Page

__all__ = ["walk", "whole_list"]

T = TypeVar("T")
PASSES = 6  # over a list that changes while it is read
MOST_ITEMS = 1_000_000  # in a list; the full fleet has 19,402 resources
MOST_PAGES = 100_000  # of reports


async def whole_list(
    ask: Callable[[int, int], Awaitable[list[T]]],
    key: Callable[[T], str],
    size: int,
    purpose: str,
) -> list[T]:
    """Collect all pages of a list, whatever its order, though it may change meanwhile.

    Where something goes, what follows moves up and may be passed over; so a list of several
    pages is read until two readings agree. What the first of these passed over would have moved
    because of something that it had read, and that the second does not find any more.

    Parameters
    ----------
    ask : callable
        Awaited with how many to skip, and how many to list at most.
    key : callable
        Returns what tells an item from all others.
    size : int
        Of a page.
    purpose : str
        What the list is for, for the error.

    Raises
    ------
    NotAVtn
        It never ends.
    """
    seen: dict[str, T] = {}
    before: set[str] = set()
    for _ in range(PASSES):
        found, pages = await _reading(ask, key, size, purpose)
        if pages == 1 or found.keys() == before:
            return list(found.values())
        before = set(found)
        seen |= found
    return list(seen.values())  # it changes all the time: rather one too many than one too few


async def _reading(
    ask: Callable[[int, int], Awaitable[list[T]]],
    key: Callable[[T], str],
    size: int,
    purpose: str,
) -> tuple[dict[str, T], int]:
    """Read a list once; return it, and how many pages of it there were."""
    found: dict[str, T] = {}
    for n in range(MOST_ITEMS // size):
        page = await ask(n * size, size)
        known = len(found)
        found.update((key(item), item) for item in page)
        if page and len(found) == known:  # it pages its own way, and only repeats itself
            return found, 1
        if len(page) < size:
            return found, n + 1
    raise NotAVtn(f"to {purpose} never ends: {MOST_ITEMS:,} and more", "check vtn_url")


async def walk(ask: Callable[[str], Awaitable[Page[T]]], purpose: str) -> AsyncGenerator[list[T]]:
    """Yield one page after the other; a VTN that only repeats itself ends it.

    Parameters
    ----------
    ask : callable
        Awaited with the place where a page begins, empty for the first.
    purpose : str
        What the list is for, for the error.

    Raises
    ------
    NotAVtn
        It never ends.
    """
    place = key = ""
    for _ in range(MOST_PAGES):
        page = await ask(place)
        if page.key and page.key == key:
            return
        if page.items:
            yield page.items
        if not page.next:
            return
        place, key = page.next, page.key
    raise NotAVtn(f"to {purpose} never ends: {MOST_PAGES:,} pages", "check vtn_url")
