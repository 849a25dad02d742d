"""The table of instances as it was, folded from events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from swarmd.core.past import Moment, later, opened, page_of
from swarmd.errors import ValidationError
from swarmd.messages.enums import DesiredState, EventType, HealthStatus, InstanceStatus
from swarmd.messages.events import Event, TableRow
from swarmd.messages.requests import EventsAt

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def row(name: str, **facts: Any) -> TableRow:
    facts.setdefault("status", InstanceStatus.RUNNING)
    return TableRow(
        id=name,
        owner="ana",
        name=name,
        provider="local",
        desired=DesiredState.RUNNING,
        health=HealthStatus.HEALTHY,
        **facts,
    )


def event(seq: int, kind: EventType, target: str | None = "web", **data: Any) -> Event:
    return Event(
        seq=seq,
        journal="j",
        at=AT + timedelta(seconds=seq),
        type=kind,
        target=target,
        ref=None if target is None else f"ana/{target}",
        owner="ana",
        data=data,
    )


BEGIN = opened([row("web"), row("old", status=InstanceStatus.DELETED)], 10, AT)
MADE = {"name": "docs", "status": "creating", "provider": "box"}


def shown(moment: Moment) -> dict[str, tuple[str, str, str]]:
    return {
        each.name: (str(each.status), str(each.health), each.provider)
        for each in moment.rows.values()
    }


WEB = ("running", "healthy", "local")


@pytest.mark.parametrize(
    ("events", "rows"),
    [
        ((), {"web": WEB}),
        (
            (event(11, EventType.INSTANCE_STATUS_CHANGED, status="stopped", provider="local"),),
            {"web": ("stopped", "healthy", "local")},
        ),
        (
            (event(11, EventType.INSTANCE_HEALTH_CHANGED, health="unhealthy"),),
            {"web": ("running", "unhealthy", "local")},
        ),
        (
            (event(11, EventType.OPERATION_STARTED, "docs", **MADE),),
            {"web": WEB, "docs": ("creating", "unknown", "box")},
        ),
        ((event(11, EventType.INSTANCE_DELETED, status="deleted", provider="local"),), {}),
        ((event(11, EventType.INSTANCE_PURGED),), {}),
        (
            (
                event(11, EventType.INSTANCE_PURGED),
                event(12, EventType.INSTANCE_STATUS_CHANGED, status="deleting", provider="local"),
            ),
            {},
        ),
        (
            (
                event(11, EventType.INSTANCE_DELETED, status="deleted", provider="local"),
                event(12, EventType.INSTANCE_UPDATED, status="stopped", provider="local"),
            ),
            {"web": ("stopped", "unknown", "local")},
        ),
        ((event(11, EventType.DAEMON_STATE_CHANGED, None, state="ready"),), {"web": WEB}),
        ((event(11, EventType.PROVIDER_UPDATED, "box", provider="box"),), {"web": WEB}),
        ((event(11, EventType.INSTANCE_STATUS_CHANGED, status="of tomorrow"),), {"web": WEB}),
        ((event(9, EventType.INSTANCE_PURGED),), {"web": WEB}),
    ],
)
def test_what_an_event_leaves(events: tuple[Event, ...], rows: dict[str, Any]) -> None:
    after = later(BEGIN, events)
    assert shown(after) == rows
    assert shown(BEGIN) == {"web": WEB}  # the table before is as it was
    assert not after.gap


def test_a_missing_number_is_a_gap() -> None:
    after = later(BEGIN, [event(12, EventType.INSTANCE_HEALTH_CHANGED, health="degraded")])
    assert (after.seq, after.at, after.gap) == (12, AT + timedelta(seconds=12), True)
    assert later(after, [event(13, EventType.ACTOR_RESTARTED, None)]).gap


def test_pages() -> None:
    moment = opened([row("b"), row("a"), row("c")], 3, AT)
    first = page_of(moment, "j", EventsAt(limit=2))
    assert ([each.name for each in first.items], first.total) == (["a", "b"], 3)
    rest = page_of(moment, "j", EventsAt(limit=2, cursor=first.next_cursor))
    assert ([each.name for each in rest.items], rest.next_cursor) == (["c"], None)
    with pytest.raises(ValidationError) as caught:
        page_of(moment, "j", EventsAt(cursor="x"))
    assert caught.value.field == "cursor"
