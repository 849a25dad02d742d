"""What is wrong, and what first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from swarmd.messages import codec
from swarmd.messages.alert import Alert
from swarmd.messages.enums import (
    AlertSeverity,
    AlertState,
    AlertType,
    BreakerState,
    DaemonState,
    EventType,
    HealthStatus,
    InstanceStatus,
    OperationKind,
    OperationState,
)
from swarmd.messages.events import Event
from swarmd.messages.instance import Failure, Instance
from swarmd.messages.provider import BreakerInfo
from tests.tui import scene
from tui.model.rows import FIELDS, row_of
from tui.model.snapshot import Link, LinkState, Snapshot
from tui.model.summary import counts, next_steps, verdict
from tui.model.text import plain
from tui.model.trouble import SHOWN, Kind, troubles
from tui.views.instance import TABS

HELD = Failure(type="provider_error", message="it is held", details={"held": True})
BROKEN = Failure(type="provider_error", message="no disk")
WEB = scene.instance("web", number=1)


def snapshot(*instances: Instance, **facts: Any) -> Snapshot:
    rows = []
    for each in instances:
        data = codec.to_plain(each)
        rows.append(row_of({field: data.get(field) for field in FIELDS}))
    facts.setdefault("status", scene.status(instances))
    facts.setdefault("providers", {"local": scene.provider("local")})
    return Snapshot(
        link=Link(state=LinkState.ONLINE),
        loaded=True,
        instances={row.id: row for row in rows},
        **facts,
    )


def with_status(**facts: Any) -> Snapshot:
    return snapshot(WEB, status=scene.status([WEB], **facts))


def ill(name: str, number: int, **facts: Any) -> Instance:
    return scene.instance(name, number=number, **facts)


UNHEALTHY = ill("sick", 2, health=HealthStatus.UNHEALTHY)
ERROR = ill("broken", 3, status=InstanceStatus.ERROR, last_error=BROKEN)
LOOP = ill("loop", 4, status=InstanceStatus.ERROR, last_error=HELD, health=HealthStatus.UNHEALTHY)
DOWN = {"box1": scene.provider("box1", "docker", ok=False)}
OFF = {"box1": scene.provider("box1", "docker", ok=False, enabled=False)}
OPEN = {
    "box1": scene.provider(
        "box1", "docker", breaker=BreakerInfo(state=BreakerState.OPEN, last_error="no answer")
    )
}
STUCK = scene.operation(1, OperationKind.CREATE, WEB, started_at=scene.ago(600))
LATE = scene.operation(2, OperationKind.STOP, WEB, deadline=scene.ago(1))
FRESH = scene.operation(3, OperationKind.STOP, WEB)
DONE = scene.operation(
    4, OperationKind.STOP, WEB, started_at=scene.ago(600), state=OperationState.SUCCEEDED
)
FULL = ("the state cannot be written: No space left on device",)

CASES: list[tuple[Snapshot, list[tuple[Kind, str]]]] = [
    (snapshot(WEB), []),
    (snapshot(), []),
    (
        replace(snapshot(WEB), link=Link(state=LinkState.ABSENT, message="nobody answers")),
        [(Kind.DAEMON, "daemon")],
    ),
    (
        replace(snapshot(WEB), link=Link(state=LinkState.LOST, message="it broke")),
        [(Kind.DAEMON, "daemon")],
    ),
    (replace(snapshot(WEB), link=Link(state=LinkState.CONNECTING)), []),
    (with_status(state=DaemonState.FAILED), [(Kind.DAEMON, "daemon")]),
    (snapshot(WEB, providers=DOWN), [(Kind.PROVIDER, "provider")]),
    (snapshot(WEB, providers=OFF), [(Kind.NOTE, "providers")]),
    (snapshot(WEB, providers=OPEN), [(Kind.PROVIDER, "provider")]),
    (snapshot(LOOP), [(Kind.HELD, "instance")]),
    (snapshot(UNHEALTHY), [(Kind.UNHEALTHY, "instance")]),
    (snapshot(ERROR), [(Kind.UNHEALTHY, "instance")]),
    (snapshot(WEB, operations={STUCK.id: STUCK}), [(Kind.STUCK, "operations")]),
    (snapshot(WEB, operations={LATE.id: LATE}), [(Kind.STUCK, "operations")]),
    (snapshot(WEB, operations={FRESH.id: FRESH, DONE.id: DONE}), []),
    (with_status(state=DaemonState.DEGRADED, reasons=FULL), [(Kind.DISK, "daemon")]),
    (
        with_status(state=DaemonState.DEGRADED, reasons=("actor registry is hung",)),
        [(Kind.NOTE, "daemon")],
    ),
    (
        snapshot(
            UNHEALTHY, LOOP, providers=DOWN, operations={STUCK.id: STUCK},
            status=scene.status((), state=DaemonState.DEGRADED, reasons=FULL),
        ),
        [
            (Kind.PROVIDER, "provider"), (Kind.HELD, "instance"), (Kind.UNHEALTHY, "instance"),
            (Kind.STUCK, "operations"), (Kind.DISK, "daemon"),
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("known", "expected"), CASES)
def test_the_order(known: Snapshot, expected: list[tuple[Kind, str]]) -> None:
    found = troubles(known, scene.NOW)
    assert [(each.kind, each.place.view if each.place else "") for each in found] == expected
    assert all(each.what and each.todo for each in found)
    assert len({each.key for each in found}) == len(found)


def test_of_many_the_longest_are_named() -> None:
    many = [ill(f"i{at:03}", at, health=HealthStatus.UNHEALTHY) for at in range(1, 301)]
    found = troubles(snapshot(*many), scene.NOW)
    assert len(found) == SHOWN + 1
    assert found[-1].what.startswith(f"and {300 - SHOWN} more instances")
    assert found[-1].place is not None
    assert found[-1].place.view == "instances"


def test_enter_leads_to_the_row() -> None:
    alerts = {each.id: each for each in map(alert, range(1, 6))}
    stuck = [scene.operation(at, OperationKind.STOP, WEB, started_at=scene.ago(600 + at))
             for at in range(1, 6)]  # fmt: skip
    many = [ill(f"i{at}", at, health=HealthStatus.UNHEALTHY) for at in range(1, 6)]
    known = snapshot(*many, alerts=alerts, operations={each.id: each for each in stuck})
    found = {each.key: each.place for each in troubles(known, scene.NOW) if each.place}
    assert found["alert:a1"].row == "a1"
    assert found[f"operation:{stuck[4].id}"].row == stuck[4].id
    more = {each.view: (each.row, each.sort) for key, each in found.items() if "more:" in key}
    assert more == {
        "instances": (many[3].id, "health"),
        "alerts": ("a4", "state"),
        "operations": (stuck[1].id, "state"),
    }


def test_the_key_that_tells_why_is_the_one_that_does() -> None:
    (found,) = troubles(snapshot(LOOP), scene.NOW)
    (key,) = [key for name, _, key in TABS if name == "story"]
    assert f"Look why ({key} there)" in found.todo


def alert(number: int) -> Alert:
    return Alert(
        id=f"a{number}",
        type=AlertType.DISK_FULL,  # which has a place of its own in the order
        severity=AlertSeverity.ERROR,
        state=AlertState.ACTIVE,
        target="",
        subject="",
        message="a disk is full",
        raised_at=scene.ago(100 - number),
    )


def test_since_when_a_provider_is_down() -> None:
    def told(seq: int, *, ok: bool) -> Event:
        return Event(
            seq=seq, journal="j", at=scene.ago(100 - seq), type=EventType.PROVIDER_UPDATED,
            target="box1", data={"ok": ok},
        )  # fmt: skip

    events = (told(1, ok=False), told(2, ok=True), told(3, ok=False))
    (found,) = troubles(snapshot(WEB, providers=DOWN, events=events), scene.NOW)
    assert found.since == scene.ago(97)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (snapshot(WEB), "All is well."),
        (snapshot(UNHEALTHY), "One thing needs you."),
        (snapshot(UNHEALTHY, LOOP), "2 things need you, the first first."),
        (with_status(state=DaemonState.DEGRADED, reasons=("actor x is hung",)), "All runs;"),
        (Snapshot(), "Connecting"),
    ],
)
def test_the_verdict(known: Snapshot, words: str) -> None:
    assert words in plain(verdict(troubles(known, scene.NOW), known))


def test_the_counts() -> None:
    said = [plain(line) for line in counts(snapshot(*scene.a_class()), scene.NOW)]
    assert said[0] == "Instances   6  1 starting · 3 running · 1 stopped · 1 error"
    assert said[1] == "Health      2 healthy · 1 degraded of those that run"
    assert said[-1].startswith("Daemon      ready · swarmd 1.0.0 · up 1d 1h")
    assert list(counts(Snapshot(), scene.NOW)) == []


@pytest.mark.parametrize(
    ("known", "fits"),
    [
        (snapshot(), lambda text: "press c to create your first instance" in text),
        (snapshot(WEB), lambda text: "all instances" in text),
        (Snapshot(), lambda text: "ctrl+r" in text),
    ],
)
def test_what_to_do_next(known: Snapshot, fits: Callable[[str], bool]) -> None:
    assert fits(plain(next_steps(known)))


def test_a_swarm_that_takes_nothing_new_is_worth_a_look() -> None:
    closed = {"local": scene.provider("local", cordoned=True)}
    (found,) = troubles(snapshot(providers=closed), scene.NOW)
    assert found.kind is Kind.NOTE
    assert "takes anything new" in found.what
    closed["box1"] = scene.provider("box1", enabled=False)
    assert "or disabled" in troubles(snapshot(providers=closed), scene.NOW)[0].what
    closed["box2"] = scene.provider("box2")
    assert list(troubles(snapshot(providers=closed), scene.NOW)) == []
