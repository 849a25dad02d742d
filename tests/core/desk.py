"""A desk at which wishes are accepted and outcomes settled: the registry without its actors."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

from swarmd.core.course import Outcome, Step
from swarmd.core.steps import abandon, settle
from swarmd.core.tables import Change, EventDraft, ProviderView, Tables
from swarmd.core.wishes import Verdict, Wish, accept, accept_new, request_cancel
from swarmd.errors import OperationCancelled, ProviderError, SwarmError
from swarmd.messages import codec
from swarmd.messages.enums import (
    DesiredState,
    InstanceStatus,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.instance import Instance, InstanceConfig, Reason
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.provider import ProviderHealth, ProviderRecord
from tests.core.samples import NOW, caps, instance, make_id

ANA = Caller(name="ana", uid=1000, gid=1000, pid=1, correlation="c-1")
BO = Caller(name="bo", uid=1001, gid=1001, pid=2, correlation="c-2")
CANCELLED = OperationCancelled("cancelled while it ran")
BROKEN = ProviderError("it did not work", details={"cause": "boom"})

LOCAL = ProviderRecord(name="local", type="local")
READY = ProviderView(ProviderHealth(ok=True), caps())

START, STOP, RESTART = OperationKind.START, OperationKind.STOP, OperationKind.RESTART
UPDATE, CREATE, IMPORT = OperationKind.UPDATE, OperationKind.CREATE, OperationKind.IMPORT
DELETE, UNDELETE, PURGE = OperationKind.DELETE, OperationKind.UNDELETE, OperationKind.PURGE


def update_arguments(config: InstanceConfig, **values: Any) -> dict[str, Any]:
    """What an update keeps of its request."""
    return {"config": codec.to_plain(config, reveal=True), "restart": False} | values


def tables_of(*instances: Instance, operations: tuple[Operation, ...] = ()) -> Tables:
    """Tables with the local provider, ready."""
    tables = Tables.build(instances, operations, (LOCAL,), 0)
    return tables.apply(Change(views={"local": READY}))


class Desk:
    """Tables, and everything that was told on the way.

    Every change moves the clock by one second and is applied at once.
    """

    def __init__(self, *instances: Instance, tables: Tables | None = None) -> None:
        self.tables = tables_of(*instances) if tables is None else tables
        self.now: datetime = NOW
        self.events: list[EventDraft] = []
        self.reasons: list[tuple[str, Reason]] = []
        self.number = 100

    # --- doing -------------------------------------------------------------------------------

    def apply(self, change: Change) -> Change:
        self.now += timedelta(seconds=1)
        self.tables = self.tables.apply(change)
        self.events += change.events
        self.reasons += change.reasons
        return change

    def wish(self, kind: OperationKind, **values: Any) -> Wish:
        """A wish with a fresh id; keywords that are no field of it become arguments."""
        self.number += 1
        given = {field.name for field in dataclasses.fields(Wish)} & values.keys()
        fields: dict[str, Any] = {
            "operation_id": make_id(self.number),
            "kind": kind,
            "origin": Origin.USER,
            "caller": ANA,
            "now": self.now,
            "lasts": 60.0,
        }
        fields |= {name: values.pop(name) for name in given}
        return Wish(**{"arguments": values, **fields})

    def ask(self, kind: OperationKind, target: str = make_id(1), **values: Any) -> Operation:
        """Have a wish about an instance accepted; the operation that answers it."""
        return self.take(accept(self.tables, self.wish(kind, **values), target))

    def automatic(self, kind: OperationKind, target: str = make_id(1), **values: Any) -> Operation:
        return self.ask(kind, target, origin=Origin.RECONCILE, **values)

    def take(self, verdict: Verdict) -> Operation:
        self.apply(verdict.change)
        return self.tables.operations[verdict.operation_id]

    def create(self, number: int = 1, *, kind: OperationKind = CREATE, **values: Any) -> Operation:
        """Have a creation accepted."""
        desired = values.pop("desired", DesiredState.RUNNING)
        record = instance(
            number,
            name=values.pop("name", "web"),
            desired=desired,
            status=InstanceStatus.CREATING,
            created_at=self.now,
            updated_at=self.now,
        )
        return self.take(accept_new(self.tables, self.wish(kind, **values), record))

    def cancel(self, operation: Operation) -> Operation:
        return self.take(request_cancel(self.tables, operation.id, ANA))

    def end(self, operation: Operation, **values: Any) -> Change:
        """The step that the operation is in has this outcome (well, if nothing is said)."""
        step = Step(self.of(operation).step or "")
        return self.apply(settle(self.tables, Outcome(operation.id, step, **values), self.now))

    def fail(self, operation: Operation, error: SwarmError = BROKEN) -> Change:
        return self.end(operation, error=error)

    def abandon(self, operation: Operation, error: SwarmError = BROKEN) -> Change:
        step = Step(self.of(operation).step or "")
        outcome = Outcome(operation.id, step, error=error)
        return self.apply(abandon(self.tables, outcome, self.now))

    def run(self, operation: Operation) -> Operation:
        """Every step goes well until the operation has ended; others of its instance, too."""
        for _ in range(20):
            if self.of(operation).state.ended:
                return self.of(operation)
            self.end(self.tables.active_of(operation.target)[0])
        raise AssertionError(f"does not end: {self.of(operation)}")

    def steps(self, operation: Operation) -> list[str]:
        """Its steps, one after the other, while each goes well."""
        taken = []
        while (now := self.of(operation)).state is OperationState.RUNNING:
            taken.append(now.step or "")
            self.end(now)
        return taken

    # --- looking -----------------------------------------------------------------------------

    def of(self, operation: Operation) -> Operation:
        return self.tables.operations[operation.id]

    def record(self, number: int = 1) -> Instance:
        return self.tables.instances[make_id(number)]

    @property
    def told(self) -> list[str]:
        """The types of the events so far."""
        return [str(event.type) for event in self.events]

    @property
    def story(self) -> list[str]:
        return [f"{reason.what}: {reason.why}" for _, reason in self.reasons]
