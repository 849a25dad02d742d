"""What nobody uses is stopped, stays stopped, and says why; a command or a lease keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.daemon import DaemonProcess
from tests.e2e.conftest import MakeDaemon, real_command
from tests.e2e.docker_kit import Box
from tests.e2e.health_kit import automatic, await_looks, fast, get, told
from tests.e2e.looking import nothing_runs
from tests.support import wait_until

SEEN = 30.0


def idle(daemon: DaemonProcess, name: str = "web") -> Mapping[str, Any]:
    """What is shown of its use; nothing before the first answer."""
    return get(daemon, name)["idle"] or {}


def moment(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=UTC)


def await_used(daemon: DaemonProcess, after: datetime, by: str) -> None:
    """Wait until it was used after this moment, and by what."""

    def used() -> bool:
        shown = idle(daemon)
        return shown.get("used_by") == by and moment(shown["last_used"]) > after

    wait_until(used, timeout=SEEN, describe=lambda: (after, get(daemon, "web")))
    assert get(daemon, "web")["status"] == "running"


def await_stopped(daemon: DaemonProcess, name: str = "web") -> dict[str, Any]:
    """Wait until a rule has stopped it; it is to be stopped, and no automatic start comes."""
    wait_until(
        lambda: get(daemon, name)["status"] == "stopped",
        timeout=SEEN,
        describe=lambda: (get(daemon, name), told(daemon, name)),
    )
    found = get(daemon, name)
    assert (found["desired"], found["idle"], found["last_error"]) == ("stopped", None, None)
    return found


@pytest.mark.code_server
def test_a_real_server_that_nobody_uses_is_stopped_and_stays_so(
    make_daemon: MakeDaemon, code_server_dir: Any
) -> None:
    """A command keeps it over a kill -9, then a lease does, then nothing does any more."""
    daemon = make_daemon(options=real_command(code_server_dir), settings=fast()).start()
    made = daemon.create("web", idle_timeout="1s")
    created = moment(made["started_at"])
    with daemon.connect() as watcher:
        # A log that is followed keeps nothing awake; a command does, for longer than its limit.
        watcher.call("instance.logs", id="web", follow=True)
        watcher.call("instance.exec", id="web", command=["sleep", "1000"])
        await_used(daemon, created + timedelta(seconds=3), "a command")
        lease = daemon.call("instance.keep", id="web", duration="4s")
    until = moment(lease["keep_until"])
    assert automatic(daemon, "web") == []
    daemon.kill()
    daemon.start()
    assert moment(get(daemon, "web")["keep_until"]) == until
    found = await_stopped(daemon)
    story = daemon.call("instance.why", id="web")["items"]
    (stop,) = [each for each in story if each["what"] == "stopped"]
    assert moment(stop["at"]) > until
    assert stop["by"] == "policy"
    assert stop["why"].startswith("nobody used it for ")
    assert "idle_timeout 1 s; start it with swarmctl start" in stop["why"]
    nothing_runs(daemon)
    # It stays so, until a user starts it.
    await_looks(daemon)
    assert automatic(daemon, "web") == ["policy stop"]
    again = daemon.call("instance.start", id="web")
    assert (again["status"], again["url"]) == ("running", found["url"])


def test_who_looks_at_it_keeps_it_and_the_rule_changes_live(
    make_daemon: MakeDaemon, tmp_path: Any
) -> None:
    heart = tmp_path / "heart"
    heart.write_text("alive 1")
    tables = fast()
    tables["instances"]["idle_timeout"] = "1s"
    daemon = make_daemon(settings=tables).start()
    made = daemon.create("web", env={"STANDIN_HEART": str(heart)})
    other = daemon.create("other", idle_timeout="0s", env={"STANDIN_HEART": str(tmp_path / "no")})
    processes = set(daemon.instance_processes())
    await_used(daemon, moment(made["started_at"]) + timedelta(seconds=3), "a browser")
    # Switched off while it runs: no instance is touched, and now nobody looks any more.
    daemon.settings["instances"]["idle_timeout"] = "0s"
    daemon.write_config()
    done = daemon.call("daemon.reload")
    assert done["applied"] == ["instances.idle_timeout"]
    heart.write_text("expired 1")
    wait_until(lambda: idle(daemon).get("next_step") is None, describe=lambda: idle(daemon))
    assert set(daemon.instance_processes()) == processes
    # Its own rule, live as well.
    changed = daemon.call("instance.update", id="web", changes={"idle_timeout": "1s"})
    assert changed["restart_required"] == []
    await_stopped(daemon)
    assert "expired" not in told(daemon, "web")
    assert get(daemon, "other")["id"] == other["id"]
    assert get(daemon, "other")["status"] == "running"
    assert idle(daemon, "other")["next_step"] is None


def test_what_is_too_old_is_told_so_and_stopped_however_it_is_used(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(settings=fast()).start()
    daemon.create("web", max_age="4s")  # the stand-in tells that somebody looks at it all the time
    line = next(
        each for each in daemon.ctl("ls", "-o", "wide").stdout.splitlines() if "/web" in each
    )
    assert "stop in" in line
    await_stopped(daemon)
    what = [each["what"] for each in daemon.call("instance.why", id="web")["items"]]
    before = next(each for each in what if each.startswith("will be stopped at "))
    assert what.index(before) < what.index("stopped")
    types = [each["type"] for each in daemon.call("events.history", target="web")["items"]]
    assert "instance_expiring" in types
    assert "max_age 4 s" in told(daemon, "web")


def test_a_container_that_nobody_uses_is_stopped(make_daemon: MakeDaemon, box: Box) -> None:
    """Its probe tells of no heartbeats: the rule for all leaves it alone, its own counts."""
    tables = fast()
    tables["instances"]["idle_timeout"] = "1s"
    daemon = make_daemon(settings=tables, providers=[box.table()]).start()
    daemon.create("web", provider=box.name, health={"probe": "tcp"})
    wait_until(
        lambda: "idle_timeout leaves it alone" in idle(daemon).get("why", ""),
        timeout=SEEN,
        describe=lambda: idle(daemon),
    )
    daemon.call("instance.update", id="web", changes={"idle_timeout": "1s"})
    await_stopped(daemon)
    assert automatic(daemon, "web") == ["policy stop"]
    daemon.call("instance.delete", id="web", force=True)


def test_the_command_line_tells_what_comes_next(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(settings=fast()).start()
    daemon.create("web", max_age="2h")

    def await_next(hours: float) -> None:
        """Wait until its next step is shown as so far away, or a little less."""

        def left() -> float:
            at = moment(idle(daemon).get("next_at"))
            return (at - datetime.now(UTC)).total_seconds() / 3600

        wait_until(lambda: hours - 0.1 < left() <= hours, timeout=SEEN, describe=left)

    await_next(2)
    kept = daemon.ctl("keep", "web", "3h")
    assert kept.returncode == 0, kept.stderr
    assert "kept until" in kept.stdout
    await_next(3)
    why = daemon.ctl("why", "web").stdout
    assert "used last: " in why
    assert "kept until: " in why
    assert "next: stop at " in why
    assert "keep_until: " in daemon.ctl("get", "web").stdout
    over = daemon.ctl("keep", "web", "--until", "1999-01-01 10:00")
    assert (over.returncode, "is over" in over.stderr) == (2, True)
    assert "kept no longer" in daemon.ctl("keep", "web", "--off").stdout
    await_next(2)
