"""Safety and liveness of reconcile: a model world to which plans are applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.core.lifecycle import move
from swarmd.core.reconcile import Facts, Plan, reconcile
from swarmd.core.sight import follow, lost_failure, settle
from swarmd.messages.enums import DesiredState, InstanceStatus
from swarmd.messages.instance import Instance, replace
from swarmd.messages.provider import Observed
from tests.core.samples import NODE, NOW, OBSERVED, instance, later, make_id, observed

PROVIDERS = ("local", "box1")
COPIES = 5
ROUNDS = 12 + 2 * COPIES
"""Of five minutes: the trash is over in the twelfth, and of what its end leaves one is dealt with
in each that follows."""


@dataclass
class World:
    """Records on one side, what the providers have on the other."""

    records: dict[str, Instance]
    things: dict[str, list[Observed]]
    silent: frozenset[str]
    busy: frozenset[str]
    tombstones: frozenset[str]
    now: datetime = NOW
    absences: Counter[str] = field(default_factory=Counter)
    denied: set[str] = field(default_factory=set)
    attempts: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def plan(self, chance: float = 0.5, asked: Sequence[str] = PROVIDERS) -> Plan:
        """What is to be done once these have told what they have."""
        facts = Facts(
            records=self.records,
            busy=self.busy,
            observed={p: None if p in self.silent else tuple(self.things[p]) for p in asked},
            absences=self.absences,
            confirmed_absent=frozenset(self.denied),
            tombstones=self.tombstones,
            attempts=self.attempts,
            node=NODE,
            now=self.now,
            trash_retention=3600.0,
            chance=chance,
        )
        return reconcile(facts)

    def count_absences(self, asked: Sequence[str] = PROVIDERS) -> None:
        for record in self.records.values():
            if record.provider not in asked:
                continue
            there = any(t.id == record.id for t in self.things.get(record.provider, ()))
            self.absences[record.id] = 0 if there else self.absences[record.id] + 1

    def apply(self, plan: Plan) -> None:
        for instance_id, what in (*plan.observe, *plan.adopt):
            self.records[instance_id] = settle(self.records[instance_id], what, now=self.now)
        for instance_id in plan.lost:
            record = self.records[instance_id]
            self.records[instance_id] = move(
                record, InstanceStatus.ERROR, now=self.now, last_error=lost_failure(record)
            )
        for found in plan.follow:
            record, there = self.records[found.observed.id], found.observed
            self.records[record.id] = follow(record, found.provider, "docker", there, self.now)
        automatic = {
            InstanceStatus.RUNNING: plan.start,
            InstanceStatus.CREATED: plan.recreate,
            InstanceStatus.STOPPED: plan.restore,
            InstanceStatus.DELETED: plan.delete,
        }
        for status, ids in automatic.items():
            for instance_id in ids:
                self.automatic(instance_id, status)
        for instance_id in plan.stop:
            self.become(instance_id, InstanceStatus.STOPPED)
        for undo in plan.undo:
            self.change(
                undo.provider,
                undo.observed,
                lambda t: msgspec.structs.replace(t, status=InstanceStatus.STOPPED),
                remove=undo.remove,
            )
        for found in plan.sweep:
            self.change(found.provider, found.observed, lambda t: t, remove=True)
        for instance_id in plan.purge:
            record = self.records.pop(instance_id)
            kept = [t for t in self.things[record.provider] if t.id != record.id or t.node != NODE]
            self.things[record.provider] = kept
        self.denied.update(plan.confirm)

    def change(
        self,
        provider: str,
        thing: Observed,
        how: Callable[[Observed], Observed],
        *,
        remove: bool = False,
    ) -> None:
        things = self.things[provider]
        at = things.index(thing)
        things[at : at + 1] = [] if remove else [how(thing)]

    def automatic(self, instance_id: str, status: InstanceStatus) -> None:
        count, _ = self.attempts.get(instance_id, (0, self.now))
        self.attempts[instance_id] = (count + 1, self.now)
        self.become(instance_id, status)

    def become(self, instance_id: str, status: InstanceStatus) -> None:
        """What the provider does for an operation, and the record after it."""
        record = self.records[instance_id]
        own = [t for t in self.things[record.provider] if t.id == record.id and t.node == NODE]
        current = max(own, key=lambda t: t.epoch)
        after = msgspec.structs.replace(
            current, status=status, complete=True, epoch=max(record.epoch, current.epoch)
        )
        self.change(record.provider, current, lambda _: after)
        self.records[instance_id] = settle(record, after, now=self.now)


nodes = st.sampled_from([NODE, NODE, NODE, "node-b"])
epochs = st.integers(1, 3)


@st.composite
def records(draw: st.DrawFn, number: int) -> Instance:
    status = draw(st.sampled_from(InstanceStatus))
    made = instance(
        number,
        name=f"n{number}",
        provider=draw(st.sampled_from(PROVIDERS)),
        desired=draw(st.sampled_from(DesiredState)),
        status=status,
        epoch=draw(epochs),
        node=draw(nodes),
        deleted_at=later(-draw(st.integers(0, 7200))) if status == "deleted" else None,
    )
    lost = status == InstanceStatus.ERROR and draw(st.booleans())
    return replace(made, last_error=lost_failure(made)) if lost else made


@st.composite
def worlds(draw: st.DrawFn) -> World:
    numbers = range(draw(st.integers(1, 4)))
    ids = [make_id(n) for n in numbers]
    things = st.builds(
        lambda n, epoch, status, node, complete: observed(
            n, epoch=epoch, status=status, node=node, complete=complete
        ),
        st.sampled_from(numbers),
        epochs,
        st.sampled_from(OBSERVED),
        nodes,
        st.sampled_from([True, True, False]),
    )
    some = st.frozensets(st.sampled_from(ids), max_size=1)
    return World(
        records={make_id(n): draw(records(n)) for n in numbers if draw(st.booleans())},
        things={p: draw(st.lists(things, max_size=COPIES)) for p in PROVIDERS},
        silent=draw(st.frozensets(st.sampled_from(PROVIDERS), max_size=1)),
        busy=draw(some),
        tombstones=draw(st.frozensets(st.sampled_from(ids))),
    )


def acting(plan: Plan) -> list[str]:
    return [
        *plan.start, *plan.stop, *plan.recreate, *plan.restore, *plan.delete, *plan.purge,
        *(undo.observed.id for undo in plan.undo), *(found.observed.id for found in plan.sweep),
    ]  # fmt: skip


def mentioned(plan: Plan) -> set[str]:
    return {
        *acting(plan), *plan.lost, *plan.confirm, *(i for i, _ in plan.observe),
        *(i for i, _ in plan.adopt), *(i for i, _ in plan.wait),
    }  # fmt: skip


def check_safety(world: World, plan: Plan) -> None:
    """What no plan may ever do, whatever it was made from."""
    assert max(Counter(acting(plan)).values(), default=0) <= 1
    assert not mentioned(plan) & world.busy
    for instance_id in plan.start:
        assert world.records[instance_id].desired == DesiredState.RUNNING
    for instance_id in (*plan.recreate, *plan.restore):
        assert world.records[instance_id].desired != DesiredState.DELETED
    for instance_id in plan.delete:
        assert world.records[instance_id].desired == DesiredState.DELETED
    for instance_id in plan.purge:
        assert world.records[instance_id].desired == DesiredState.DELETED
        in_trash = world.records[instance_id].status == InstanceStatus.DELETED
        assert in_trash or instance_id in world.denied
    for instance_id, record in world.records.items():
        if record.node != NODE:
            assert instance_id not in mentioned(plan)
        elif record.provider in world.silent:
            # Its copies elsewhere are known all the same; of itself nothing is concluded.
            copies = {undo.observed.id for undo in plan.undo if undo.provider != record.provider}
            assert instance_id not in mentioned(plan) - copies
    check_follow(world, plan)
    check_ends(world, plan)


def check_ends(world: World, plan: Plan) -> None:
    for found in plan.sweep:
        check_removal(world, found.observed)
        assert found.observed.complete
    for undo in plan.undo:
        assert undo.observed.node == NODE
        if undo.remove:
            check_removal(world, undo.observed)
            assert not undo.observed.complete
        else:
            assert undo.observed.epoch < world.records[undo.observed.id].epoch


def check_follow(world: World, plan: Plan) -> None:
    for found in plan.follow:
        record = world.records[found.observed.id]
        assert found.provider != record.provider
        assert found.observed.node == NODE
        assert found.observed.complete
        assert found.observed.epoch > record.epoch
        assert record.id not in world.busy


def check_removal(world: World, thing: Observed) -> None:
    assert thing.node == NODE
    assert thing.id in world.tombstones
    assert thing.id not in world.records


TOGETHER = ((PROVIDERS),)
ONE_BY_ONE = tuple((provider,) for provider in PROVIDERS)


@settings(max_examples=300, deadline=None)
@given(worlds(), st.floats(0, 1, exclude_max=True), st.sampled_from((TOGETHER, ONE_BY_ONE)))
def test_safe_and_idempotent_and_converges(
    world: World, chance: float, turns: Sequence[Sequence[str]]
) -> None:
    """Whether all providers tell at once, or each for itself as they do."""
    foreign = {p: [t for t in world.things[p] if t.node != NODE] for p in PROVIDERS}
    untouched = {p: list(world.things[p]) for p in world.silent}
    for _ in range(ROUNDS):
        for asked in turns:
            world.count_absences(asked)
            plan = world.plan(chance, asked)
            check_safety(world, plan)
            assert world.plan(chance, asked) == plan
            world.apply(plan)
        world.now += timedelta(seconds=301)
    world.count_absences()
    last = world.plan(chance)
    assert not last.counts().keys() - {"stray", "purge"}, last
    assert {p: [t for t in world.things[p] if t.node != NODE] for p in PROVIDERS} == foreign
    assert {p: list(world.things[p]) for p in world.silent} == untouched
    check_agreement(world)


def check_agreement(world: World) -> None:
    """Where nothing is left to do, reality is what was wished for."""
    for record in world.records.values():
        if record.id in world.busy or record.provider in world.silent or record.node != NODE:
            continue
        own = [t for t in world.things[record.provider] if t.id == record.id and t.node == NODE]
        current = max(own, key=lambda t: t.epoch, default=None)
        check_one_owner(world, record)
        if current is None or not current.complete:
            continue
        runs = current.status == InstanceStatus.RUNNING
        wished = record.desired == DesiredState.RUNNING
        # One whose start failed is held for a human.
        held = wished and record.status == InstanceStatus.ERROR
        assert runs == (wished and not held)
        gone = current.status == InstanceStatus.DELETED
        assert gone == (record.desired == DesiredState.DELETED)
        if runs:
            assert record.status == InstanceStatus.RUNNING


def check_one_owner(world: World, record: Instance) -> None:
    """Of all that bears its id and epochs of its own, the newest alone may run, and is recorded."""
    answered = [p for p in PROVIDERS if p not in world.silent]
    ours = [
        (p, t) for p in answered for t in world.things[p] if t.id == record.id and t.node == NODE
    ]
    for provider, thing in ours:
        if thing.epoch < record.epoch:
            assert thing.status != InstanceStatus.RUNNING
        if provider != record.provider and thing.complete:
            assert thing.epoch <= record.epoch
