"""Errors, envelopes, exit codes, many at once, the progress line."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarmd import errors
from swarmd.cli import bulk
from swarmd.cli.app import App
from swarmd.cli.commands import access, archives, doctor
from swarmd.cli.commands.layouts import event_line, result_line
from swarmd.cli.output import Output, exit_code
from swarmd.cli.progress import ProgressLine
from swarmd.client.browser import start_browser


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.InstanceNotFound, 3),
        (errors.ProviderNotFound, 3),
        (errors.OperationNotFound, 3),
        (errors.PermissionDenied, 4),
        (errors.DaemonUnreachable, 5),
        (errors.ValidationError, 2),
        (errors.ConfigError, 1),
        (errors.Conflict, 1),
        (errors.DeadlineExceeded, 1),
        (errors.Unavailable, 1),
        (errors.ProviderError, 1),
        (errors.InternalError, 1),
    ],
)
def test_exit_codes(kind: type[errors.SwarmError], code: int) -> None:
    assert exit_code(kind("x")) == code


def test_an_error_reads_as_what_where_why_and_what_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Output().error(
        errors.Conflict(
            "the name is taken",
            field="config.name",
            next_step="Choose another.",
            details={"cause": "EEXIST"},
        )
    )
    out, err = capsys.readouterr()
    assert not out
    assert err == (
        "error: the name is taken\n  field: config.name\n  cause: EEXIST\n→ Choose another.\n"
    )


def test_what_the_message_says_is_not_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    Output().error(
        errors.Conflict("config.name: EEXIST", field="config.name", details={"cause": "EEXIST"})
    )
    assert capsys.readouterr().err == "error: config.name: EEXIST\n"


def test_quiet_keeps_data_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(quiet=True)
    output.note("a note")
    output.line("data")
    output.error(errors.Conflict("bad"))
    assert capsys.readouterr() == ("data\n", "error: bad\n")


@pytest.mark.parametrize(("columns", "width"), [("40", 40), ("0", None), ("", None), ("x", None)])
def test_the_width_is_what_columns_says(
    columns: str, width: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert Output().width == width


# --- many ------------------------------------------------------------------------------------


def run(app: App, names: list[str], act: Callable[[str], Any]) -> int:
    return bulk.run(
        app, [(n, n) for n in names], act, lambda d: app.output.line(d["name"]), "started"
    )


def fail_on(*bad: str, kind: type[errors.SwarmError] = errors.Conflict) -> Callable[[str], Any]:
    def act(name: str) -> dict[str, str]:
        if name in bad:
            raise kind(f"{name} is bad", next_step="Mend it.")
        return {"name": name}

    return act


def test_many_are_done_and_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"n{i}" for i in range(20)]
    assert run(App(), names, fail_on()) == 0
    out, err = capsys.readouterr()
    assert sorted(out.split()) == sorted(names)
    assert err == "20 started\n"


def test_one_that_fails_does_not_stop_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(App(), ["a", "b", "c"], fail_on("b")) == 1
    out, err = capsys.readouterr()
    assert sorted(out.split()) == ["a", "c"]
    assert "error: b: b is bad\n→ Mend it.\n" in err
    assert err.endswith("2 started, 1 failed\n")


def test_if_all_fail_alike_the_exit_code_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    act = fail_on("a", "b", kind=errors.InstanceNotFound)
    assert run(App(), ["a", "b"], act) == 3
    assert run(App(), ["a", "b", "c"], act) == 1
    capsys.readouterr()


def test_a_single_one_fails_as_itself() -> None:
    with pytest.raises(errors.Conflict):
        run(App(), ["a"], fail_on("a"))


def test_many_as_one_envelope(capsys: pytest.CaptureFixture[str]) -> None:
    app = App()
    app.output.format = "json"
    assert run(app, ["a", "b"], fail_on("b")) == 1
    envelope = json.loads(capsys.readouterr().out)
    assert envelope["success"] is False
    by_name = {one["subject"]: one for one in envelope["data"]}
    assert by_name["a"] == {"subject": "a", "success": True, "data": {"name": "a"}, "error": None}
    assert by_name["b"]["error"]["type"] == "conflict"
    assert by_name["b"]["error"]["details"]["next_step"] == "Mend it."


def test_at_most_eight_at_a_time() -> None:
    lock, full, most, now = threading.Lock(), threading.Barrier(8), 0, 0

    def act(_: int) -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        full.wait(timeout=10)
        with lock:
            now -= 1

    assert len(list(bulk.in_parallel([(str(i), i) for i in range(16)], act))) == 16
    assert most == 8


def test_a_fault_of_our_own_is_not_swallowed() -> None:
    def act(_: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(bulk.in_parallel([("a", "a"), ("b", "b")], act))


# --- the progress line -----------------------------------------------------------------------


def test_no_progress_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine()
    line.show("working", 0.5)
    line.clear()
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        line = ProgressLine()
        line.show("making\x1b web", 0.5)
        line.show("starting web " + "x" * 200)
        line.clear()
        line.clear()
        quiet = ProgressLine(quiet=True)
        quiet.show("nothing")
        seen = ""
        while seen.count("\r\x1b[K") < 3:
            seen += os.read(leader, 4096).decode()
    os.close(leader)
    assert seen.startswith("\r\x1b[Kmaking\\x1b web  50%\r\x1b[Kstarting web xxx")
    assert seen.endswith("…\r\x1b[K")
    assert "nothing" not in seen


@pytest.mark.parametrize(
    ("kind", "state", "line"),
    [
        ("delete", "succeeded", "ana/web  deleted for good"),
        ("delete", "running", "01m8  delete  ana/web  running"),
        ("stop", "succeeded", "01m8  stop  ana/web  succeeded"),
    ],
)
def test_what_a_verb_answers_with_an_operation(kind: str, state: str, line: str) -> None:
    operation = {"id": "01m8", "kind": kind, "target_ref": "ana/web", "state": state}
    assert result_line(operation) == line


def test_an_event_has_its_facts_as_json() -> None:
    event = {"at": "2026-01-31T12:00:00Z", "seq": 7, "type": "alert", "target": "box1"}
    line = event_line(event | {"data": {"state": "raised", "details": {"value": 0.5}}})
    assert line.endswith('box1  state=raised details={"value":0.5}')


# --- export's destination --------------------------------------------------------------------


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.tar"
    with archives.destination(str(target), force=False) as out:
        out.write(b"half")
        assert not target.exists()
    assert target.read_bytes() == b"half"
    with pytest.raises(Exception, match="exists"), archives.destination(str(target), force=False):
        pass
    with archives.destination(str(target), force=True) as out:
        out.write(b"new")
    assert target.read_bytes() == b"new"


def test_an_archive_is_for_nobody_else(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with archives.destination(str(tmp_path / "a.tar"), force=False) as out:
            (part,) = tmp_path.iterdir()
            assert part.stat().st_mode & 0o777 == 0o600
            out.write(b"x")
        (tmp_path / "b.tar").touch(mode=0o644)
        with archives.destination(str(tmp_path / "b.tar"), force=True) as out:
            out.write(b"x")
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600, 0o600]


def test_nothing_is_left_of_a_failed_export(tmp_path: Path) -> None:
    with (
        pytest.raises(errors.Conflict),
        archives.destination(str(tmp_path / "a.tar"), force=False) as out,
    ):
        out.write(b"half")
        raise errors.Conflict("gone")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    missing = tmp_path / "none" / "a.tar"
    with (
        pytest.raises(errors.SwarmError, match="cannot write"),
        archives.destination(str(missing), force=False),
    ):
        pass


# --- open ------------------------------------------------------------------------------------

URL = "http://127.0.0.1:41000/"


def test_the_ssh_line_is_for_remote_logins() -> None:
    env = {"SSH_CONNECTION": "10.0.0.9 50000 10.0.0.1 22", "USER": "ana"}
    assert access.remote_hint(URL, {}) == []
    assert access.remote_hint("https://box/", env) == []
    _, line = access.remote_hint(URL, env)
    assert line.strip() == "ssh -N -L 41000:127.0.0.1:41000 ana@10.0.0.1"


def test_a_browser_is_started_on_a_desktop_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(errors.Unavailable, match="no desktop"):
        start_browser(URL)


def test_the_browser_gets_the_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo, browser = tmp_path / "told", tmp_path / "browser"
    os.mkfifo(fifo)
    browser.write_text(f'#!/bin/sh\necho "$1" > {fifo}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    child = start_browser(URL)
    assert fifo.read_text() == f"{URL}\n"
    assert child.wait(timeout=10) == 0


# --- doctor ----------------------------------------------------------------------------------


def test_places_that_can_be_made_are_well(tmp_path: Path) -> None:
    assert doctor.place_finding("state", tmp_path)["level"] == "ok"
    made = doctor.place_finding("state", tmp_path / "a" / "b")
    assert made["level"] == "ok"
    assert made["message"].endswith("will be made")


def test_a_file_in_the_way_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_text("")
    found = doctor.place_finding("state", file)
    assert (found["level"], found["next_step"]) == ("problem", "Move it away.")
    assert doctor.place_finding("state", file / "below")["level"] == "problem"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_may_not_be_written_is_a_problem() -> None:
    assert "not writable" in doctor.place_finding("state", Path("/etc/swarmd-x"))["message"]


@pytest.fixture
def unreachable() -> errors.DaemonUnreachable:
    return errors.DaemonUnreachable("no daemon answers on /x", next_step="Start it: swarmd")


def test_without_a_daemon_the_places_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreachable: errors.DaemonUnreachable
) -> None:
    for name in ("STATE_DIR", "DATA_DIR", "SERVER_DIR"):
        monkeypatch.setenv(f"SWARMD_{name}", str(tmp_path / name))
    monkeypatch.setenv("SWARMD_SOCKET", str(tmp_path / "s.sock"))
    monkeypatch.delenv("SWARMD_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = {one["subject"]: one for one in doctor.without_daemon(unreachable)}
    assert found["daemon"]["next_step"] == "Start it: swarmd"
    assert found["state"]["level"] == "ok"
    assert "setup code-server" in found["server"]["next_step"]


def test_without_a_daemon_a_wrong_configuration_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreachable: errors.DaemonUnreachable
) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[loging]\n")
    monkeypatch.setenv("SWARMD_CONFIG", str(file))
    *_, last = doctor.without_daemon(unreachable)
    assert last["subject"] == "configuration"
    assert last["level"] == "problem"
