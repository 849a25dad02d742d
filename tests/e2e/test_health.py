"""What hangs is recovered, and told; a user's wish stands above it."""

from __future__ import annotations

import contextlib
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.daemon import DaemonProcess, Refused
from tests.e2e.conftest import MakeDaemon
from tests.e2e.health_kit import (
    SEEN,
    ask,
    automatic,
    await_health,
    await_looks,
    await_turns,
    await_well,
    crash_until_held,
    fast,
    get,
    hung,
    is_held,
    make,
    server_of,
    told,
    turns,
    whole,
)
from tests.e2e.looking import nothing_runs
from tests.support import is_alive, wait_until


@pytest.fixture
def watched(make_daemon: MakeDaemon) -> DaemonProcess:
    """A running daemon that watches its instances' health fast."""
    return make_daemon(settings=fast()).start()


def clock(text: str) -> datetime:
    """A time of the wire."""
    return datetime.fromisoformat(text)


# --- what hangs ------------------------------------------------------------------------------


def test_what_hangs_is_restarted_by_force(watched: DaemonProcess) -> None:
    made, other = make(watched, "web"), make(watched, "other")
    before, beside = server_of(watched, made), server_of(watched, other)
    heard = len(turns(watched, "web"))
    with hung(before):
        await_turns(watched, "web", "degraded", "unhealthy", "healthy", after=heard)
    await_well(watched, "web")
    assert not is_alive(before)
    assert server_of(watched, made).pid != before.pid
    whole(watched, made)
    story = told(watched, "web")
    assert "restart: it runs and does not answer" in story
    assert "(recovery)" in story
    assert automatic(watched, "web") == ["recovery restart"]
    # Whoever is well is left alone meanwhile.
    assert is_alive(beside)
    assert automatic(watched, "other") == []
    assert turns(watched, "other") == ["healthy"]


def test_what_hangs_over_and_over_is_held(watched: DaemonProcess) -> None:
    made = make(watched, "web")
    for _ in range(2):
        before = server_of(watched, made)
        with hung(before):
            wait_until(lambda before=before: not is_alive(before), timeout=SEEN)  # type: ignore[misc]
        await_well(watched, "web")
        whole(watched, made)
    assert automatic(watched, "web") == ["recovery restart", "recovery restart"]
    # The third time it is held: its story says so, and what hangs is not touched any more.
    with hung(server_of(watched, made)):
        wait_until(lambda: "a crash loop" in told(watched, "web"), timeout=SEEN)
        await_looks(watched)
        await_health(watched, "web", "unhealthy")
        assert len(automatic(watched, "web")) == 2


def test_one_that_goes_on_by_itself_is_healthy_again(watched: DaemonProcess) -> None:
    made = make(watched, "web", health={"failures": 1000})
    before = server_of(watched, made)
    heard = len(turns(watched, "web"))
    with hung(before):
        await_health(watched, "web", "degraded")
    await_well(watched, "web")
    assert turns(watched, "web")[heard:] == ["degraded", "healthy"]
    assert server_of(watched, made) == before
    assert automatic(watched, "web") == []


@pytest.mark.parametrize("wish", ["stop", "delete"])
@pytest.mark.parametrize("moment", ["degraded", "recovering"])
def test_a_users_wish_wins(watched: DaemonProcess, wish: str, moment: str) -> None:
    made = make(watched, "web")
    with hung(server_of(watched, made)):
        if moment == "degraded":
            await_health(watched, "web", "degraded")
        else:
            wait_until(lambda: automatic(watched, "web"), timeout=SEEN)
        watched.call(f"instance.{wish}", id="web")
        nothing_runs(watched)
    begun = 0 if moment == "degraded" else 1
    await_looks(watched)
    nothing_runs(watched)
    if wish == "delete":
        assert watched.instances() == []
        return
    found = get(watched, "web")
    assert (found["status"], found["desired"]) == ("stopped", "stopped")
    assert len(automatic(watched, "web")) == begun
    assert ask(watched, "web")["details"] == "it is not to run"


