"""A program as a receiver: what it gets, what it does not, how it ends."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from swarmd.errors import Unavailable
from swarmd.sinks.command import CommandSink
from tests.sinks.notices import notice
from tests.support import wait_until


def sink(code: str, *arguments: str, timeout: float = 10.0, **more: Any) -> CommandSink:
    argv: Sequence[str] = (sys.executable, "-I", "-S", "-c", code, *arguments)
    given = {"env_allow": ("MINE",), "node": "n1", "environment": {"PATH": "/usr/bin"}}
    return CommandSink(argv, timeout, **{**given, **more})


def test_it_gets_the_alert_and_an_environment_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import json,os,sys\n"
        "seen = [json.load(sys.stdin), dict(os.environ), os.getcwd(), sys.argv[1:]]\n"
        f"json.dump(seen, open({str(out)!r}, 'w'))"
    )
    environment = {"PATH": "/usr/bin", "MINE": "yes", "SECRET": "no", "VSCODE_IPC_HOOK_CLI": "x"}
    sink(code, "; touch /tmp/x", environment=environment).deliver(notice())
    told, seen, folder, arguments = json.loads(out.read_text())
    assert (told["id"], told["state"], told["node"]) == ("a1", "raised", "n1")
    assert {key for key in seen if key != "LC_CTYPE"} == {"PATH", "MINE"}
    assert folder == "/"
    assert arguments == ["; touch /tmp/x"]  # no shell reads it


def test_one_that_does_not_read_is_no_trouble() -> None:
    sink("pass").deliver(notice())


def test_how_it_ended_and_what_it_said() -> None:
    with pytest.raises(Unavailable, match=r"ended with 3: .*no mail today") as caught:
        sink(
            "import sys; print('x' * 9999 + 'no mail today', file=sys.stderr); sys.exit(3)"
        ).deliver(notice())
    assert len(caught.value.message) < 500


def test_one_that_is_not_there() -> None:
    with pytest.raises(Unavailable, match="cannot be run: No such file") as caught:
        CommandSink(["/nonexistent/notify"], 1.0, (), node="n1").deliver(notice())
    assert caught.value.field == "alerting.command"


def test_one_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    code = (
        "import os,subprocess,sys,time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'])\n"
        f"open({str(file)!r} + '.new', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(file)!r} + '.new', {str(file)!r})\n"
        "time.sleep(100)"
    )
    with pytest.raises(Unavailable, match="did not end within"):
        sink(code, timeout=2.0).deliver(notice())
    pids = [int(each) for each in file.read_text().split()]
    assert len(pids) == 2
    wait_until(lambda: not any(alive(pid) for pid in pids), describe=lambda: pids)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_child_that_is_left_behind_does_not_hold_it_up(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    code = (
        "import subprocess,sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'])\n"
        f"open({str(file)!r}, 'w').write(str(child.pid))"
    )
    sink(code).deliver(notice())
    wait_until(lambda: not alive(int(file.read_text())))


def test_its_group_is_ended_while_its_number_is_still_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states: list[str] = []

    def killpg(pid: int, _signal: int) -> None:
        states.append(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])

    monkeypatch.setattr(os, "killpg", killpg)
    sink("pass").deliver(notice())
    assert states == ["Z"]


def test_what_is_shown_of_it_is_its_program() -> None:
    made = CommandSink(["/bin/notify", "--key", "s3cret"], 1.0, (), node="n1")
    assert made.where == "/bin/notify"
