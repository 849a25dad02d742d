"""Child processes: what they see, what they leave in the log, how they end."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from swarmd.setup.commands import Command, CommandFailed, child_environment, run_command
from tests.support import wait_until


def command(tmp_path: Path, *argv: str, seconds: float = 30, lock: int | None = None) -> Command:
    return Command(
        argv=argv,
        environment={"PATH": os.environ["PATH"]},
        log=tmp_path / "setup.log",
        cwd=tmp_path,
        timeout_seconds=seconds,
        keep_open=lock,
    )


def test_mirrors_proxies_and_certificates_are_passed_on_and_nothing_else() -> None:
    passed = {
        "HOME": "/home/u", "https_proxy": "http://p", "NO_PROXY": "x", "PIP_INDEX_URL": "i",
        "npm_config_registry": "r", "NPM_CONFIG_CAFILE": "c", "NODE_EXTRA_CA_CERTS": "e",
    }  # fmt: skip
    kept_back = {
        "VSCODE_IPC_HOOK_CLI": "s", "NODE_OPTIONS": "--inspect", "PASSWORD": "p",
        "AWS_SECRET_ACCESS_KEY": "k", "PYTHONPATH": "/x", "LD_PRELOAD": "/y",
    }  # fmt: skip
    assert child_environment(passed | kept_back, HOME="/new") == passed | {"HOME": "/new"}


def test_output_goes_to_the_log_which_its_owner_alone_may_read(tmp_path: Path) -> None:
    run_command(command(tmp_path, "sh", "-c", "echo out; echo err >&2"))
    log = tmp_path / "setup.log"
    assert log.read_text().endswith("out\nerr\n")
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_failure_tells_the_end_of_its_own_output_without_credentials(tmp_path: Path) -> None:
    run_command(command(tmp_path, "echo", "before"))
    script = "echo http://me:secret@host/ _authToken=abc; exit 3"
    with pytest.raises(CommandFailed, match="sh ended with status 3") as caught:
        run_command(command(tmp_path, "sh", "-c", script))
    assert caught.value.tail.endswith("http:***host/ ***")
    assert "before" not in caught.value.tail
    assert not caught.value.offline


def test_what_cannot_be_started_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="cannot be started"):
        run_command(command(tmp_path, str(tmp_path / "nothing")))


def test_what_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="did not finish"):
        run_command(command(tmp_path, "sh", "-c", "sleep 600 & sleep 600", seconds=0.1))


def test_a_child_holds_the_lock_for_as_long_as_it_lives(tmp_path: Path) -> None:
    fifo, lock = tmp_path / "fifo", tmp_path / ".lock"
    os.mkfifo(fifo)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    child = threading.Thread(
        target=run_command, args=(command(tmp_path, "cat", str(fifo), lock=descriptor),)
    )
    child.start()
    with fifo.open("w"), lock.open() as other:  # opening waits for the reader: it runs
        os.close(descriptor)  # as if the installer had been killed
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    child.join(10)
    with lock.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    wait_until(lambda: not child.is_alive())
