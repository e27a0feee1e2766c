"""A row of the benchmark table."""

from __future__ import annotations

from dataclasses import dataclass

WIDTHS = (52, 22, 30, 8, 10)


@dataclass(frozen=True)
class Row:
    """What was measured, against what, and the bar of the design."""

    what: str
    measured: str
    against: str
    ratio: float | None
    bar: str

    def cells(self) -> tuple[str, str, str, str, str]:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return self.what, self.measured, self.against, ratio, self.bar


def line(*cells: str) -> str:
    return "| " + " | ".join(c.ljust(w) for c, w in zip(cells, WIDTHS, strict=True)) + " |"
