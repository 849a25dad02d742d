"""``ports.Query`` over the published tables: every read of the socket, without an actor."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime

from swarmd import __version__
from swarmd.actors.alerts import Alerts
from swarmd.actors.base import Directory
from swarmd.actors.measures import Measures
from swarmd.actors.past import PastTables
from swarmd.actors.published import Published
from swarmd.actors.supervisor import Family
from swarmd.core import views
from swarmd.core.alerts.selecting import select
from swarmd.core.intake import where
from swarmd.core.placement import Rules
from swarmd.core.selection import page
from swarmd.errors import ValidationError
from swarmd.messages.activity import Idle
from swarmd.messages.enums import AuthType, DaemonState, InstanceStatus
from swarmd.messages.events import Event
from swarmd.messages.instance import Instance, InstanceStats, Reason, replace
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.provider import ProviderInfo
from swarmd.messages.replies import (
    ActorList,
    AlertList,
    PastTable,
    Placement,
    StatusReport,
)
from swarmd.messages.requests import (
    EventsAt,
    ListAlerts,
    ListInstances,
    ListOperations,
    PlacementProvider,
    Request,
)
from swarmd.ports import Page, Store


class SnapshotQuery:
    """See ``ports.Query``.

    Args:
        state: Tells the daemon's state and the reasons for it.
        rules: What decides where instances go, now.
        health: Tells whether the health of instances is watched.
        idle: What is known of the use of one, by its id.
        measures: What instances used when they were measured last.
        alerts: Tells whether anything is judged.
    """

    def __init__(
        self,
        *,
        published: Published,
        store: Store,
        directory: Directory,
        family: Family,
        node: str,
        started_at: datetime,
        state: Callable[[], tuple[DaemonState, tuple[str, ...]]],
        rules: Callable[[], Rules],
        health: Callable[[], bool],
        idle: Callable[[str], Idle | None],
        measures: Measures,
        alerts: Alerts,
    ) -> None:
        self._published = published
        self._store = store
        self._past = PastTables(published, store)
        self._directory = directory
        self._family = family
        self._node = node
        self._started_at = started_at
        self._state = state
        self._rules = rules
        self._health = health
        self._idle = idle
        self._measures = measures
        self._alerts = alerts

    def instance(self, caller: Caller, ref: str) -> Instance:
        """By id, ``owner/name``, own ``name`` or unique id prefix."""
        return self._shown(views.find(self._published.tables, ref, caller.name))

    def _shown(self, row: Instance) -> Instance:
        """The record with its use."""
        idle = self._idle(row.id)
        return row if idle is None else replace(row, idle=idle)

    def instances(self, caller: Caller, request: Request) -> Page:
        """A filtered page."""
        if not isinstance(request, ListInstances):
            raise TypeError(type(request).__name__)
        selected = page(self._published.tables.index, request)
        items = tuple(self._shown(row) for row in selected.items)
        return Page(items, selected.next_cursor, selected.total)

    def operation(self, caller: Caller, ref: str) -> Operation:
        """By id or unique id prefix."""
        return views.find_operation(self._published.tables, ref)

    def operations(self, caller: Caller, request: Request) -> tuple[Operation, ...]:
        """Newest first."""
        if not isinstance(request, ListOperations):
            raise TypeError(type(request).__name__)
        tables = self._published.tables
        target = None
        if request.target is not None:
            target = views.find(tables, request.target, caller.name, trash=True).id
        return views.select_operations(tables, request, target)

    def providers(self, caller: Caller) -> tuple[ProviderInfo, ...]:
        """All, by name."""
        return views.provider_infos(self._published.tables)

    def provider(self, caller: Caller, name: str) -> ProviderInfo:
        """One."""
        return views.one_provider(self._published.tables, name)

    def placement(self, caller: Caller, request: Request) -> Placement:
        """Where an instance would be made."""
        if not isinstance(request, PlacementProvider):
            raise TypeError(type(request).__name__)
        return where(self._published.tables, request, caller, self._rules())

    def status(self, caller: Caller) -> StatusReport:
        """The daemon's state and counts."""
        state, reasons = self._state()
        tables = self._published.tables
        return StatusReport(
            state=state,
            reasons=reasons,
            initialized=state not in (DaemonState.INITIALIZING, DaemonState.FAILED),
            version=__version__,
            node=self._node,
            pid=os.getpid(),
            started_at=self._started_at,
            journal=self._published.journal,
            last_seq=tables.seq,
            quarantined=self._store.quarantined(),
            alerts=len(tables.alerts.active) if self._alerts.enabled else 0,
            **views.counts(tables, health=self._health()),
        )

    def alerts(self, caller: Caller, request: Request) -> AlertList:
        """Those that fit, the newest first."""
        if not isinstance(request, ListAlerts):
            raise TypeError(type(request).__name__)
        self._alerts.require()
        return select(self._published.tables.alerts, request)

    def condition(self) -> tuple[DaemonState, tuple[str, ...]]:
        """The daemon's state and the reasons for it."""
        return self._state()

    def actors(self, caller: Caller) -> ActorList:
        """How the actors fare."""
        infos = self._family.infos(self._directory)
        return ActorList(items=infos, dead_letters=self._directory.dead_letters)

    def measured(self, caller: Caller, refs: tuple[str, ...]) -> tuple[InstanceStats, ...]:
        """As they were measured last; of one that does not run that says nothing any more."""
        tables = self._published.tables
        rows = (
            [views.find(tables, ref, caller.name) for ref in refs]
            if refs
            else tables.instances.values()
        )
        running = (row.id for row in rows if row.status is InstanceStatus.RUNNING)
        return tuple(self._measures.of(running))

    def story(self, caller: Caller, ref: str) -> tuple[Reason, ...]:
        """Why this instance is as it is, oldest first."""
        instance = views.find(self._published.tables, ref, caller.name, trash=True)
        return tuple(self._store.story(instance.id))

    def history(self, caller: Caller, after_seq: int, limit: int) -> tuple[bool, tuple[Event, ...]]:
        """Events after ``after_seq``, none that is not published yet."""
        gap, events = self._store.history(after_seq, limit)
        last = self._published.tables.seq
        return gap, tuple(event for event in events if event.seq <= last)

    def past(self, caller: Caller, request: EventsAt) -> PastTable:
        """The table of instances as it was."""
        return self._past.page(request)

    def position(self) -> tuple[str, int]:
        """The journal's id and its last published sequence number."""
        return self._published.journal, self._published.tables.seq

    def password(self, caller: Caller, ref: str) -> str | None:
        """The password in the clear, None without authentication."""
        auth = views.find(self._published.tables, ref, caller.name).config.auth
        if auth.type is AuthType.HASHED_PASSWORD:
            raise ValidationError(
                "the daemon has only the hash of this password",
                field="id",
                next_step="Set a password: swarmctl update NAME --password-stdin.",
            )
        if auth.type is AuthType.NONE or auth.credentials is None:
            return None
        return auth.credentials.reveal()
