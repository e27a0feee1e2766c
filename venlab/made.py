"""What a run made at a VTN that is not its own, written down before it is asked for."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from venlab.jsonlines import line_of, whole_lines

__all__ = ["Diary", "Making"]

MADE_FILE = "made.jsonl"


class Making(NamedTuple):
    """One thing that is made: its kind, its name, behind which VEN it stands.

    Three moments are noted: `id` is empty before it is asked for, what the VTN gave it after,
    and None where the VTN refused.
    """

    kind: str
    name: str
    behind: str = ""
    id: str | None = ""


class Diary:
    """Notes what is made in a run's folder, and tells later what is the run's own.

    Who is killed between a request and its answer has made a thing and does not know it: so the
    wish stands there first, and is taken back where it was refused. A wish without an answer
    counts as fulfilled.

    Parameters
    ----------
    folder : path
        The run's.
    url : str
        Which VTN: a run may go on at another, where the same names and ids are others' things.

    Examples
    --------
    >>> import tempfile
    >>> diary = Diary(tempfile.mkdtemp(), "http://a.example")
    >>> diary.note(Making("ven", "Aars"))
    >>> [
    ...     Diary(diary.folder, f"http://{host}.example").owns(Making("ven", name, id="7"))
    ...     for host, name in [("a", "Aars"), ("a", "Ribe"), ("b", "Aars")]
    ... ]
    [True, False, False]
    """

    def __init__(self, folder: str | Path, url: str) -> None:
        self.folder, self._url = Path(folder), url
        self._open: Counter[tuple[str, str, str]] = Counter()
        self._ids: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
        notes, self._begin = whole_lines(self.folder / MADE_FILE)
        for *making, where in notes:
            if where == url:
                self._learn(Making(*making))

    def note(self, making: Making) -> None:
        """Write down that something is asked for, was made, or was refused."""
        self._learn(making)
        with (self.folder / MADE_FILE).open("ab") as file:
            file.write(self._begin + line_of([*making, self._url]))
        self._begin = b""

    def owns(self, making: Making) -> bool:
        """Tell whether the thing of this kind, name and id was made by the run."""
        key = making[:3]
        return making.id in self._ids.get(key, ()) or self._open[key] > 0

    @property
    def names(self) -> dict[str, set[str]]:
        """The names of all that may be the run's, by kind."""
        found = defaultdict[str, set[str]](set)
        for kind, name, _ in {*self._ids, *self._open}:
            found[kind].add(name)
        return found

    def _learn(self, making: Making) -> None:
        key = making[:3]
        self._open[key] += 1 if making.id == "" else -1
        if making.id:
            self._ids[key].add(making.id)
