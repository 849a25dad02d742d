"""``make run`` and ``make stop``, as far as they come after the installation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import DaemonProcess
from tests.e2e.conftest import MakeDaemon
from tests.e2e.looking import healthz, nothing_runs
from tests.support import CHECKOUT, read_process

SCRIPT = CHECKOUT / ".make" / "run.py"


def run(daemon: DaemonProcess, what: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, what], capture_output=True, text=True, check=False, timeout=90,
        env=daemon.environment | extra, cwd=CHECKOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def place(make_daemon: MakeDaemon) -> Iterator[DaemonProcess]:
    """A configuration and places; the daemon itself is left to ``make run``."""
    daemon = make_daemon()
    yield daemon
    run(daemon, "stop")


def test_run_stop_run_again(place: DaemonProcess) -> None:
    first = run(place, "start")
    assert first.returncode == 0, first.stderr
    instance = place.call("instance.get", id="first")
    assert instance["url"] in first.stdout
    assert "open first --password" in first.stdout
    assert healthz(instance["url"]) == 200
    pid = place.call("daemon.status")["pid"]

    again = run(place, "start")
    assert again.returncode == 0, again.stderr
    assert "starting" not in again.stdout
    assert "creating" not in again.stdout
    assert place.call("daemon.status")["pid"] == pid

    stopped = run(place, "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert "keep running: 1" in stopped.stdout
    assert read_process(pid) is None
    assert healthz(instance["url"]) == 200
    assert "does not run" in run(place, "stop").stdout

    assert run(place, "start").returncode == 0
    assert place.call("instance.get", id="first")["id"] == instance["id"]
    place.call("instance.stop", id="first")
    assert run(place, "start").returncode == 0
    assert healthz(instance["url"]) == 200
    place.call("instance.delete", id="first", force=True)
    nothing_runs(place)


def test_from_a_terminal_inside_vs_code(place: DaemonProcess, tmp_path: Path) -> None:
    remote = tmp_path / "remote-cli"
    remote.mkdir()
    decoy = remote / "code-server"
    decoy.write_text("#!/bin/sh\nexit 1\n")
    decoy.chmod(0o755)
    done = run(
        place, "start", PATH=f"{remote}:{os.environ['PATH']}", VSCODE_IPC_HOOK_CLI="/nowhere.sock"
    )
    assert done.returncode == 0, done.stderr
    daemon = Path(f"/proc/{place.call('daemon.status')['pid']}/environ").read_bytes()
    assert b"VSCODE_IPC_HOOK_CLI" not in daemon
    assert os.fsencode(remote) not in daemon
    place.call("instance.delete", id="first", force=True)
    nothing_runs(place)


def test_a_daemon_that_cannot_start_is_told_with_its_own_words(place: DaemonProcess) -> None:
    place.state.parent.mkdir(exist_ok=True)
    place.config.write_text('[daemon]\nstate_dirr = "x"\n')
    done = run(place, "start")
    assert done.returncode == 1
    assert "state_dir" in done.stderr
    assert "Traceback" not in done.stderr
    place.write_config()


def test_a_mistake_in_the_configuration_does_not_keep_the_daemon_running(
    place: DaemonProcess,
) -> None:
    assert run(place, "start").returncode == 0
    place.call("instance.delete", id="first", force=True)
    pid = place.call("daemon.status")["pid"]
    place.config.write_text("[daemon\n")
    stopped = run(place, "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert read_process(pid) is None
    # It may run where the file would have said: that it does not run is not known.
    again = run(place, "stop")
    assert again.returncode == 1
    assert "not TOML" in again.stderr
    place.write_config()
