"""A world of operations under everything that can happen to them, and what always holds there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from swarmd.core.course import PLACEMENT, Outcome, Step, during
from swarmd.core.housekeeping import sweep_operations, tidy
from swarmd.core.lifecycle import can_move
from swarmd.core.steps import abandon, settle
from swarmd.core.tables import Change, Tables
from swarmd.core.turns import late
from swarmd.core.wishes import Verdict, accept, request_cancel
from swarmd.errors import CircuitOpen, Conflict, InstanceNotFound, ProviderUnreachable
from swarmd.messages.enums import (
    DesiredState,
    InstanceStatus,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderRecord
from tests.core.desk import (
    ANA,
    BROKEN,
    CANCELLED,
    CREATE,
    DELETE,
    IMPORT,
    LOCAL,
    READY,
    UPDATE,
    Desk,
    update_arguments,
)
from tests.core.samples import NOW, instance, make_id, observed

Choose = Callable[[Sequence[Any]], Any]
"""One of several: drawn by a property test, or by chance."""

NAMES = ("web", "api")
SILENT = ProviderUnreachable("it did not answer")
LEFT_ALONE = CircuitOpen("it is not asked now")
USER_KINDS = [kind for kind in OperationKind if kind not in (CREATE, IMPORT, OperationKind.PURGE)]
AUTOMATIC_KINDS = [kind for kind in OperationKind if kind is not IMPORT]
SEEN = (
    InstanceStatus.CREATED,
    InstanceStatus.RUNNING,
    InstanceStatus.STOPPED,
    InstanceStatus.ERROR,
)
BOXES = tuple(ProviderRecord(name=name, type="docker") for name in ("box1", "box2"))
VIEWS = {"local": READY, "box1": READY, "box2": READY}
STARTED = (OperationKind.START, OperationKind.RESTART)
Records = tuple[dict[str, Instance], dict[str, Operation]]


def plan_of(following: Sequence[str]) -> dict[str, Any]:
    """The arguments of a creation that others can take over."""
    if not following:
        return {}
    plan = {"strategy": "balanced", "insecure": False, "tried": [], "next": list(following)}
    return {PLACEMENT: plan}


def copied(tables: Tables) -> tuple[object, ...]:
    """Every container of the tables, copied: the records in them are frozen."""
    return (
        dict(tables.instances),
        dict(tables.names),
        tables.index,
        dict(tables.operations),
        dict(tables.active),
        dict(tables.keys),
        dict(tables.providers),
        dict(tables.views),
        tables.strays,
        tables.seq,
    )


def rebuilt(tables: Tables) -> Tables:
    return Tables.build(
        tables.instances.values(), tables.operations.values(), tables.providers.values(), tables.seq
    )


def cut(before: Tables, change: Change, at: int) -> Records:
    """What is on disk if the daemon was killed after so many files of a change (DESIGN 5)."""
    instances, operations = dict(before.instances), dict(before.operations)
    files: list[tuple[str, Instance | Operation | str]] = []
    files += [("op", each) for each in {op.id: op for op in change.operations}.values()]
    files += [("inst", each) for each in {row.id: row for row in change.instances}.values()]
    files += [("drop", each) for each in change.drop_instances]
    for _, each in files[:at]:
        if isinstance(each, Operation):
            operations[each.id] = each
        elif isinstance(each, Instance):
            instances[each.id] = each
        else:
            instances.pop(each, None)
    return instances, operations


def legal(was: InstanceStatus, after: InstanceStatus, moves: int) -> bool:
    """Whether the table has such a way, without a detour over unknown."""
    if moves <= 1:
        return can_move(was, after)
    between = (each for each in InstanceStatus if each is not InstanceStatus.UNKNOWN)
    return any(can_move(was, each) and legal(each, after, moves - 1) for each in between)


class World:
    """Tables, what was last done to them, and what may never change again."""

    def __init__(self) -> None:
        self.desk = Desk(
            instance(1),
            instance(2, status=InstanceStatus.DELETED, desired=DesiredState.DELETED),
            instance(3, name="api", status=InstanceStatus.ERROR),
        )
        self.desk.apply(Change(providers=(LOCAL, *BOXES), views=VIEWS))
        self.before = self.desk.tables
        self.change = Change()
        self.ended: dict[str, Operation] = {}
        self.made = 3

    @property
    def tables(self) -> Tables:
        return self.desk.tables

    def apply(self, change: Change) -> None:
        """Apply a change and check what has to hold of every single one."""
        before, photograph = self.tables, copied(self.tables)
        self.desk.apply(change)
        self.before, self.change = before, change
        assert copied(before) == photograph, "the tables before were changed"
        assert self.tables.seq == before.seq + len(change.events)
        for instance_id, after in self.tables.instances.items():
            was = before.instances.get(instance_id)
            if was is not None:
                moves = after.observation - was.observation
                assert legal(was.status, after.status, moves), (was.status, after.status, moves)
            self.check_start(before, after)
            self.check_provider(was, after)
        for operation in self.tables.operations.values():
            known = self.ended.get(operation.id)
            assert known is None or known == operation, "an ended operation was changed"
            if operation.state.ended:
                self.ended[operation.id] = operation

    def check_start(self, before: Tables, after: Instance) -> None:
        """A start is begun only for what is to run."""
        for operation in self.tables.active_of(after.id):
            known = before.operations.get(operation.id)
            entered = operation.step == Step.START and (known is None or known.step != Step.START)
            if entered:
                assert after.desired is DesiredState.RUNNING, operation

    def check_provider(self, was: Instance | None, after: Instance) -> None:
        """Only a creation that goes on elsewhere moves, to where nobody was asked before."""
        if was is None or was.provider == after.provider:
            return
        assert after.epoch > was.epoch
        (operation,) = self.tables.active_of(after.id)[:1]
        plan = operation.arguments[PLACEMENT]
        assert operation.step == Step.VALIDATE
        assert plan["at"]["provider"] == after.provider
        tried = [each["provider"] for each in plan["tried"]]
        assert was.provider in tried
        assert after.provider not in (*tried, *plan["next"])

    def verdict(self, made: Verdict) -> None:
        if made.joined:
            assert made.change == Change()
        self.apply(made.change)
        told = [self.tables.operations[each] for each in made.cancel]
        assert all(each.cancel_requested for each in told)

    def wished(self, kind: OperationKind, target: str, origin: Origin, **arguments: object) -> None:
        wish = self.desk.wish(kind, origin=origin, **arguments)
        before = self.tables.instances.get(target)
        try:
            made = accept(self.tables, wish, target)
        except (Conflict, InstanceNotFound):
            return
        self.verdict(made)
        after = self.tables.instances[target]
        assert before is not None
        if origin is Origin.POLICY:
            assert not made.cancel, "a rule ends nothing"
            assert after.desired is DesiredState.STOPPED
        elif origin is not Origin.USER:
            assert after.desired is before.desired, "nobody asked for that"
        elif kind in STARTED:
            assert after.desired is DesiredState.RUNNING
        elif kind is OperationKind.STOP:
            assert after.desired is not DesiredState.RUNNING

    # --- wishes ------------------------------------------------------------------------------

    def target(self, choose: Choose) -> str:
        """An instance, rather one of which something is under way."""
        busy = sorted(self.tables.active)
        if busy and choose(range(4)):
            target: str = choose(busy)
            return target
        other: str = choose([*sorted(self.tables.instances), make_id(99)])
        return other

    def create(self, choose: Choose) -> None:
        kind, name = choose((CREATE, IMPORT)), choose(NAMES)
        desired = choose((DesiredState.RUNNING, DesiredState.STOPPED))
        copy = Desk(tables=self.tables)
        copy.number, copy.now = self.desk.number, self.desk.now
        try:
            following = choose(((), ("box1",), ("box1", "box2"), ("gone", "box2")))
            operation = copy.create(
                self.made + 1, kind=kind, name=name, desired=desired, **plan_of(following)
            )
        except Conflict:
            return
        self.made += 1
        self.desk.number = copy.number
        self.apply(
            Change(
                operations=(operation,),
                instances=(copy.record(self.made),),
                events=tuple(copy.events),
            )
        )

    def user(self, choose: Choose) -> None:
        kind, target, force = choose(USER_KINDS), self.target(choose), choose((False, True))
        arguments: dict[str, Any] = {"force": force}
        if kind is OperationKind.UNDELETE:
            arguments = {"name": choose((None, *NAMES))}
        row = self.tables.instances.get(target)
        if kind is UPDATE and row is not None:
            config = msgspec.structs.replace(row.config, env={"N": str(self.desk.number)})
            arguments = update_arguments(config, restart=force)
        self.wished(kind, target, Origin.USER, **arguments)

    def automatic(self, choose: Choose) -> None:
        kind, target = choose(AUTOMATIC_KINDS), self.target(choose)
        arguments: dict[str, Any] = {"force": False}
        row = self.tables.instances.get(target)
        if kind is UPDATE and row is not None:
            arguments = update_arguments(row.config)
        self.wished(kind, target, choose((Origin.RECONCILE, Origin.RECOVERY)), **arguments)

    def rule(self, choose: Choose) -> None:
        self.wished(OperationKind.STOP, self.target(choose), Origin.POLICY, force=False)

    def cancel(self, choose: Choose) -> None:
        active = sorted(each for ids in self.tables.active.values() for each in ids)
        if active:
            self.verdict(request_cancel(self.tables, choose(active), ANA))

    def outcome(self, choose: Choose) -> None:
        running = self.running(self.tables)
        if not running:
            return
        operation = choose(running)
        error = choose((None, None, None, BROKEN, CANCELLED, SILENT, LEFT_ALONE))
        provider = choose((None, self.tables.instances[operation.target].provider))
        seen = choose((None, *SEEN))
        sight = observed(status=seen) if seen else None
        step = Step(operation.step or "")
        waits = ("env",) if step is Step.UPDATE else ()
        result = Outcome(operation.id, step, sight, None, waits, error, provider)
        how = abandon if error is not None and choose((False, True)) else settle
        self.apply(how(self.tables, result, self.desk.now))
        if self.tables.operations[operation.id].step != step:
            assert settle(self.tables, result, self.desk.now) == Change(), "a stale outcome"

    def all_goes_well(self, choose: Choose) -> None:
        """Up to the end of everything that is under way of one instance."""
        target = self.target(choose)
        while waiting := self.tables.active_of(target):
            first = waiting[0]
            result = Outcome(first.id, Step(first.step or ""))
            self.apply(settle(self.tables, result, self.desk.now))

    def crash(self, choose: Choose) -> None:
        """Killed in the middle of the last change: some of its files are there."""
        instances, operations = cut(self.before, self.change, choose(range(7)))
        fresh = Tables.build(
            instances.values(), operations.values(), self.tables.providers.values(), self.tables.seq
        )
        fresh = fresh.apply(Change(views=VIEWS))
        self.desk.tables = mended = fresh.apply(tidy(fresh, self.desk.now))
        for each in operations.values():
            if each.state.ended:
                assert mended.operations[each.id] == each, "an ended operation was changed"
        self.ended = {each.id: each for each in mended.operations.values() if each.state.ended}
        self.before, self.change = mended, Change()

    def late(self, choose: Choose) -> None:
        """So much time has passed; what waited too long ends, and nothing else."""
        self.desk.now += timedelta(seconds=choose((0, 20, 40)))
        change = late(self.tables, self.desk.now, 30.0, choose((NOW, self.desk.now)))
        waiting = {each for ids in self.tables.active.values() for each in ids[1:]}
        assert {each.id for each in change.operations} <= waiting
        desired = {row.id: row.desired for row in change.instances}
        assert all(self.tables.instances[each].desired is wish for each, wish in desired.items())
        self.apply(change)

    def sweep(self, choose: Choose) -> None:
        self.apply(sweep_operations(self.tables, choose(range(20)), self.desk.now))

    # --- what always holds -------------------------------------------------------------------

    @staticmethod
    def running(tables: Tables) -> Sequence[Operation]:
        return [
            operation
            for operation in tables.operations.values()
            if operation.state is OperationState.RUNNING
        ]

    def the_indexes_are_those_of_a_fresh_start(self) -> None:
        fresh = rebuilt(self.tables)
        assert self.tables.names == fresh.names
        assert self.tables.index == fresh.index
        assert self.tables.active == fresh.active
        assert self.tables.keys == fresh.keys

    def every_name_is_borne_once(self) -> None:
        live = self.tables.index.live.rows
        assert len({(row.owner, row.name) for row in live}) == len(live)
        assert all(row.name == row.config.name for row in live)

    def one_operation_runs_and_the_record_shows_its_step(self) -> None:
        for target, ids in self.tables.active.items():
            first, *rest = self.tables.active_of(target)
            assert ids
            assert first.state is OperationState.RUNNING
            assert all(each.state is OperationState.PENDING for each in rest)
            record = self.tables.instances[target]
            assert during(first, record, self.desk.now) == record

    def what_lies_in_the_trash_is_to_stay_there(self) -> None:
        """Else reconciliation would take it out again."""
        for row in self.tables.index.trash.rows:
            if row.id not in self.tables.active:
                assert row.desired is DesiredState.DELETED

    def there_is_nothing_to_tidy(self) -> None:
        assert tidy(self.tables, self.desk.now) == Change()

    def everything_can_be_deleted(self) -> None:
        for instance_id in self.tables.instances:
            desk = Desk(tables=self.tables)
            desk.number, desk.now = self.desk.number, self.desk.now
            operation = desk.ask(DELETE, instance_id, force=True)
            for _ in range(12):
                if instance_id not in desk.tables.instances:
                    break
                first = desk.tables.active_of(instance_id)[0]
                heard = first.cancel_requested and int(first.id[-1]) % 2
                desk.end(first, error=CANCELLED if heard else None)
            assert instance_id not in desk.tables.instances
            assert desk.of(operation).state is OperationState.SUCCEEDED

    def check(self) -> None:
        """Everything that holds after every single change."""
        self.the_indexes_are_those_of_a_fresh_start()
        self.every_name_is_borne_once()
        self.one_operation_runs_and_the_record_shows_its_step()
        self.what_lies_in_the_trash_is_to_stay_there()
        self.there_is_nothing_to_tidy()


DEEDS = (
    World.create,
    *[World.user] * 4,
    *[World.automatic] * 2,
    World.rule,
    World.cancel,
    *[World.outcome] * 4,
    World.all_goes_well,
    World.crash,
    World.late,
    World.sweep,
)
"""What can happen, each as often as it should."""
