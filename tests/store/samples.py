"""Records, events and stores for the tests of this room."""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from swarmd.messages.alert import Alert, AlertBook
from swarmd.messages.config import JournalConfig
from swarmd.messages.enums import (
    AlertSeverity,
    AlertState,
    AlertType,
    DesiredState,
    EventType,
    InstanceStatus,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.events import Event
from swarmd.messages.instance import Auth, Instance, InstanceConfig, Reason, Resources
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.secret import Secret
from swarmd.messages.state import LoadedState
from swarmd.messages.units import Duration, Size
from swarmd.ports import Batch
from swarmd.store import FileStore
from swarmd.store.files import Files

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
IDS = itertools.count(1)
CALLER = Caller(name="ana", uid=1000, gid=1000, pid=1)


@dataclass
class SetClock:
    """A wall clock that stands where it was set."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return time.monotonic()

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def instance(instance_id: str, **changes: Any) -> Instance:
    values: dict[str, Any] = {
        "id": instance_id,
        "name": f"web-{instance_id}",
        "owner": "ana",
        "config": InstanceConfig(
            name=f"web-{instance_id}",
            provider="local",
            resources=Resources(cpu=1.0, memory=Size.parse("512m")),
            auth=Auth(credentials=Secret(f"password-of-{instance_id}")),
            labels={"team": "red"},
        ),
        "provider": "local",
        "provider_type": "local",
        "desired": DesiredState.RUNNING,
        "status": InstanceStatus.RUNNING,
        "created_at": NOW,
        "updated_at": NOW,
        "node": "node-1",
    }
    return Instance(**(values | changes))


def operation(operation_id: str, **changes: Any) -> Operation:
    values: dict[str, Any] = {
        "id": operation_id,
        "kind": OperationKind.CREATE,
        "target": "i1",
        "target_ref": "ana/web",
        "owner": "ana",
        "state": OperationState.RUNNING,
        "origin": Origin.USER,
        "caller": CALLER,
        "created_at": NOW,
    }
    return Operation(**(values | changes))


def ended(operation_id: str, number: int = 0) -> Operation:
    at = NOW + timedelta(seconds=number)
    return operation(operation_id, state=OperationState.SUCCEEDED, ended_at=at)


def event(seq: int, target: str = "i1", **data: Any) -> Event:
    return Event(
        seq=seq,
        journal="journal",
        at=NOW,
        type=EventType.INSTANCE_UPDATED,
        target=target,
        owner="ana",
        data=data,
    )


def reason(why: str) -> Reason:
    return Reason(at=NOW, what="started", why=why, by="ana")


def make_store(
    root: Path,
    *,
    clock: SetClock | None = None,
    files: Files | None = None,
    operations_kept: int = 100,
    story_length: int = 10,
    segment_size: int = 8 << 20,
    max_size: int = 256 << 20,
    retention: float = 604800,
    metrics_files: int = 100,
) -> FileStore:
    return FileStore(
        root,
        clock=clock or SetClock(),
        journal_config=JournalConfig(
            retention=Duration(retention), max_size=Size(max_size), segment_size=Size(segment_size)
        ),
        operations_kept=operations_kept,
        story_length=story_length,
        metrics_files=metrics_files,
        new_id=lambda: f"id-{next(IDS)}",
        files=files,
    )


@dataclass
class Opened:
    """An open store, its state at the start, and a way to write and wait."""

    store: FileStore
    state: LoadedState
    answers: queue.SimpleQueue[Exception | None] = field(default_factory=queue.SimpleQueue)

    def submit(self, **parts: Any) -> None:
        self.store.submit(Batch(**parts), self.answers.put)

    def answer(self) -> Exception | None:
        return self.answers.get(timeout=20)

    def try_write(self, **parts: Any) -> Exception | None:
        self.submit(**parts)
        return self.answer()

    def write(self, **parts: Any) -> None:
        error = self.try_write(**parts)
        if error is not None:
            raise error


def close(store: FileStore, seconds: float = 20) -> None:
    store.close(time.monotonic() + seconds)


@contextmanager
def opened(root: Path, *, set_aside: bool = False, **options: Any) -> Iterator[Opened]:
    store = make_store(root, **options)
    state = store.open(set_aside=set_aside)
    try:
        yield Opened(store, state)
    finally:
        close(store)


def alerts(*ids: str, ended: tuple[str, ...] = ()) -> AlertBook:
    """A book in which these go on, and those have ended."""

    def one(alert_id: str, state: AlertState) -> Alert:
        return Alert(
            id=alert_id,
            type=AlertType.PROVIDER_DOWN,
            severity=AlertSeverity.ERROR,
            state=state,
            subject="local",
            target=alert_id,
            message="it is down",
            raised_at=NOW,
        )

    return AlertBook(
        active=tuple(one(each, AlertState.ACTIVE) for each in ids),
        resolved=tuple(one(each, AlertState.RESOLVED) for each in ended),
    )


def put_file(root: Path, name: str, content: bytes) -> Path:
    """Put a file into a state directory."""
    path = root / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def write_one(root: Path) -> None:
    """A state with one of each."""
    with opened(root) as store:
        store.write(
            operations=(operation("o1"),),
            instances=(instance("i1"),),
            events=(event(1),),
            providers=(ProviderRecord(name="local", type="local", options={"a": 1}),),
            alerts=alerts("a1"),
        )
