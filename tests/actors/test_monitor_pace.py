"""When a monitor asks: in time for what was promised, and never two at a time."""

from __future__ import annotations

import time
from datetime import timedelta

from msgspec.structs import replace

from swarmd.actors.base import Tick
from swarmd.actors.heard import Noticed
from swarmd.actors.monitor import TICK_SECONDS
from swarmd.messages.enums import HealthStatus
from swarmd.messages.instance import HealthCheck, InstanceConfig
from swarmd.messages.units import Duration
from tests.actors.health_kit import NO, YES, ask, later, running, watched
from tests.actors.kit import AT
from tests.support import wait_until

HEALTHY = HealthStatus.HEALTHY


def test_its_interval_is_its_own() -> None:
    quick = InstanceConfig(name="q", health=HealthCheck(interval=Duration(1)))
    bench = watched(running(1), running(2, config=quick))
    ask(bench, YES)
    later(bench, 3.0)
    assert len(bench.probe.open) == 1
    later(bench, 60.0)
    assert len(bench.probe.open) == 2


def test_what_is_due_before_the_next_tick_is_asked_at_this_one() -> None:
    bench = watched(check_interval=Duration(30), timeout=Duration(5), failures=3)
    ask(bench, YES)
    later(bench, 0.8 * (30 - 5 / 3) - TICK_SECONDS - 0.01)
    assert not bench.probe.open
    later(bench, 0.2 * (30 - 5 / 3) + 0.01)
    assert len(bench.probe.open) == 1


def test_a_timeout_is_no_reason_to_ask_later() -> None:
    bench = watched(check_interval=Duration(10), timeout=Duration(5), failures=3)
    later(bench)
    later(bench, 5.0)
    bench.probe.answer(NO)
    bench.settle()
    assert not bench.probe.open
    later(bench, 10 - 5 / 3 - 5.0)
    assert len(bench.probe.open) == 1


def test_what_took_longer_than_its_pace_is_asked_again_at_once() -> None:
    bench = watched(check_interval=Duration(0.2), timeout=Duration(0.2), failures=3)
    asked = time.monotonic()
    bench.settle(Tick(asked))
    assert len(bench.probe.open) == 1
    wait_until(lambda: time.monotonic() - asked > 0.2)
    bench.probe.answer(NO)
    bench.settle()
    assert len(bench.probe.open) == 1


def test_one_started_anew_while_it_was_asked_is_asked_again_at_once() -> None:
    bench = watched()
    later(bench)
    bench.change(replace(bench.row(), started_at=AT + timedelta(minutes=59)))
    bench.settle(Noticed("i1"))
    assert bench.probe.answer(NO) == 1
    bench.settle()
    assert bench.probe.answer(YES) == 1
    bench.settle()
    assert bench.row().health is HEALTHY
