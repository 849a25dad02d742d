"""Leases: what is asked for, what is written, what is refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from swarmd.core.idle.lease import keep, until_of
from swarmd.errors import InstanceNotFound, ValidationError
from swarmd.messages.enums import EventType
from swarmd.messages.requests import KeepInstance
from swarmd.messages.units import Duration
from tests.core.desk import ANA, Desk
from tests.core.samples import NOW, instance, later, make_id

WEB = make_id(1)


def wanted(**values: Any) -> datetime | None:
    return until_of(KeepInstance(id="web", **values), NOW)


def test_until_when() -> None:
    assert wanted(duration=Duration(7200)) == later(7200)
    assert wanted(until=later(60)) == later(60)
    assert wanted(duration=Duration(0)) is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "duration"),
        ({"duration": Duration(1), "until": later(1)}, "duration"),
        ({"duration": Duration(1e15)}, "duration"),
        ({"until": NOW}, "until"),
        ({"until": later(-5)}, "until"),
        ({"until": NOW + timedelta(days=3651)}, "until"),
    ],
)
def test_what_is_refused(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        wanted(**values)
    assert caught.value.field == field
    assert caught.value.next_step


def test_it_is_written_told_and_in_the_story() -> None:
    desk = Desk(instance())
    desk.apply(keep(desk.tables, WEB, later(7200), ANA, NOW))
    assert desk.record().keep_until == later(7200)
    [event] = desk.events
    assert (event.type, event.caller) == (EventType.INSTANCE_KEPT, "ana")
    assert event.data["until"] == later(7200)
    [(_, reason)] = desk.reasons
    assert (reason.what, reason.by) == ("kept until 2026-01-31 14:00:00 UTC", "ana")
    desk.apply(keep(desk.tables, WEB, None, ANA, later(5)))
    assert desk.record().keep_until is None
    assert desk.reasons[-1][1].what == "kept no longer"
    desk.apply(keep(desk.tables, WEB, None, ANA, later(6)))
    assert desk.reasons[-1][1].why.endswith("there was no lease")


def test_of_what_is_gone() -> None:
    with pytest.raises(InstanceNotFound):
        keep(Desk().tables, WEB, later(1), ANA, NOW)
