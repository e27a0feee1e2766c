"""Long lists, a page at a time: nothing missed, nothing twice, and always an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venlab import paging
from venlab.errors import NotAVtn
from venlab.paging import walk, whole_list
from venlab.wire import Page


class Changing:
    """A list that a VTN shows, which changes between two requests as it is told."""

    def __init__(self, items: list[int], changes: list[Callable[[list[int]], None]]) -> None:
        self.items, self.changes, self.asked = items, changes, 0

    async def ask(self, skip: int, limit: int) -> list[int]:
        page = self.items[skip : skip + limit]
        if self.asked < len(self.changes):
            self.changes[self.asked](self.items)
        self.asked += 1
        return page


def read(there: Changing, size: int) -> list[int]:
    return asyncio.run(whole_list(there.ask, str, size, "list"))


def test_what_moves_up_is_not_missed() -> None:
    """Worked by hand: 0 goes after the first page, so 2 moves to where nobody looks again."""
    there = Changing([0, 1, 2, 3, 4], [lambda items: items.remove(0)])
    assert sorted(read(there, 2)) == [1, 2, 3, 4]


def test_a_list_of_one_page_is_asked_for_once() -> None:
    """A page that is not full shows all at one moment."""
    there = Changing([0, 1], [])
    assert read(there, 3) == [0, 1]
    assert there.asked == 1


def test_a_vtn_that_ignores_paging_is_asked_twice() -> None:
    """A second page that is the first again is the end."""
    asked = []

    async def ask(skip: int, limit: int) -> list[int]:
        asked.append(skip)
        return [0, 1, 2]

    assert asyncio.run(whole_list(ask, str, 3, "list")) == [0, 1, 2]
    assert asked == [0, 3]


@given(
    st.integers(0, 30),
    st.integers(1, 7),
    st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=5),
)
def test_what_was_there_all_along_is_listed_once(
    count: int, size: int, changes: list[tuple[bool, int]]
) -> None:
    """Whatever comes and goes while it is read: all that stays is there, and nothing twice."""
    new = iter(range(100, 200))
    stays = set(range(count))

    def change(comes: bool, at: int) -> Callable[[list[int]], None]:
        def do(items: list[int]) -> None:
            if comes:
                items.append(next(new))  # in the order of creation: the last
            elif items:
                stays.discard(items.pop(at % len(items)))

        return do

    there = Changing(list(range(count)), [change(*each) for each in changes])
    found = read(there, size)
    assert len(set(found)) == len(found)
    assert stays <= set(found)


def test_a_list_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VTN that invents items for ever is given up."""
    monkeypatch.setattr(paging, "MOST_ITEMS", 100)

    async def ask(skip: int, limit: int) -> list[int]:
        return list(range(skip, skip + limit))

    with pytest.raises(NotAVtn, match="never ends"):
        asyncio.run(whole_list(ask, str, 10, "list"))


async def test_a_walk_ends_where_the_vtn_says_so_or_repeats_itself() -> None:
    """Pages with nothing that counts are passed over; the page before again is the end."""
    pages = {
        "": Page([1], "a", "1"),
        "a": Page([], "b", "2"),
        "b": Page([3], "c", "3"),
        "c": Page([3], "d", "3"),
    }

    async def ask(place: str) -> Page[int]:
        return pages[place]

    assert [page async for page in walk(ask, "list")] == [[1], [3]]


async def test_a_walk_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VTN that always has one more page is given up."""
    monkeypatch.setattr(paging, "MOST_PAGES", 9)

    async def ask(place: str) -> Page[int]:
        return Page([], place + "x", place + "x")

    with pytest.raises(NotAVtn, match="9 pages"):
        [page async for page in walk(ask, "list")]
