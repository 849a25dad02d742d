"""The providers: how full each is, and how it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from swarmd.core.lifecycle import DOWN
from swarmd.errors import SwarmError
from swarmd.messages.provider import ProviderInfo
from swarmd.messages.requests import (
    CordonProvider,
    DisableProvider,
    DrainProvider,
    EnableProvider,
    ListInstances,
    Request,
)
from tui.model.bars import bar
from tui.model.capacity import (
    Asked,
    asked_of,
    cores_of,
    memory_of,
    most_of,
    room,
    state_of,
    tone_of_share,
)
from tui.model.fuzzy import fuzzy
from tui.model.snapshot import Changed, Snapshot
from tui.model.words import duration, since, size
from tui.navigation import Place
from tui.views.table_view import TableView
from tui.widgets.columns import Cell, Column
from tui.widgets.table import Table

PROVIDER_KEYS: list[BindingType] = [
    Binding("e", "change('enable')", "Enable", id="provider.enable",
            tooltip="Start it, or let it take new instances again."),
    Binding("o", "change('cordon')", "Cordon", id="provider.cordon",
            tooltip="Place no new instances there; those that are there stay."),
    Binding("X", "change('drain')", "Drain", id="provider.drain",
            tooltip="Cordon it and stop everything that runs there."),
    Binding("D", "change('disable')", "Disable", id="provider.disable",
            tooltip="Stop driving it; its instances keep running, unwatched."),
]  # fmt: skip
"""The keys of a view in which providers are chosen."""

_REQUESTS: Mapping[str, Callable[[str], Request]] = {
    "enable": lambda name: EnableProvider(name=name),
    "cordon": lambda name: CordonProvider(name=name),
    "drain": lambda name: DrainProvider(name=name, wait=False),
    "disable": lambda name: DisableProvider(name=name),
}
_DONE = {
    "enable": "enabled; what was stopped there stays so until it is started",
    "cordon": "cordoned: it takes nothing new",
    "drain": "cordoned; its instances are being stopped (4 shows how far that is)",
    "disable": "disabled",
}
_PAGE = 1000


def losses(name: str, providers: Sequence[ProviderInfo], snapshot: Snapshot) -> str:
    """What is lost by it, to be confirmed first.

    What a provider itself counts has those in the trash in it and is older than the rows; the
    rows may not be all that there are. Where nothing is known to run it is asked all the same.

    Args:
        name: What is to be done.
        providers: To whom.
        snapshot: What is known.
    """
    names = {each.name for each in providers}
    there = [row for row in snapshot.instances.values() if row.provider in names]
    count = sum(row.status not in DOWN for row in there)
    if not there and not any(each.instances for each in providers):
        return ""
    many = {0: "What runs there", 1: "One instance"}.get(count, f"{count} instances")
    is_ = "is" if count <= 1 else "are"
    if name == "drain":
        return (
            f"{many} {is_} stopped with everything that runs there, and not started again by "
            "itself. Files stay."
        )
    if name == "disable":
        keeps = "keeps" if count <= 1 else "keep"
        return f"{many} {keeps} running, but nobody watches or can change it until it is enabled."
    return ""


class ProviderActions(TableView):
    """What can be done to providers."""

    CHANGES: ClassVar[frozenset[str]] = frozenset({"change"})

    def providers(self) -> Sequence[ProviderInfo]:
        """Those that its keys act on."""
        return ()

    def action_change(self, name: str) -> None:
        """Enable, cordon, drain or disable what is chosen."""
        chosen = self.providers()
        self.swarmd.change(
            [(_REQUESTS[name](each.name), each.name) for each in chosen],
            _DONE[name],
            verb=name.capitalize(),
            loses=losses(name, chosen, self.snapshot),
        )

    @work(exclusive=True, group="renewed", exit_on_error=False)
    async def look(self) -> None:
        """How fast they answer, and when that was."""
        with suppress(SwarmError):  # a connection that is lost is told at the top
            await self.swarmd.link.renew_providers()


class ProvidersView(ProviderActions):
    """See the module's docstring."""

    WHAT: ClassVar[str] = "provider"
    BINDINGS: ClassVar[list[BindingType]] = [*PROVIDER_KEYS]

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._asked: dict[str, Asked] | None = None
        self._dirty = True
        self.table: Table[ProviderInfo] = Table(
            self._columns(),
            fits=_fits,
            sort="name",
        )

    def compose(self) -> ComposeResult:
        """The table alone."""
        yield self.table

    def _columns(self) -> Sequence[Column[ProviderInfo]]:
        return (
            Column("name", "NAME", 10, lambda p: p.name, order=lambda p: p.name, grow=1),
            Column("type", "TYPE", 7, lambda p: p.type, order=lambda p: p.type),
            Column("state", "STATE", 9, _state, order=lambda p: state_of(p)[0]),
            Column("instances", "INSTANCES", 16, _instances, order=_share, grow=1),
            Column("cores", "CORES ASKED", 12, self._cores, least=60),
            Column("memory", "MEM ASKED", 11, self._memory, least=72),
            Column("latency", "LATENCY", 7, lambda p: duration(p.health.latency), right=True,
                   order=lambda p: p.health.latency, least=84),
            Column("looked", "LOOKED", 7, lambda p: since(p.health.checked_at, self.now()),
                   right=True, least=110),
            Column("version", "VERSION", 10, lambda p: p.health.version or "-", least=110),
            Column("region", "REGION", 8, lambda p: p.region or "-", least=120),
            Column("labels", "LABELS", 10, _labels, grow=2, least=150),
            Column("says", "SAYS", 8, lambda p: p.health.message or "-", grow=4, least=110),
        )  # fmt: skip

    def _cores(self, info: ProviderInfo) -> Cell | str:
        if self._asked is None:
            return "-"
        asked, whole = self._asked.get(info.name, Asked()).cores, cores_of(info)
        text = f"{asked:g}/{whole:g}" if whole else f"{asked:g}/-"
        return Cell(f"{bar(asked, whole, 4)} {text}", tone_of_share(asked, whole))

    def _memory(self, info: ProviderInfo) -> Cell | str:
        if self._asked is None:
            return "-"
        asked, whole = self._asked.get(info.name, Asked()).memory, memory_of(info)
        return Cell(f"{size(asked)}/{size(whole)}", tone_of_share(asked, whole))

    def show(self, snapshot: Snapshot, changed: Changed) -> None:
        """The providers; what is asked of them when instances have come or gone."""
        if changed.everything or changed.providers or changed.instances:
            self.table.show(snapshot.providers)
        if changed.everything:
            self._ask()
        elif changed.instances:
            self._dirty = True
        self.explain()

    def none(self) -> str:
        """How there come to be some."""
        return "No providers. swarmctl providers register adds one."

    def tick(self) -> None:
        """How long ago it was looked at; what is asked for, if that may be different."""
        self.look()
        self.table.tick()
        if self._dirty:
            self._ask()

    @work(exclusive=True, group="asked", exit_on_error=False)
    async def _ask(self) -> None:
        self._dirty = False
        try:
            items = await all_asked(self.swarmd.link.ask)
        except SwarmError:
            self._dirty = True  # what is shown stays; the next tick asks again
            return
        self._asked = asked_of(items)
        self.table.tick()

    def providers(self) -> Sequence[ProviderInfo]:
        """The marked ones, or the one under the cursor."""
        known = self.snapshot.providers
        return tuple(known[name] for name in self.table.chosen if name in known)

    @on(Table.Opened)
    def _open(self, event: Table.Opened) -> None:
        self.swarmd.go(Place("provider", event.key, event.key))


async def all_asked(
    ask: Callable[[Request], Any], provider: str | None = None
) -> list[dict[str, Any]]:
    """What instances were made with, page by page; of one provider or of all.

    Raises:
        SwarmError: The daemon does not answer.
    """
    fields = ("provider", "config.resources")
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        request = ListInstances(provider=provider, fields=fields, limit=_PAGE, cursor=cursor)
        page = await ask(request)
        items.extend(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return items


def _state(info: ProviderInfo) -> Cell:
    return Cell(*state_of(info))


def _instances(info: ProviderInfo) -> Cell:
    return Cell(room(info, 10), tone_of_share(info.instances, most_of(info)))


def _share(info: ProviderInfo) -> float:
    most = most_of(info)
    return -(info.instances / most if most else 0.0)


def _labels(info: ProviderInfo) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(info.labels.items())) or "-"


def _fits(info: ProviderInfo, text: str) -> bool:
    facts = f"{info.name} {info.type} {state_of(info)[0]} {info.region or ''} {_labels(info)}"
    return fuzzy(text)(facts)
