"""The reading half of the fake daemon."""

from __future__ import annotations

from datetime import UTC, datetime

from swarmd.core import naming, selection
from swarmd.core.alerts.selecting import select
from swarmd.core.past import later, opened, page_of
from swarmd.errors import (
    OperationNotFound,
    ProviderNotFound,
)
from swarmd.messages import replies, requests
from swarmd.messages.alert import AlertBook
from swarmd.messages.enums import (
    DaemonState,
    InstanceStatus,
    Isolation,
)
from swarmd.messages.events import Event
from swarmd.messages.instance import Instance, InstanceStats, Reason
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.provider import (
    Capabilities,
    CpuLimits,
    InstanceLimits,
    MemoryLimits,
    ProviderHealth,
    ProviderInfo,
)
from swarmd.ports import Page

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
CAPABILITIES = Capabilities(
    supports_live_resize=False,
    supports_snapshotting=False,
    supports_multi_region=False,
    max_resources_per_instance=InstanceLimits(cpu=CpuLimits(cores=2), memory=MemoryLimits(min=0)),
    isolation=Isolation.NONE,
    config_fields=("name",),
)


class FakeQuery:
    """``Query`` over dicts."""

    def __init__(self) -> None:
        self.by_id: dict[str, Instance] = {}
        self.ops: dict[str, Operation] = {}
        self.journal_id = "01journal"
        self.journal: list[Event] = []
        self.kept_from = 1
        self.passwords: dict[str, str] = {}
        self.callers: list[Caller] = []
        self.book = AlertBook()
        self._providers = {
            "local": ProviderInfo(
                name="local",
                type="local",
                enabled=True,
                cordoned=False,
                priority=0.0,
                registered=False,
                instances=0,
                health=ProviderHealth(ok=True),
                capabilities=CAPABILITIES,
            )
        }

    def instance(self, caller: Caller, ref: str) -> Instance:
        return naming.resolve(
            ref,
            caller=caller.name,
            by_id=self.by_id,
            by_name={(i.owner, i.name): i.id for i in self.by_id.values()},
        )

    def instances(self, caller: Caller, request: requests.Request) -> Page:
        assert isinstance(request, requests.ListInstances)
        found = selection.page(selection.Index.build(self.by_id.values()), request)
        return Page(items=found.items, next_cursor=found.next_cursor, total=found.total)

    def operation(self, caller: Caller, ref: str) -> Operation:
        fits = [op for op in self.ops.values() if op.id.startswith(ref)]
        if len(fits) != 1:
            raise OperationNotFound(f"there is no operation {ref!r}", field="id")
        return fits[0]

    def operations(self, caller: Caller, request: requests.Request) -> tuple[Operation, ...]:
        assert isinstance(request, requests.ListOperations)
        fits = [
            op
            for op in reversed(self.ops.values())
            if (not request.state or op.state in request.state)
            and (not request.kind or op.kind in request.kind)
            and (request.target is None or request.target in (op.target, op.target_ref))
        ]
        return tuple(fits[: request.limit])

    def providers(self, caller: Caller) -> tuple[ProviderInfo, ...]:
        return tuple(self._providers.values())

    def provider(self, caller: Caller, name: str) -> ProviderInfo:
        if name not in self._providers:
            raise ProviderNotFound(f"there is no provider {name!r}", field="name")
        return self._providers[name]

    def placement(self, caller: Caller, request: requests.Request) -> replies.Placement:
        assert isinstance(request, requests.PlacementProvider)
        wanted = request.at_provider or request.config.provider or "local"
        if wanted not in self._providers:
            raise ProviderNotFound(f"there is no provider {wanted!r}", field="config.provider")
        return replies.Placement(
            chosen=wanted,
            strategy="balanced",
            ranked=(
                replies.RankedProvider(
                    provider=wanted, score=1.5, parts={"capacity": 1.0, "memory": 0.5}, note="best"
                ),
            ),
            refused=(
                replies.RefusedProvider(
                    provider="full", reason="provider full has 5 instances, its most"
                ),
            ),
        )

    def alerts(self, caller: Caller, request: requests.Request) -> replies.AlertList:
        assert isinstance(request, requests.ListAlerts)
        return select(self.book, request)

    def status(self, caller: Caller) -> replies.StatusReport:
        by_status: dict[InstanceStatus, int] = {}
        for instance in self.by_id.values():
            by_status[instance.status] = by_status.get(instance.status, 0) + 1
        return replies.StatusReport(
            state=DaemonState.READY,
            reasons=(),
            initialized=True,
            version="0.1.0",
            node="01node",
            pid=1,
            started_at=EPOCH,
            journal=self.journal_id,
            last_seq=len(self.journal),
            providers=tuple(
                replies.ProviderCount(
                    name=info.name,
                    type=info.type,
                    enabled=info.enabled,
                    cordoned=info.cordoned,
                    ok=info.health.ok,
                    instance_count=len(self.by_id),
                )
                for info in self._providers.values()
            ),
            instances=replies.InstanceCounts(
                total=len(self.by_id), by_status=by_status, by_provider={"local": len(self.by_id)}
            ),
            health=replies.HealthCounts(enabled=False, by_status={}),
            migrations=replies.MigrationCounts(enabled=False, by_status={}),
            operations_running=sum(not op.state.ended for op in self.ops.values()),
            strays=0,
            quarantined=0,
            alerts=len(self.book.active),
        )

    def condition(self) -> tuple[DaemonState, tuple[str, ...]]:
        return DaemonState.READY, ()

    def actors(self, caller: Caller) -> replies.ActorList:
        row = replies.ActorInfo(name="registry", state="running", mailbox=0, restarts=0)
        return replies.ActorList(items=(row,), dead_letters=0)

    def measured(self, caller: Caller, refs: tuple[str, ...]) -> tuple[InstanceStats, ...]:
        rows = [self.instance(caller, ref) for ref in refs] if refs else list(self.by_id.values())
        return tuple(InstanceStats(id=row.id, memory_bytes=1 << 20, taken_at=EPOCH) for row in rows)

    def story(self, caller: Caller, ref: str) -> tuple[Reason, ...]:
        self.instance(caller, ref)
        return (Reason(at=EPOCH, what="created", why="asked for", by="ana"),)

    def history(self, caller: Caller, after_seq: int, limit: int) -> tuple[bool, tuple[Event, ...]]:
        kept = [e for e in self.journal if e.seq >= self.kept_from and e.seq > after_seq]
        return after_seq + 1 < self.kept_from, tuple(kept[:limit])

    def past(self, caller: Caller, request: requests.EventsAt) -> replies.PastTable:
        return page_of(later(opened((), 0, EPOCH), self.journal), self.journal_id, request)

    def position(self) -> tuple[str, int]:
        return self.journal_id, len(self.journal)

    def password(self, caller: Caller, ref: str) -> str | None:
        return self.passwords.get(self.instance(caller, ref).id)
