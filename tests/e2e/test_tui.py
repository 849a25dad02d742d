"""The terminal app in a real terminal, by keys alone, over a real daemon and real code-server."""

from __future__ import annotations

import pytest

from tests.daemon import BIN, DaemonProcess
from tests.e2e.conftest import MakeDaemon
from tests.support import mentions, wait_until
from tests.tmux import Screen, screen_of

pytestmark = [pytest.mark.code_server, pytest.mark.timeout(300)]


def status(daemon: DaemonProcess, name: str) -> tuple[str, str]:
    rows = daemon.call("instance.list", name=name)["items"]
    return (rows[0]["status"], rows[0]["health"]) if rows else ("absent", "")


def started(screen: Screen) -> None:
    screen.open(BIN / "swarmctl", "tui", lines=30, columns=110)
    screen.until("online")


def kill_server(daemon: DaemonProcess, name: str) -> None:
    """End its code-server, which is two processes, with a signal that it cannot refuse."""
    folder = daemon.data / daemon.call("instance.get", id=name)["id"]
    servers = [each for each in daemon.instance_processes() if mentions(each.pid, folder)]
    assert servers
    for process in servers:
        process.kill()


def test_the_tour(real_daemon: DaemonProcess) -> None:
    with screen_of(real_daemon) as screen:
        started(screen)
        screen.press("2", "c")
        screen.until("Create an instance")
        screen.press("w", "e", "b")
        screen.until("web")
        screen.press("Enter")
        wait_until(
            lambda: status(real_daemon, "web") == ("running", "healthy"), timeout=60,
            describe=screen.text,
        )  # fmt: skip
        screen.press("2")
        screen.until("PROVIDER")
        screen.press("Enter")
        screen.until("Overview")
        screen.press("L")
        screen.until("HTTP server listening")
        kill_server(real_daemon, "web")
        screen.press("W")
        screen.until("ended by SIGKILL")
        wait_until(
            lambda: status(real_daemon, "web") == ("running", "healthy"), timeout=60,
            describe=screen.text,
        )  # fmt: skip
        screen.press("3")
        screen.until("CORES ASKED")
        screen.press("X")
        screen.until("One instance is stopped")
        screen.press("y")
        wait_until(
            lambda: status(real_daemon, "web")[0] == "stopped", timeout=60, describe=screen.text
        )
        screen.press("2")
        screen.until("PROVIDER")
        screen.press("d")
        screen.until("trash")
        screen.press("y")
        screen.until("No instances yet")
        screen.press("q")
        assert "ended with 0" in screen.until("ended with")


def test_the_daemon_is_killed_under_it_and_comes_back(daemon: DaemonProcess) -> None:
    daemon.create("web")
    with screen_of(daemon) as screen:
        started(screen)
        screen.press("2")
        screen.until("healthy")
        daemon.kill()
        shown = screen.until("Connection lost")
        assert "web" in shown, "what was shown stays"
        daemon.start()
        wait_until(lambda: "Connection lost" not in screen.text(), timeout=60, describe=screen.text)
        daemon.call("instance.stop", id="web")
        screen.until("stopped")


def test_it_is_there_before_the_daemon(make_daemon: MakeDaemon) -> None:
    """It says how the daemon is started, and finds it by itself: not a key is pressed."""
    daemon = make_daemon()
    with screen_of(daemon) as screen:
        screen.open(BIN / "swarmctl", "tui", lines=24, columns=80)
        shown = screen.until("Start the daemon: swarmd")
        assert "online" not in shown
        daemon.start()
        screen.until("online")
        wait_until(lambda: "Start the daemon" not in screen.text(), describe=screen.text)
        daemon.create("web")
        screen.until("1/1 running")
