"""What instances use, for the views that list them: asked for, kept, and when to ask again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from swarmd.messages.requests import ListInstances, Request, StatsInstance
from tui.model.uses import IDLE_FIELDS, NOTHING, Use, uses_of

Ask = Callable[[Request], Awaitable[Any]]

MANY: Final = 1000
"""With more instances than this figures are asked for those alone that are seen, unless the table
is sorted by one: then all have to be known."""

PATIENCE: Final = 6
"""Of very many, all are asked for with every so many-th tick only."""

_MEASURED: Final = frozenset({"cpu", "memory"})
_IDLE: Final = "idle"

SORTABLE: Final = _MEASURED | {_IDLE}
"""The columns of figures, by name."""


class Figures:
    """What is known of each instance; what was known stays until it is known better."""

    def __init__(self) -> None:
        self._known: dict[str, Use] = {}

    def of(self, instance_id: str) -> Use:
        """What this one uses."""
        return self._known.get(instance_id, NOTHING)

    def unknown(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Those of which nothing was asked yet."""
        return tuple(each for each in ids if each not in self._known)

    async def ask(self, ask: Ask, ids: tuple[str, ...], *, every: bool = False) -> None:
        """What the daemon measured last of these, and when they were used.

        Args:
            ask: Asks the daemon.
            ids: Of whom.
            every: Whether these are all there are: then the daemon need not look for each.

        Raises:
            SwarmError: It does not answer.
        """
        if not ids:
            return  # no id at all stands for all there are
        named = () if every else ids
        stats = await ask(StatsInstance(id=named, measured=True))
        page = await ask(ListInstances(id=named, fields=IDLE_FIELDS, limit=MANY))
        self._known |= dict.fromkeys(ids, NOTHING) | uses_of(stats.items, page.items)

    async def ask_all(self, ask: Ask, ids: Sequence[str], sorted_by: str) -> None:
        """Of very many all that the table is sorted by, and no more.

        Raises:
            SwarmError: The daemon does not answer.
        """
        if sorted_by in _MEASURED:
            for first in range(0, len(ids), MANY):
                some = tuple(ids[first : first + MANY])
                stats = await ask(StatsInstance(id=some, measured=True))
                self._put(some, uses_of(stats.items, ()), idle=False)
        elif sorted_by == _IDLE:
            cursor: str | None = None
            while True:
                page = await ask(ListInstances(fields=IDLE_FIELDS, limit=MANY, cursor=cursor))
                some = tuple(str(item["id"]) for item in page.items)
                self._put(some, uses_of((), page.items), idle=True)
                cursor = page.next_cursor
                if cursor is None:
                    return

    def _put(self, ids: Iterable[str], uses: Mapping[str, Use], *, idle: bool) -> None:
        """Only one half of it is known better: what was measured, or when it was used."""
        for each in ids:
            new, old = uses.get(each, NOTHING), self.of(each)
            measured, used = (old, new) if idle else (new, old)
            self._known[each] = replace(measured, last_used=used.last_used)
