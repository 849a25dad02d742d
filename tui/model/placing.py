"""Where an instance would be made, and why not elsewhere, as lines."""

from __future__ import annotations

from collections.abc import Iterator

from swarmd.errors import DaemonUnreachable, DeadlineExceeded, SwarmError
from swarmd.messages.replies import Placement
from tui.model.text import Line, folded, line, titled


def placing(found: Placement, width: int) -> Iterator[Line]:
    """Those that take it, the best first, then those that do not, each with its reason.

    Args:
        found: What the daemon's dry run answered.
        width: Cells of a line.
    """
    yield titled(f"It would be made at {found.chosen} ({found.strategy})")
    names = [each.provider for each in found.ranked] + [each.provider for each in found.refused]
    room = min(20, max(map(len, names), default=4))
    for rank, each in enumerate(found.ranked, 1):
        parts = ", ".join(f"{name} {value:.3g}" for name, value in each.parts.items())
        why = "; ".join(filter(None, (each.note, parts)))
        head = f"{rank} {each.provider[:room]:<{room}} {each.score:>8.4g}  "
        yield from _row(head, why, width, "good" if rank == 1 else "")
    for no in found.refused:
        yield from _row(f"✗ {no.provider[:room]:<{room}} {'':8}  ", no.reason, width, "warn")


def _row(head: str, why: str, width: int, tone: str) -> Iterator[Line]:
    for number, part in enumerate(folded(why, max(20, width - len(head)))):
        yield ((head if number == 0 else " " * len(head), tone), (part, "dim"))


def refusal(error: SwarmError, width: int) -> Iterator[Line]:
    """Why it would be made nowhere, or why nobody says."""
    silent = isinstance(error, DaemonUnreachable | DeadlineExceeded)
    yield titled("It is not known where it would be made" if silent else "It would be made nowhere")
    for part in folded(error.message, width):
        yield line(part, "warn" if silent else "bad")
    for part in folded(error.next_step or "", width):
        yield line(part)
