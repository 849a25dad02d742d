"""Whatever is wished, fails, is cancelled or cut off: operations end, and instances can go."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from swarmd.core.course import Outcome, Step, during
from swarmd.core.housekeeping import sweep_operations, tidy
from swarmd.core.lifecycle import can_move
from swarmd.core.steps import abandon, settle
from swarmd.core.tables import Change, Tables
from swarmd.core.wishes import Verdict, accept, request_cancel
from swarmd.errors import Conflict, InstanceNotFound, SwarmError
from swarmd.messages.enums import (
    DesiredState,
    InstanceStatus,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from tests.core.desk import ANA, BROKEN, CANCELLED, CREATE, DELETE, IMPORT, Desk, update_arguments
from tests.core.samples import instance, make_id, observed

NAMES = ("web", "api")
USER_KINDS = [kind for kind in OperationKind if kind not in (CREATE, IMPORT, OperationKind.PURGE)]
SEEN = (
    InstanceStatus.CREATED,
    InstanceStatus.RUNNING,
    InstanceStatus.STOPPED,
    InstanceStatus.ERROR,
    InstanceStatus.DELETED,
)
STARTED = (OperationKind.START, OperationKind.RESTART)
Records = tuple[dict[str, Instance], dict[str, Operation]]


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


class Operations(RuleBasedStateMachine):
    """Tables under everything that can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(
            instance(1),
            instance(2, status=InstanceStatus.DELETED, desired=DesiredState.DELETED),
            instance(3, name="api", status=InstanceStatus.ERROR),
        )
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
        if origin is not Origin.USER:
            assert after.desired is before.desired, "nobody asked for that"
        elif kind in STARTED:
            assert after.desired is DesiredState.RUNNING
        elif kind is OperationKind.STOP:
            assert after.desired is not DesiredState.RUNNING

    # --- wishes ------------------------------------------------------------------------------

    @precondition(lambda self: self.made < 5)
    @rule(
        name=st.sampled_from(NAMES),
        kind=st.sampled_from((CREATE, IMPORT)),
        start=st.booleans(),
    )
    def create(self, name: str, kind: OperationKind, start: bool) -> None:
        desired = DesiredState.RUNNING if start else DesiredState.STOPPED
        copy = Desk(tables=self.tables)
        copy.number, copy.now = self.desk.number, self.desk.now
        self.made += 1
        try:
            operation = copy.create(self.made, kind=kind, name=name, desired=desired, start=start)
        except Conflict:
            return
        self.desk.number = copy.number
        self.apply(
            Change(
                operations=(operation,),
                instances=(copy.record(self.made),),
                events=tuple(copy.events),
            )
        )

    def target(self, data: st.DataObject) -> str:
        """An instance, rather one of which something is under way."""
        busy, any_one = sorted(self.tables.active), data.draw(st.integers(0, 3)) == 0
        if busy and not any_one:
            return data.draw(st.sampled_from(busy))
        return data.draw(st.sampled_from([*sorted(self.tables.instances), make_id(99)]))

    @rule(
        data=st.data(),
        kind=st.sampled_from(USER_KINDS),
        force=st.booleans(),
        name=st.none() | st.sampled_from(NAMES),
    )
    def user(self, data: st.DataObject, kind: OperationKind, force: bool, name: str | None) -> None:
        target = self.target(data)
        arguments: dict[str, object] = {"force": force}
        if kind is OperationKind.UNDELETE:
            arguments = {"name": name}
        row = self.tables.instances.get(target)
        if kind is OperationKind.UPDATE and row is not None:
            config = msgspec.structs.replace(row.config, env={"N": str(self.desk.number)})
            arguments = update_arguments(config, restart=force)
        self.wished(kind, target, Origin.USER, **arguments)

    @rule(
        data=st.data(),
        kind=st.sampled_from([kind for kind in OperationKind if kind is not IMPORT]),
        origin=st.sampled_from((Origin.RECONCILE, Origin.RECOVERY)),
    )
    def automatic(self, data: st.DataObject, kind: OperationKind, origin: Origin) -> None:
        target = self.target(data)
        arguments: dict[str, object] = {"force": False}
        row = self.tables.instances.get(target)
        if kind is OperationKind.UPDATE and row is not None:
            arguments = update_arguments(row.config)
        self.wished(kind, target, origin, **arguments)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        active = [each for ids in self.tables.active.values() for each in ids]
        if active:
            operation_id = data.draw(st.sampled_from(sorted(active)))
            self.verdict(request_cancel(self.tables, operation_id, ANA))

    # --- outcomes ----------------------------------------------------------------------------

    @rule(
        data=st.data(),
        error=st.sampled_from((None, None, None, BROKEN, CANCELLED)),
        seen=st.none() | st.sampled_from(SEEN),
        lost=st.booleans(),
    )
    def outcome(
        self,
        data: st.DataObject,
        error: SwarmError | None,
        seen: InstanceStatus | None,
        lost: bool,
    ) -> None:
        running = self.running(self.tables)
        if not running:
            return
        operation = data.draw(st.sampled_from(running))
        sight = observed(status=seen) if seen else None
        step = Step(operation.step or "")
        waits = ("env",) if step is Step.UPDATE else ()
        result = Outcome(operation.id, step, sight, None, waits, error)
        how = abandon if lost and error is not None else settle
        self.apply(how(self.tables, result, self.desk.now))
        if self.tables.operations[operation.id].step != step:
            assert settle(self.tables, result, self.desk.now) == Change(), "a stale outcome"

    @rule(data=st.data())
    def all_goes_well(self, data: st.DataObject) -> None:
        """Up to the end of everything that is under way of one instance."""
        target = self.target(data)
        while waiting := self.tables.active_of(target):
            first = waiting[0]
            result = Outcome(first.id, Step(first.step or ""))
            self.apply(settle(self.tables, result, self.desk.now))

    # --- crashes -----------------------------------------------------------------------------

    @rule(at=st.integers(0, 6))
    def crash(self, at: int) -> None:
        """Killed in the middle of the last change: some of its files are there."""
        instances, operations = cut(self.before, self.change, at)
        fresh = Tables.build(
            instances.values(), operations.values(), self.tables.providers.values(), self.tables.seq
        )
        self.ended = {each.id: each for each in operations.values() if each.state.ended}
        self.desk.tables = fresh
        mended = fresh.apply(tidy(fresh, self.desk.now))
        for each in self.ended:
            assert mended.operations[each] == operations[each], "the tidying changed an ended one"
        self.ended = {each.id: each for each in mended.operations.values() if each.state.ended}
        self.desk.tables = self.before = mended
        self.change = Change()

    @rule(kept=st.integers(0, 20))
    def sweep(self, kept: int) -> None:
        self.apply(sweep_operations(self.tables, kept, self.desk.now))

    # --- what always holds -------------------------------------------------------------------

    @staticmethod
    def running(tables: Tables) -> Sequence[Operation]:
        return [
            operation
            for operation in tables.operations.values()
            if operation.state is OperationState.RUNNING
        ]

    @invariant()
    def the_indexes_are_those_of_a_fresh_start(self) -> None:
        fresh = rebuilt(self.tables)
        assert self.tables.names == fresh.names
        assert self.tables.index == fresh.index
        assert self.tables.active == fresh.active
        assert self.tables.keys == fresh.keys

    @invariant()
    def every_name_is_borne_once(self) -> None:
        live = self.tables.index.live.rows
        assert len({(row.owner, row.name) for row in live}) == len(live)
        assert all(row.name == row.config.name for row in live)

    @invariant()
    def one_operation_runs_and_the_record_shows_its_step(self) -> None:
        for target, ids in self.tables.active.items():
            first, *rest = self.tables.active_of(target)
            assert ids
            assert first.state is OperationState.RUNNING
            assert all(each.state is OperationState.PENDING for each in rest)
            record = self.tables.instances[target]
            assert during(first, record, self.desk.now) == record

    @invariant()
    def what_lies_in_the_trash_is_to_stay_there(self) -> None:
        """Else reconciliation would take it out again."""
        for row in self.tables.index.trash.rows:
            if row.id not in self.tables.active:
                assert row.desired is DesiredState.DELETED

    @invariant()
    def there_is_nothing_to_tidy(self) -> None:
        assert tidy(self.tables, self.desk.now) == Change()

    @invariant()
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


Operations.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestOperations = Operations.TestCase
