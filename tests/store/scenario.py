"""A series of groups of batches, and every state that a crash in it may leave."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from swarmd.messages.alert import AlertBook
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.provider import ProviderRecord
from swarmd.ports import Batch, Store
from swarmd.store import FileStore
from swarmd.store.files import Files
from tests.store import samples
from tests.store.samples import alerts, ended, event, instance, operation, reason

STORY_LENGTH = 10
_STOPPED = {"status": InstanceStatus.STOPPED, "revision": 2}

GROUPS: tuple[tuple[Batch, ...], ...] = (
    (
        Batch(
            operations=(operation("o1"),),
            instances=(instance("i1"),),
            events=(event(1),),
            reasons=(("i1", reason("made")),),
        ),
    ),
    (
        Batch(
            operations=(operation("o2"),),
            instances=(instance("i2"),),
            events=(event(2), event(3)),
            reasons=(("i2", reason("made")), ("i1", reason("a neighbour came"))),
        ),
        Batch(operations=(operation("o3"), operation("o4")), instances=(instance("i3"),)),
        Batch(events=(event(4, pad="x" * 1200),), alerts=alerts("a1")),
    ),
    (
        Batch(
            operations=(ended("o1"),),
            instances=(instance("i1", **_STOPPED),),
            providers=(ProviderRecord(name="local", type="local", cordoned=True),),
            events=(event(5),),
            reasons=tuple(("i1", reason(f"line {n}")) for n in range(2 * STORY_LENGTH)),
        ),
    ),
    (
        Batch(
            operations=(ended("o2"),),
            drop_instances=("i2",),
            drop_operations=("o4",),
            events=(event(6),),
            alerts=alerts("a2", ended=("a1",)),
        ),
        Batch(instances=(instance("i3", **_STOPPED),), reasons=(("i3", reason("stopped")),)),
    ),
)


@dataclass(frozen=True)
class Picture:
    """What a reader of the store sees."""

    operations: dict[str, Any] = field(default_factory=dict)
    instances: dict[str, Any] = field(default_factory=dict)
    providers: tuple[ProviderRecord, ...] = ()
    alerts: AlertBook = AlertBook()
    last_seq: int = 0
    stories: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def without_stories(self) -> Picture:
        return replace(self, stories={})


def pictures() -> Iterator[tuple[int, Picture]]:
    """Every state on the way, each with the number of batches that may be acknowledged."""
    now, answered = Picture(), 0
    yield answered, now
    for group in GROUPS:
        for step in _steps(group):
            now = step(now)
            yield answered, now
        answered += len(group)
        yield answered, now


Step = Callable[[Picture], Picture]


def _steps(group: tuple[Batch, ...]) -> Iterator[Step]:
    """The steps of the order that DESIGN 5 wants, over all batches of a group."""
    for batch in group:
        for one in batch.operations:
            yield partial(_put, table="operations", key=one.id, value=one)
    for batch in group:
        if batch.providers is not None:
            yield partial(replace, providers=batch.providers)
    for batch in group:
        for made in batch.instances:
            yield partial(_put, table="instances", key=made.id, value=made)
    for batch in group:
        if batch.alerts is not None:
            yield partial(replace, alerts=batch.alerts)
    yield from _later_steps(group)


def _later_steps(group: tuple[Batch, ...]) -> Iterator[Step]:
    for batch in group:
        for told in batch.events:
            yield partial(replace, last_seq=told.seq)
    for key in dict.fromkeys(key for batch in group for key, _ in batch.reasons):
        for line in (why for batch in group for name, why in batch.reasons if name == key):
            yield partial(_told, key=key, line=line.why)
    for gone in (gone for batch in group for gone in batch.drop_instances):
        yield partial(_remove, table="instances", key=gone)
        yield partial(_remove, table="stories", key=gone)
    for gone in (gone for batch in group for gone in batch.drop_operations):
        yield partial(_remove, table="operations", key=gone)


def _put(now: Picture, *, table: str, key: str, value: object) -> Picture:
    changes: dict[str, Any] = {table: getattr(now, table) | {key: value}}
    return replace(now, **changes)


def _remove(now: Picture, *, table: str, key: str) -> Picture:
    left = {name: value for name, value in getattr(now, table).items() if name != key}
    changes: dict[str, Any] = {table: left}
    return replace(now, **changes)


def _told(now: Picture, *, key: str, line: str) -> Picture:
    lines = (*now.stories.get(key, ()), line)[-STORY_LENGTH:]
    return replace(now, stories=now.stories | {key: lines})


def look(store: Store, state: Any) -> Picture:
    """What this store tells."""
    ids = ("i1", "i2", "i3")
    stories = {key: tuple(one.why for one in store.story(key)) for key in ids}
    return Picture(
        operations={one.id: one for one in state.operations},
        instances={one.id: one for one in state.instances},
        providers=state.providers,
        alerts=state.alerts,
        last_seq=state.last_seq,
        stories={key: lines for key, lines in stories.items() if lines},
    )


def make(root: Path, files: Files | None = None) -> FileStore:
    return samples.make_store(root, files=files, story_length=STORY_LENGTH, segment_size=1024)


def play(store: Store, answered: Callable[[], object]) -> None:
    """Submit the groups, each whole while the writer reports the one before it."""
    finished = threading.Event()
    failures: list[Exception] = []

    def submit(number: int) -> None:
        if number == len(GROUPS):
            finished.set()
            return
        group = GROUPS[number]
        for place, batch in enumerate(group):
            last = place == len(group) - 1
            store.submit(batch, partial(done, number=number, last=last))

    def done(error: Exception | None, *, number: int, last: bool) -> None:
        if error is not None:
            failures.append(error)
            finished.set()
            return
        answered()
        if last:
            submit(number + 1)

    # The first group has one batch, and every other one is submitted on the writer's own
    # thread: so the groups are always these.
    submit(0)
    if not finished.wait(30):
        sys.exit("the series did not come to its end")
    if failures:
        raise failures[0]