def test_recoveries_take_turns(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(settings=fast(max_parallel=1)).start()
    made = [make(daemon, f"stubborn-{number}") for number in range(3)]
    servers = [server_of(daemon, each) for each in made]
    with contextlib.ExitStack() as hanging:
        for server in servers:
            hanging.enter_context(hung(server))
        wait_until(lambda: all(automatic(daemon, each["name"]) for each in made), timeout=SEEN)
    for each in made:
        await_well(daemon, each["name"])
        whole(daemon, each)
    assert_apart(spans(daemon))


def spans(daemon: DaemonProcess) -> list[tuple[datetime, datetime]]:
    """From when to when each recovery was under way, the first one first."""
    items: list[dict[str, Any]] = daemon.call("operation.list", limit=200)["items"]
    return sorted(
        (clock(each["created_at"]), clock(each["ended_at"]))
        for each in items
        if each["origin"] == "recovery"
    )


def assert_apart(found: list[tuple[datetime, datetime]]) -> None:
    """No two of them at the same time."""
    assert len(found) >= 3
    for (_, ended), (began, _) in itertools.pairwise(found):
        assert began >= ended, found


# --- what exits over and over ----------------------------------------------------------------


@pytest.mark.parametrize("wish", ["start", "recover"])
def test_a_crash_loop_is_held_until_somebody_acts(watched: DaemonProcess, wish: str) -> None:
    made = make(watched, "web")
    crash_until_held(watched, made)
    held = get(watched, "web")
    assert held["last_error"]["details"]["held"] is True
    assert "swarmctl recover" in held["last_error"]["details"]["next_step"]
    assert "a crash loop" in told(watched, "web")
    starts = automatic(watched, "web")
    # On a busy machine a probe may find one dead before its provider tells of its end.
    assert starts.count("reconcile start") == 2
    assert set(starts) <= {"reconcile start", "recovery restart"}
    found = ask(watched, "web")
    assert (found["status"], found["illness"]) == ("unhealthy", "exited")
    assert "a crash loop" in found["details"]
    await_looks(watched)
    nothing_runs(watched)
    assert automatic(watched, "web") == starts
    assert is_held(get(watched, "web"))

    started = watched.call(f"instance.{wish}", id="web")
    assert (started["status"], started["last_error"]) == ("running", None)
    await_well(watched, "web")
    whole(watched, made)
    # It was forgiven: once more it is brought back before it is held again.
    server_of(watched, made).kill()
    wait_until(lambda: len(automatic(watched, "web")) == len(starts) + 1, timeout=SEEN)
    await_well(watched, "web")


def test_a_changed_configuration_ends_it_too(watched: DaemonProcess) -> None:
    made = make(watched, "web")
    crash_until_held(watched, made)
    watched.call("instance.update", id="web", changes={"env": {"COLOUR": "red"}})
    await_well(watched, "web")
    found = get(watched, "web")
    assert found["last_error"] is None
    shown = watched.call_stream("instance.exec", id="web", command=["printenv", "COLOUR"])
    assert shown[-1]["exit_code"] == 0
    whole(watched, made)


def test_it_is_held_over_a_restart_of_the_daemon(watched: DaemonProcess) -> None:
    made = make(watched, "web")
    crash_until_held(watched, made)
    starts = automatic(watched, "web")
    watched.kill()
    watched.start()
    await_looks(watched)
    nothing_runs(watched)
    assert is_held(get(watched, "web"))
    assert automatic(watched, "web") == starts


# --- by hand ---------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["restart", "recreate"])
def test_recovered_by_hand(watched: DaemonProcess, action: str) -> None:
    made = make(watched, "web")
    before = server_of(watched, made)
    with hung(before):
        recovered = watched.call("instance.recover", id="web", action=action)
    assert recovered["status"] == "running"
    assert server_of(watched, made).pid != before.pid
    whole(watched, made)
    await_well(watched, "web")
    assert automatic(watched, "web") == []


@pytest.mark.parametrize("method", ["instance.recover", "instance.restart"])
def test_what_was_started_anew_is_asked_at_once(make_daemon: MakeDaemon, method: str) -> None:
    daemon = make_daemon(settings=fast(check_interval="1h")).start()
    make(daemon, "web")
    began = clock(get(daemon, "web")["started_at"])
    # Starts are told to the second: two within one are not told apart.
    wait_until(lambda: datetime.now(UTC) - began > timedelta(seconds=1))
    asked = len(turns(daemon, "web"))
    daemon.call(method, id="web")
    await_turns(daemon, "web", "healthy", after=asked)


def test_what_cannot_be_recovered_says_what_to_do(watched: DaemonProcess) -> None:
    made = watched.create("web")
    with pytest.raises(Refused) as refused:
        watched.call("instance.recover", id="web", action="migrate")
    assert refused.value.type == "unavailable"
    assert "no other provider fits" in str(refused.value)
    watched.call("instance.stop", id="web")
    with pytest.raises(Refused) as refused:
        watched.call("instance.recover", id="web")
    assert refused.value.type == "validation_error"
    assert f"swarmctl start {made['owner']}/web" in refused.value.details["next_step"]
    assert get(watched, "web")["status"] == "stopped"
    with pytest.raises(Refused) as refused:
        watched.call("instance.recover", id="nobody")
    assert refused.value.type == "instance_not_found"
