"""What a table can show of an instance, and what a filter looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from tui.model.fuzzy import fuzzy
from tui.model.rows import Row, runs_since
from tui.model.uses import Use
from tui.model.words import HEALTH_TONES, since, size, tone_of_status
from tui.widgets.columns import Cell, Column


def columns(now: Callable[[], datetime], use: Callable[[str], Use]) -> tuple[Column[Row], ...]:
    """What the table can show of an instance.

    Args:
        now: The time, UTC.
        use: What an instance uses, by its id.
    """
    return (
        Column("name", "NAME", 16, lambda row: row.name, order=lambda row: row.name, grow=3),
        Column("owner", "OWNER", 8, lambda row: row.owner, order=lambda row: row.owner, grow=1),
        Column("provider", "PROVIDER", 9, lambda row: row.provider, order=lambda row: row.provider),
        Column(
            "status",
            "STATUS",
            10,
            lambda row: Cell(str(row.status), tone_of_status(row.status)),
            order=lambda row: str(row.status),
        ),
        Column(
            "health",
            "HEALTH",
            10,
            lambda row: Cell(str(row.health), HEALTH_TONES[row.health]),
            order=lambda row: str(row.health),
        ),
        *_figures(now, use),
        Column(
            "uptime",
            "UP",
            7,
            lambda row: since(runs_since(row), now()),
            order=lambda row: (begun := runs_since(row)) and -begun.timestamp(),
            right=True,
        ),
        Column("url", "URL", 24, lambda row: row.url or "-", grow=2, least=110),
    )


def _figures(now: Callable[[], datetime], use: Callable[[str], Use]) -> tuple[Column[Row], ...]:
    def memory(row: Row) -> Cell:
        used = use(row.id)
        return Cell(size(used.memory), "warn" if used.tight else "")

    return (
        Column(
            "cpu", "CPU", 5, lambda row: _share_of_a_core(use(row.id).cores), right=True,
            order=lambda row: _most_first(use(row.id).cores),
        ),
        Column(
            "memory", "MEM", 5, memory, right=True,
            order=lambda row: _most_first(use(row.id).memory),
        ),
        Column(
            "idle", "IDLE", 7, lambda row: since(use(row.id).last_used, now()), right=True,
            least=95,
            order=lambda row: (used := use(row.id).last_used) and used.timestamp(),
        ),
    )  # fmt: skip


def _share_of_a_core(cores: float | None) -> str:
    return "-" if cores is None else f"{cores:.0%}"


def _most_first(value: float | None) -> float | None:
    return None if value is None else -value


def chosen(
    known: Sequence[Column[Row]], wanted: Sequence[str]
) -> tuple[tuple[Column[Row], ...], tuple[str, ...]]:
    """The columns that the settings want, in their order, and those that there are not.

    Args:
        known: All there are.
        wanted: By name; none: all of them.
    """
    by_name = {each.name: each for each in known}
    # What is asked for by name is shown, however narrow the table is.
    found = tuple(
        replace(by_name[name], least=0) for name in dict.fromkeys(wanted) if name in by_name
    )
    return found or tuple(known), tuple(name for name in wanted if name not in by_name)


def fits(row: Row, text: str) -> bool:
    """Whether a row has these letters, in their order, in what one would look for."""
    facts = f"{row.owner}/{row.name} {row.provider} {row.status} {row.health}"
    return fuzzy(text)(facts)
