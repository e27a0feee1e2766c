"""The table peer × operation, and why some of its cells are red."""

from __future__ import annotations

from collections.abc import Mapping

from tests.interop.environments import PEERS
from tests.interop.world import READS, Outcome

OPERATIONS = (
    "get a token",
    "find the token server",
    "read programs",
    "read one program",
    "write with the token it asked for",
    "write a program",
    "change a program",
    "delete a program",
    "read events of a program",
    "read events by target",
    "page through events",
    "write an event",
    "change an event",
    "delete an event",
    "register a VEN",
    "read VENs",
    "see what its targets grant",
    "write a resource",
    "read resources",
    "send a report",
    "send a report with descriptors",
    "repeat a report's name",
    "read reports",
    "write a subscription",
    "read subscriptions",
    "delete a subscription",
    "read notifiers",
    "ask for MQTT topics",
    READS,
)

# Red cells whose reason is the peer's: package, version and operation.
THEIRS: dict[tuple[str, str, str], str] = {
    ("oadr30-ven-ud", "3.0.1", "write with the token it asked for"): (
        "It asks for the scope read_all whatever it is used for, and cannot be told another; what "
        "it writes below it writes with a token that it is handed."
    ),
    ("openadr3-client", "3.0.1", "send a report with descriptors"): (
        "It marks a report's payload descriptors as those of an event, which the document does not "
        "allow; without descriptors its reports are taken."
    ),
    ("openadr3-client", "3.1.0", "send a report with descriptors"): (
        "It refuses the mark that 3.1.0 requires of a report's payload descriptors, and knows the "
        "event's only."
    ),
    ("openadr3-client", "3.1.0", "read reports"): (
        "One report whose payload descriptors are marked as 3.1.0 requires, and its whole list "
        "fails; in 3.0.1, where the mark may be left out, it reads them."
    ),
    ("openadr3-client", "3.1.0", "read notifiers"): (
        "It demands the member MQTT, which the document leaves optional; this VTN has no broker."
    ),
}

PLAYED = [(peer, version) for peer in PEERS.values() for version in peer.versions]


def expected(package: str, version: str) -> dict[str, str]:
    """Return a peer's red cells and their reasons."""
    return {
        op: why
        for (peer, spoken, op), why in THEIRS.items()
        if (peer, spoken) == (package, version)
    }


def table(outcomes: Mapping[tuple[str, str], Outcome | str]) -> list[str]:
    """Return the lines of a table in Markdown; a text for an outcome is why there is none."""
    heads = [f"{peer.package} {version}" for peer, version in PLAYED]
    lines = [f"| operation | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    reasons: list[str] = []
    for operation in OPERATIONS:
        cells = []
        for peer, version in PLAYED:
            outcome = outcomes[peer.package, version]
            if isinstance(outcome, str):
                cells.append("?")
            elif operation not in outcome.cells:
                cells.append("–")
            elif outcome.cells[operation].ok:
                cells.append("●")
            else:
                known = expected(peer.package, version).get(operation)
                reasons.append(known or f"UNEXPECTED: {outcome.cells[operation].detail}")
                cells.append(f"red {len(reasons)}")
        lines.append(f"| {operation} | {' | '.join(cells)} |")
    return [*lines, "", *(f"{n}. {why}" for n, why in enumerate(reasons, 1))]
