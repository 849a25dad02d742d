"""What methods answer when it is not a noun itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from swarmd.messages.activity import Idle
from swarmd.messages.alert import Alert
from swarmd.messages.enums import (
    DaemonState,
    HealthStatus,
    InstanceStatus,
    MigrationStatus,
    OperationState,
)
from swarmd.messages.events import Event, PastRow
from swarmd.messages.instance import InstanceStats, Reason, Stray
from swarmd.messages.operation import Operation
from swarmd.messages.provider import Capabilities, ProviderInfo


class InstancePage(Struct, frozen=True, kw_only=True):
    """A page of instances: whole records, or the fields that were asked for."""

    items: tuple[Any, ...]
    total: int
    next_cursor: str | None = None


class OperationList(Struct, frozen=True, kw_only=True):
    """Operations, newest first."""

    items: tuple[Operation, ...]


class ProviderList(Struct, frozen=True, kw_only=True):
    """Providers, by name."""

    items: tuple[ProviderInfo, ...]


class DrainedInstance(Struct, frozen=True, kw_only=True):
    """One that ran at a drained provider.

    ``operation`` is its stop, ``state`` how that was when this was answered; without one the
    stop was refused, and ``message`` says why.
    """

    id: str
    ref: str
    operation: str | None = None
    state: OperationState | None = None
    message: str = ""


class Drain(Struct, frozen=True, kw_only=True):
    """What came of draining a provider. It is cordoned, whatever the figures say.

    ``begun`` stops were accepted; of these ``stopped`` have succeeded, ``failed`` have failed or
    were cancelled, and the others go on. ``refused`` were not accepted. ``items`` names the
    first thousand, those that are not stopped before the others.
    """

    provider: str
    begun: int
    stopped: int
    failed: int
    refused: int
    items: tuple[DrainedInstance, ...] = ()


class RankedProvider(Struct, frozen=True, kw_only=True):
    """A provider that takes an instance, and what the strategy gives it.

    ``score`` is the sum of ``parts``; ``note`` says what the numbers do not.
    """

    provider: str
    score: float
    parts: dict[str, float] = {}
    note: str = ""


class RefusedProvider(Struct, frozen=True, kw_only=True):
    """A provider that does not take it; ``field`` is the input that is to blame, if one is."""

    provider: str
    reason: str
    field: str | None = None


class Placement(Struct, frozen=True, kw_only=True):
    """Where an instance goes: the first of ``ranked``; the next ones are what fallback tries."""

    chosen: str
    strategy: str
    ranked: tuple[RankedProvider, ...]
    refused: tuple[RefusedProvider, ...] = ()


class AlertList(Struct, frozen=True, kw_only=True):
    """Alerts, newest first; ``total`` counts those that fit beyond the limit, too."""

    items: tuple[Alert, ...]
    total: int


class StatsList(Struct, frozen=True, kw_only=True):
    """What instances use."""

    items: tuple[InstanceStats, ...]


class Story(Struct, frozen=True, kw_only=True):
    """Why an instance is as it is, oldest first; ``idle`` and ``keep_until``: what comes next."""

    id: str
    ref: str
    items: tuple[Reason, ...]
    idle: Idle | None = None
    keep_until: datetime | None = None


class Credentials(Struct, frozen=True, kw_only=True):
    """How to log in. The only reply that shows a password."""

    id: str
    url: str | None
    password: str | None


class EventPage(Struct, frozen=True, kw_only=True):
    """A page of the journal. ``gap``: events before the first are no longer kept.

    ``last_seq`` is the journal's; the next page begins after the last item's ``seq``.
    """

    items: tuple[Event, ...]
    journal: str
    last_seq: int
    gap: bool = False


class PastTable(Struct, frozen=True, kw_only=True):
    """A page of the table of instances as the event ``seq`` left it, by owner and name.

    ``at`` is when that event was. ``gap``: events are missing that led there, or the moment
    lies before everything that is kept, and this is the oldest table.
    """

    journal: str
    seq: int
    at: datetime
    items: tuple[PastRow, ...]
    total: int
    gap: bool = False
    next_cursor: str | None = None


class StreamOpened(Struct, frozen=True, kw_only=True):
    """The stream's id; its notifications follow (method ``stream``)."""

    stream: str


class Closed(Struct, frozen=True, kw_only=True):
    """Whether there was such a stream."""

    closed: bool


class Written(Struct, frozen=True, kw_only=True):
    """Bytes that the stream has taken so far; ``upload`` is the id of a finished upload."""

    total: int
    upload: str | None = None


class ProviderCount(Struct, frozen=True, kw_only=True):
    """One provider in the status (seed 000, section 5.1)."""

    name: str
    type: str
    enabled: bool
    cordoned: bool
    ok: bool
    instance_count: int
    capabilities: Capabilities | None = None


class InstanceCounts(Struct, frozen=True, kw_only=True):
    """Instances by status and provider; the trash counts as ``deleted``."""

    total: int
    by_status: dict[InstanceStatus, int]
    by_provider: dict[str, int]


class HealthCounts(Struct, frozen=True, kw_only=True):
    """Instances by health."""

    enabled: bool
    by_status: dict[HealthStatus, int]


class MigrationCounts(Struct, frozen=True, kw_only=True):
    """Migrations by status."""

    enabled: bool
    by_status: dict[MigrationStatus, int]


class StatusReport(Struct, frozen=True, kw_only=True):
    """The daemon in one look (seed 000, section 5.1).

    ``alerts`` counts those that go on, acknowledged or not.
    """

    state: DaemonState
    reasons: tuple[str, ...]
    initialized: bool
    version: str
    node: str
    pid: int
    started_at: datetime
    journal: str
    last_seq: int
    providers: tuple[ProviderCount, ...]
    instances: InstanceCounts
    health: HealthCounts
    migrations: MigrationCounts
    operations_running: int
    strays: int
    quarantined: int
    alerts: int = 0


class Version(Struct, frozen=True, kw_only=True):
    """The daemon's version and that of the protocol."""

    version: str
    protocol: int


class Pong(Struct, frozen=True, kw_only=True):
    """The daemon answers."""

    ok: bool
    state: DaemonState


class ActorInfo(Struct, frozen=True, kw_only=True):
    """One actor."""

    name: str
    state: str
    mailbox: int
    restarts: int
    last_pong_seconds: float | None = None
    last_failure: str | None = None


class ActorList(Struct, frozen=True, kw_only=True):
    """The daemon's actors, in the order of their start."""

    items: tuple[ActorInfo, ...]
    dead_letters: int


class ReloadReport(Struct, frozen=True, kw_only=True):
    """What a reload changed, and which keys wait for a restart."""

    applied: tuple[str, ...]
    restart_required: tuple[str, ...]


class Finding(Struct, frozen=True, kw_only=True):
    """One line of the doctor: ``level`` is ok, note, warning or problem."""

    level: str
    subject: str
    message: str
    next_step: str | None = None


class DoctorReport(Struct, frozen=True, kw_only=True):
    """What the doctor found."""

    findings: tuple[Finding, ...]
    strays: tuple[Stray, ...]


class Done(Struct, frozen=True, kw_only=True):
    """It is done."""

    ok: bool = True
