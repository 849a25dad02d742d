"""The use of instances as their monitor sees it: answers, commands, operations, leases, age."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.actors.base import Tick
from swarmd.actors.heard import Noticed
from swarmd.actors.uses import RunningCommands
from swarmd.errors import Conflict, ProviderError
from swarmd.messages.activity import LastActivity
from swarmd.messages.config import InstancesConfig
from swarmd.messages.enums import DesiredState, InstanceStatus, OperationKind, ProbeKind
from swarmd.messages.instance import HealthCheck, InstanceConfig
from swarmd.messages.units import Duration
from swarmd.ports import Answer
from tests.actors.health_kit import NO, Bench, FakeSession, running
from tests.actors.idle_kit import QUIET, Idle, command, told
from tests.actors.kit import AT, operation


def test_what_nobody_uses_is_stopped_once_its_server_has_said_so_again() -> None:
    bench = Idle()
    assert bench.next == ("stop", 100.0)
    bench.ask(seconds=60)
    assert bench.next == ("stop", 40.0)
    bench.tick(41)
    assert bench.stops() == []
    bench.hear(QUIET)
    [stop] = bench.stops()
    assert stop.reason.startswith("nobody used it for 1 min 41 s (last: swarmd began to watch it")
    assert stop.reason.endswith("idle_timeout 1 min 40 s; start it with swarmctl start ana/web1")
    assert stop.arguments["force"] is False


def test_it_is_asked_when_its_time_has_come_without_waiting_for_the_next_probe() -> None:
    bench = Idle()
    bench.clock.forward(101)
    bench.settle(Tick(bench.at))
    assert bench.stops() == []
    assert bench.hear(QUIET) == 1
    assert len(bench.stops()) == 1


def test_one_such_answer_is_not_enough() -> None:
    """Once a minute a server that is looked at calls itself expired, for a moment."""
    bench = Idle(idle_timeout=Duration(5))
    bench.ask(told("alive", 1), seconds=1)
    for seconds, count in ((6, 0), (1, 0), (1, 1)):
        bench.clock.forward(seconds)
        bench.settle(Tick(bench.at))
        assert bench.hear(told("expired", 1)) == 1
        assert len(bench.stops()) == count


def test_a_stop_is_wished_for_once_and_again_if_it_was_lost() -> None:
    bench = Idle()
    bench.ask(seconds=101)
    assert len(bench.stops()) == 1
    bench.ask(seconds=2)
    assert bench.stops() == []
    bench.ask(seconds=4)
    assert len(bench.stops()) == 1


def test_whoever_looks_at_it_keeps_it() -> None:
    bench = Idle()
    for number in range(10):
        bench.ask(told("alive", 1 + number), seconds=60)
    idle = bench.outlooks.get("i1")
    assert idle is not None
    assert (idle.used_by, bench.next) == ("a browser", ("stop", 100.0))
    bench.ask(told("expired", 10), seconds=99)
    assert bench.stops() == []
    # Came and went between two questions: its heartbeat is another one.
    bench.ask(told("expired", 11), seconds=50)
    bench.ask(told("expired", 11), seconds=99)
    assert bench.stops() == []
    bench.ask(told("expired", 11), seconds=3)
    assert len(bench.stops()) == 1


def test_a_command_keeps_it_until_it_ends() -> None:
    bench = Idle()
    bench.commands.listen(lambda row: bench.settle(Noticed(row.id, used="a command")))
    session = command(bench)
    for _ in range(5):
        bench.ask(seconds=90)
    assert bench.stops() == []
    idle = bench.outlooks.get("i1")
    assert idle is not None
    assert "a command runs in it" in idle.why
    session.close()
    session.close()
    assert bench.commands.count("i1") == 0
    bench.ask(seconds=99)
    assert bench.stops() == []
    bench.ask(seconds=3)
    assert len(bench.stops()) == 1


def test_a_command_that_begins_at_the_last_moment_keeps_it() -> None:
    bench = Idle()
    bench.ask(seconds=101)
    [submit] = bench.wishes()
    command(bench)
    with pytest.raises(Conflict):
        submit.decide(bench.published.tables)
    submit.refused(Conflict("it is used"))


def test_a_command_that_could_not_begin_counts_no_more() -> None:
    def fail() -> Any:
        raise ProviderError("no")

    heard: list[str] = []
    commands = RunningCommands()
    commands.listen(lambda row: heard.append(row.id))
    with pytest.raises(ProviderError):
        commands.run(running(), fail)
    assert (commands.count("i1"), heard) == (0, ["i1", "i1"])


def test_what_a_user_does_with_it_keeps_it() -> None:
    bench = Idle()
    bench.ask(seconds=90)
    bench.settle(Noticed("i1", used="update by ana"))
    bench.ask(seconds=90)
    assert bench.stops() == []
    assert bench.next == ("stop", 10.0)
    bench.settle(Noticed("i1"))
    assert bench.next == ("stop", 10.0)


def test_a_start_begins_anew() -> None:
    bench = Idle()
    bench.ask(seconds=90)
    bench.change(replace(bench.row(), started_at=AT + timedelta(days=1)))
    bench.settle(Noticed("i1"))
    bench.hear(QUIET)
    idle = bench.outlooks.get("i1")
    assert idle is not None
    assert (idle.used_by, bench.next) == ("its start", ("stop", 100.0))


def test_what_does_not_run_has_no_outlook() -> None:
    bench = Idle()
    down = {"status": InstanceStatus.STOPPED, "desired": DesiredState.STOPPED, "started_at": None}
    bench.change(replace(bench.row(), **down))
    bench.settle(Noticed("i1"))
    assert bench.outlooks.get("i1") is None
    bench.tick(1000)
    assert bench.stops() == []


def test_what_hangs_is_left_to_recovery() -> None:
    bench = Idle()
    bench.ask(NO, seconds=101)
    assert bench.wishes() == []
    assert bench.next == (None, None)
    bench.ask(NO, seconds=30)
    bench.ask(NO, seconds=30)
    bench.look()
    assert [each.decide(bench.published.tables) for each in bench.wishes()]  # a recovery
    idle = bench.outlooks.get("i1")
    assert idle is not None
    assert "unhealthy" in idle.why


def test_one_that_did_not_answer_is_not_asked_more_often_for_that() -> None:
    bench = Idle()
    bench.ask(NO, seconds=101)
    bench.clock.forward(5)
    bench.settle(Tick(bench.at))
    assert bench.probe.open == []


def test_a_provider_that_is_down_stops_nothing() -> None:
    bench = Idle()
    bench.look(ok=False)
    bench.tick(1000)
    assert bench.stops() == []
    assert bench.next == (None, None)
    bench.look()
    bench.hear(QUIET)
    bench.ask(seconds=3)
    assert len(bench.stops()) == 1  # its own heartbeat tells that nobody came meanwhile


def test_an_operation_under_way_goes_first() -> None:
    bench = Idle()
    row = bench.row()
    bench.change(operations=(operation("o1", row, kind=OperationKind.UPDATE),))
    bench.ask(seconds=1000)
    assert bench.stops() == []
    assert bench.next == (None, None)


def test_a_lease_keeps_it_and_its_end_lets_go() -> None:
    bench = Idle()
    bench.change(replace(bench.row(), keep_until=bench.clock.now() + timedelta(seconds=500)))
    bench.settle(Noticed("i1", used="keep by ana"))
    assert bench.next == ("stop", 500.0)
    for _ in range(4):
        bench.ask(seconds=120)
    assert bench.stops() == []
    bench.ask(seconds=21)
    assert len(bench.stops()) == 1


def test_an_age_is_told_and_then_ends_it_whoever_uses_it() -> None:
    bench = Idle(idle_timeout=Duration(0), max_age=Duration(1000))
    bench.ask(told("alive", 1), seconds=899)
    assert not any(each.startswith("will") for each in bench.story)
    bench.ask(told("alive", 2), seconds=2)
    assert bench.story[-1].startswith("will be stopped at ")
    bench.ask(told("alive", 3), seconds=50)
    assert [each for each in bench.story if each.startswith("will")] == bench.story[-1:]
    # A lease puts it off, and then it is told anew.
    bench.change(replace(bench.row(), keep_until=bench.clock.now() + timedelta(seconds=300)))
    bench.settle(Noticed("i1", used="keep by ana"))
    bench.ask(told("alive", 4), seconds=190)
    assert len([each for each in bench.story if each.startswith("will")]) == 1
    bench.ask(told("alive", 5), seconds=20)
    assert len([each for each in bench.story if each.startswith("will")]) == 2
    bench.tick(100)
    [stop] = bench.stops()
    assert stop.reason.startswith("it runs for 21 min")
    assert "max_age 16 min 40 s" in stop.reason


@pytest.mark.parametrize("probe", [ProbeKind.NONE, ProbeKind.TCP, ProbeKind.EXEC])
def test_what_does_not_tell_is_stopped_only_by_its_own_wish(probe: ProbeKind) -> None:
    check = HealthCheck(probe=probe, command=("true",) if probe is ProbeKind.EXEC else ())
    general = InstanceConfig(name="web1", health=check)
    own = replace(general, idle_timeout=Duration(100))
    for config, count in ((general, 0), (own, 1)):
        bench = Idle(running(config=config))
        bench.provider.session = FakeSession(0)
        for _ in range(5):
            bench.ask(Answer(ok=True, seconds=0.1, message="connected"), seconds=21)
        assert len(bench.stops()) == count


def test_a_changed_configuration_counts_at_once() -> None:
    bench = Idle()
    bench.instances = InstancesConfig()
    bench.tick(2)
    assert bench.next[0] is None
    bench.instances = InstancesConfig(idle_timeout=Duration(10))
    bench.tick(2)
    assert bench.next == ("stop", 6.0)


def test_an_update_of_its_own_rule_counts_at_once() -> None:
    bench = Idle()
    never = replace(bench.row().config, idle_timeout=Duration(0))
    bench.change(replace(bench.row(), config=never, revision=2))
    bench.settle(Noticed("i1", used="update by ana"))
    assert bench.next == (None, None)


def test_a_rule_of_a_thousand_years_harms_nobody() -> None:
    bench = Idle(idle_timeout=Duration(1e12), max_age=Duration(1e300))
    assert bench.next == ("stop", 100 * 365 * 86400.0)


# --- what is kept ----------------------------------------------------------------------------


def test_it_is_kept_with_its_health_and_taken_up_again() -> None:
    bench = Idle()
    bench.ask(told("alive", 7), seconds=50)
    bench.monitor.on_stop()
    assert bench.outlooks.get("i1") is None
    kept = bench.store.kept["i1"].activity
    assert kept is not None
    assert (kept.by, kept.heartbeat, kept.clock, kept.boot) == ("a browser", 7, 1050.0, "b1")


def test_over_a_restart_the_seconds_go_on() -> None:
    kept = LastActivity(
        at=AT, by="a browser", clock=940.0, boot="b1", life=AT, born=900.0, heartbeat=7
    )
    bench = Idle(kept=kept, first=told("expired", 7))
    assert bench.store.read == ["i1"]
    assert bench.next == ("stop", 40.0)
    bench.ask(told("expired", 8), seconds=10)
    assert bench.next == ("stop", 100.0)


def test_before_it_was_heard_nothing_is_stopped() -> None:
    kept = LastActivity(at=AT, by="x", clock=0.0, boot="b1", life=AT, born=0.0, heartbeat=7)
    bench = Idle(kept=kept, first=None)
    bench.clock.forward(5)
    bench.settle(Tick(bench.at))
    assert bench.stops() == []
    bench.hear(told("expired", 7))
    bench.clock.forward(3)
    bench.settle(Tick(bench.at))
    assert bench.stops() == []  # it has to be quiet for a moment
    bench.hear(told("expired", 7))
    assert len(bench.stops()) == 1


def test_what_was_done_before_it_was_remembered_counts() -> None:
    kept = LastActivity(at=AT, by="x", clock=500.0, boot="b1", life=AT, born=0.0)
    bench = Bench(running())
    bench.idling.used("i1", "update by ana")
    bench.idling.take(bench.row(), kept)
    found = bench.idling.kept("i1")
    assert found is not None
    assert (found.by, found.clock) == ("update by ana", 1000.0)


def test_who_is_gone_is_forgotten() -> None:
    bench = Idle()
    bench.change(drop_instances=("i1",))
    bench.look()
    assert bench.outlooks.get("i1") is None
    assert bench.idling.kept("i1") is None
