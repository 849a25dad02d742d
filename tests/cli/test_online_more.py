"""With a daemon: streams, operations, providers, and everything else."""

import json
from pathlib import Path

import pytest
from msgspec import structs

from swarmd.messages import replies, requests
from swarmd.messages.enums import DaemonState, EventType
from swarmd.messages.instance import Failure, Instance, Stray
from swarmd.messages.operation import Caller
from tests.api.fake_query import EPOCH
from tests.api.fake_streams import BytesSession
from tests.cli.driver import ME, ctl, names
from tests.cli.server import Served

# --- streams ---------------------------------------------------------------------------------


def test_logs(served: Served, web: Instance) -> None:
    assert ctl("logs", "web").out == "one\ntwo\n"
    ctl("logs", "web", "--tail", "5", "--since", "1h")
    assert ctl("logs", "nobody").code == 3


def test_exec_passes_output_and_exit_code(served: Served, web: Instance) -> None:
    def session(request: requests.Request) -> BytesSession:
        assert isinstance(request, requests.ExecInstance)
        assert request.command == ("sh", "-c", "x")
        assert request.workdir == "src"
        return BytesSession([("stdout", b"out\n"), ("stderr", b"bad \xff\n")], exit_code=7)

    served.daemon.make_session = session
    ran = ctl("exec", "web", "--workdir", "src", "--", "sh", "-c", "x")
    assert (ran.code, ran.out) == (7, "out\n")
    assert ran.err.startswith("bad ")


@pytest.mark.parametrize(
    "words",
    [
        ("web", "sh", "-c", "x", "--timeout"),
        ("--workdir", "src", "web", "sh", "-c", "x", "--timeout"),
        ("web", "--workdir=src", "sh", "-c", "x", "--timeout"),
        ("web", "--", "sh", "-c", "x", "--timeout"),
    ],
)
def test_what_follows_the_command_is_its_own(
    served: Served, web: Instance, words: tuple[str, ...]
) -> None:
    seen: list[requests.Request] = []

    def session(request: requests.Request) -> BytesSession:
        seen.append(request)
        return BytesSession([], exit_code=0)

    served.daemon.make_session = session
    ran = ctl("exec", *words)
    assert ran.code == 0, ran.err
    (request,) = seen
    assert isinstance(request, requests.ExecInstance)
    assert request.command == ("sh", "-c", "x", "--timeout")


def test_exec_has_no_terminal_and_says_so(served: Served, web: Instance) -> None:
    ran = ctl("exec", "-it", "web", "bash")
    assert ran.code == 2
    assert "gets no terminal" in ran.err
    assert "swarmctl open web" in ran.err
    assert ctl("exec", "web").code == 2


def test_exec_pipes_standard_input(served: Served, web: Instance) -> None:
    served.daemon.make_session = lambda _: BytesSession([], exit_code=0, echo=True)
    ran = ctl("exec", "-i", "web", "--", "cat", stdin=b"hello\nworld\n")
    assert (ran.code, ran.out) == (0, "hello\nworld\n")
    assert served.daemon.sessions[0].input_closed.wait(10)


def test_export_and_import(served: Served, web: Instance, tmp_path: Path) -> None:
    file = tmp_path / "web.tar"
    ran = ctl("export", "web", "-o", file)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"{file}: 1.0K\n"
    assert file.read_bytes() == bytes(1024)
    assert ctl("export", "web", "-o", file).code == 2
    assert ctl("export", "web", "-o", "-").out == "\0" * 1024
    ran = ctl("import", file, "copy", "--label", "a=b")
    assert ran.code == 0, ran.err
    assert names(ran) == [f"{ME}/copy"]
    assert list(served.daemon.uploads.values()) == [bytes(1024)]
    assert ctl("import", "-", "piped", stdin=b"x" * 700_000).code == 0
    assert list(served.daemon.uploads.values())[1] == b"x" * 700_000


def test_events(served: Served, web: Instance) -> None:
    empty = ctl("events")
    assert "No events" in empty.err
    ctl("stop", "web")
    lines = ctl("events").out.splitlines()
    assert "operation_started" in lines[0]
    assert "operation_ended" in lines[1]
    (one,) = ctl("events", "--since", "1", "-o", "json").out.splitlines()
    assert json.loads(one)["type"] == "operation_ended"
    assert "operation_started" not in ctl("events", "--type", "operation_ended").out


def test_events_that_are_no_longer_kept(served: Served, web: Instance) -> None:
    ctl("stop", "web")
    served.daemon.kept_from = 2
    ran = ctl("events", "--since", "0")
    assert "no longer kept" in ran.err
    assert len(ran.out.splitlines()) == 1
    assert "no longer kept" in ctl("events", "--type", "operation_ended").err


# --- the rest --------------------------------------------------------------------------------


def test_open(served: Served, web: Instance) -> None:
    served.daemon.passwords[web.id] = "s3cret"
    env: dict[str, str | None] = {"SSH_CONNECTION": None}
    assert ctl("open", "web", env=env).out == "http://127.0.0.1:8100/\n"
    ran = ctl("open", "web", "--password", env=env)
    assert ran.out == "http://127.0.0.1:8100/\ns3cret\n"
    assert not ran.err
    remote = ctl("open", "web", env={"SSH_CONNECTION": "1.1.1.1 5 2.2.2.2 22", "USER": "ana"})
    assert "ssh -N -L 8100:127.0.0.1:8100 ana@2.2.2.2" in remote.err
    assert ctl("open", "web", "--browser", env={"DISPLAY": "", "SSH_CONNECTION": ""}).code == 1


def test_open_without_a_password(served: Served, web: Instance) -> None:
    assert "no password" in ctl("open", "web", "--password").err


def test_open_what_does_not_run(served: Served) -> None:
    ctl("create", "web", "--no-start")
    ran = ctl("open", "web")
    assert ran.code == 1
    assert "→ Start it: swarmctl start web" in ran.err


def test_open_what_has_been_stopped(served: Served, web: Instance) -> None:
    ctl("stop", "web")
    for words in (("open", "web"), ("open", "web", "--password")):
        ran = ctl(*words, env={"SSH_CONNECTION": None})
        assert ran.code == 0
        assert "→ It is stopped: nothing answers there. swarmctl start web\n" in ran.err


def test_why(served: Served, web: Instance) -> None:
    ran = ctl("why", "web")
    assert "created" in ran.out
    assert "asked for" in ran.out
    assert ctl("why", "web", "-o", "json").data["items"][0]["by"] == "ana"


def test_ops(served: Served, web: Instance) -> None:
    assert "No operations yet" in ctl("ops").err
    served.on_loop(served.daemon.hold)
    operation = ctl("stop", "web", "--no-wait", "-o", "name").out.strip()
    assert operation in ctl("ops").out
    assert ctl("ops", "--state", "failed").err == "No operation fits.\n"
    assert f"id: {operation}" in ctl("ops", operation).out
    assert ctl("ops", operation, "-o", "name").out.strip() == operation
    assert "cancelled" in ctl("ops", "cancel", operation).out
    ran = ctl("ops", "wait", operation)
    assert (ran.code, ran.out.split()[-1]) == (1, "cancelled")
    assert ctl("ops", "cancel", operation).code == 1
    assert ctl("ops", "nothing").code == 3


def test_an_operation_that_failed(served: Served, web: Instance) -> None:
    served.daemon.fail_next = Failure(type="provider_error", message="it broke")
    ctl("stop", "web")
    operation = ctl("ops", "-o", "json").data["items"][0]["id"]
    ran = ctl("ops", "wait", operation)
    assert ran.code == 1
    assert ran.err == "error: it broke\n"
    assert "it broke" in ctl("ops").out


def test_providers(served: Served, web: Instance) -> None:
    assert ctl("providers").out.splitlines()[1].split()[:3] == ["local", "local", "ok"]
    assert "health.ok: true" in ctl("providers", "local").out
    assert "isolation: none" in ctl("providers", "capabilities", "local").out
    assert "limits_enforced: none; notes says why" in ctl("providers", "capabilities", "local").out
    assert "capabilities.limits_enforced: none" in ctl("providers", "local").out
    assert ctl("providers", "cordon", "local").out == "local  local  cordoned\n"
    assert ctl("providers", "enable", "local").out == "local  local  ok\n"
    drained = ctl("providers", "drain", "local")
    assert drained.out.startswith(f"{web.owner}/web  succeeded  ")
    assert drained.err == "local is cordoned: 1 stopped.\n"
    assert ctl("providers", "drain", "local").err == "local is cordoned: nothing ran there.\n"
    ctl("start", "web")
    served.daemon.fail_next = Failure(type="provider_error", message="it broke")
    broken = ctl("providers", "drain", "local")
    assert (broken.code, broken.err) == (1, "local is cordoned: 1 failed.\n")
    assert "it broke" in broken.out
    ctl("providers", "enable", "local")
    assert ctl("providers", "disable", "local").code == 1
    assert "removed" in ctl("providers", "remove", "local").err
    assert ctl("providers", "get", "nobody").code == 3
    for words in (
        ["register", "x", "--type", "local", "--option", "cpu=2"],
        ["update", "local", "--priority", "2", "--unset", "cpu"],
        ["update", "local", "--unset", "cost_per_hour"],
        ["update", "local", "--cost-per-hour", "2"],
    ):
        assert "not part of this fake" in ctl("providers", *words).err


def test_status(served: Served, web: Instance) -> None:
    ran = ctl("status")
    assert ran.out.startswith("swarmd 0.1.0 is ready\n")
    assert "instances: 1 (1 running)\n" in ran.out
    assert "provider local (local): ok, 1 instance\n" in ran.out
    assert ctl("status", "-o", "json").data["state"] == "ready"


def test_stats_actors_reload_version_shutdown(served: Served, web: Instance) -> None:
    assert "1.0M" in ctl("stats", "web").out
    assert "registry" in ctl("actors").out
    assert ctl("reload").err == "Nothing has changed.\n"
    assert "protocol" in ctl("version").out
    assert ctl("version", "-o", "json").data["swarmd"]["version"] == "0.1.0"
    assert ctl("shutdown").code == 0
    assert served.daemon.shut_down.is_set()


def test_doctor(served: Served) -> None:
    ran = ctl("doctor")
    assert ran.code == 0
    assert "there is room" in ran.out
    assert ctl("doctor", "-o", "json").data["strays"] == []
    assert names(ctl("doctor", "adopt", "01x", "local", "--name", "found")) == ["ana/found"]
    assert "is removed" in ctl("doctor", "discard", "01x", "local").err


def test_call(served: Served, web: Instance) -> None:
    assert json.loads(ctl("call", "daemon.version").out)["version"] == "0.1.0"
    assert json.loads(ctl("call", "instance.get", "id=web").out)["id"] == web.id
    assert ctl("call", "instance.get", "-", "-o", "json", stdin='{"id":"web"}').data["id"] == web.id
    created = ctl("call", "instance.create", "config.name=new", "start=false")
    assert json.loads(created.out)["status"] == "created"
    chunks = [json.loads(line) for line in ctl("call", "instance.logs", "id=web").out.splitlines()]
    assert chunks[0]["data"] == "one\ntwo\n"
    assert chunks[-1]["end"] is True
    assert ctl("call", "instance.nonsense").code == 2


# --- without a daemon ------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["ls"], ["start", "web"], ["status"], ["call", "daemon.ping"]])
def test_without_a_daemon(tmp_path: Path, words: list[str]) -> None:
    ran = ctl("--socket", tmp_path / "none.sock", *words)
    assert ran.code == 5
    assert f"error: no daemon answers on {tmp_path}/none.sock" in ran.err
    assert "cause:" not in ran.err  # the first line has said it
    assert "→ Start the daemon" in ran.err
    assert not ran.out


def test_doctor_and_version_without_a_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STATE_DIR", "DATA_DIR", "SERVER_DIR"):
        monkeypatch.setenv(f"SWARMD_{name}", str(tmp_path / name))
    monkeypatch.setenv("SWARMD_SOCKET", str(tmp_path / "none.sock"))
    monkeypatch.delenv("SWARMD_CONFIG", raising=False)
    ran = ctl("doctor")
    assert ran.code == 5
    assert "no daemon answers" in ran.out
    assert "will be made" in ran.out
    ran = ctl("version")
    assert ran.code == 0
    assert ran.err == "No daemon answers.\n"


# --- details ---------------------------------------------------------------------------------


def test_stats_are_named(served: Served, web: Instance) -> None:
    assert names(ctl("stats")) == ["NAME", f"{ME}/web"]
    assert web.id in ctl("stats", "-o", "wide").out
    assert ctl("stats", "-o", "json").data["items"][0]["id"] == web.id


def test_stats_of_what_does_not_run(
    served: Served, web: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stats(caller: Caller, refs: tuple[str, ...]) -> tuple[()]:
        return ()

    monkeypatch.setattr(served.daemon, "stats", stats)
    assert ctl("stats").err == "No instance runs.\n"
    assert "web does not run" in ctl("stats", "web").err


def test_a_change_that_waits_for_a_restart_is_told(served: Served) -> None:
    served.on_loop(served.daemon.add, "web", owner=ME, restart_required=("resources.memory",))
    ran = ctl("update", "web", "--memory", "2g")
    assert ran.err == "→ resources.memory: at the next start. Now: swarmctl restart web\n"


def test_one_idempotency_key_serves_many(served: Served, web: Instance) -> None:
    served.on_loop(served.daemon.add, "db", owner=ME)
    ran = ctl("stop", "web", "db", "--idempotency-key", "k")
    assert ran.code == 0, ran.err
    assert ctl("stop", "web", "db", "--idempotency-key", "k").code == 0
    assert len(served.daemon.ops) == 2
    assert set(served.daemon.keys) == {"k-web", "k-db"}


def test_the_doctor_tells_problems_and_strays(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    stray = Stray(
        id="01stray", provider="local", name="x", owner=ME, epoch=1, found_at=EPOCH, reason="r"
    )
    finding = replies.Finding(
        level="problem", subject="disk", message="it is full", next_step="Make room."
    )

    async def doctor(_: object) -> replies.DoctorReport:
        return replies.DoctorReport(findings=(finding,), strays=(stray,))

    monkeypatch.setattr(served.daemon, "doctor", doctor)
    ran = ctl("doctor")
    assert ran.code == 1
    assert "problem  disk: it is full\n         → Make room.\n" in ran.out
    assert "01stray  local" in ran.out
    assert "doctor adopt ID PROVIDER" in ran.err
    assert ctl("doctor", "-o", "json").data["strays"][0]["id"] == "01stray"


def test_status_of_a_daemon_that_is_not_well(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = served.daemon.status
    monkeypatch.setattr(
        served.daemon,
        "status",
        lambda caller: structs.replace(
            report(caller), state=DaemonState.DEGRADED, reasons=("local fails",), strays=2
        ),
    )
    lines = ctl("status").out.splitlines()
    assert lines[:2] == ["swarmd 0.1.0 is degraded", "  because local fails"]
    assert lines[-2] == "strays: 2, in quarantine: 0"


def test_reload_tells_what_was_applied_and_what_waits(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reload(_: object) -> replies.ReloadReport:
        return replies.ReloadReport(applied=("logging.level",), restart_required=("daemon.socket",))

    monkeypatch.setattr(served.daemon, "reload", reload)
    assert ctl("reload").out == (
        "applied: logging.level\nneeds a restart of the daemon: daemon.socket\n"
    )


def test_actors_that_lost_letters(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    row = replies.ActorInfo(
        name="registry", state="running", mailbox=3, restarts=1, last_pong_seconds=0.5
    )
    monkeypatch.setattr(
        served.daemon, "actors", lambda _: replies.ActorList(items=(row,), dead_letters=4)
    )
    ran = ctl("actors")
    assert "0.5s ago" in ran.out
    assert ran.err == "dead letters: 4\n"


def test_events_begin_with_the_last_ones(served: Served, web: Instance) -> None:
    for _ in range(6):
        ctl("stop", "web")
    assert len(ctl("events").out.splitlines()) == 12
    assert len(ctl("events", "--last", "3").out.splitlines()) == 3
    assert len(ctl("events", "--since", "2").out.splitlines()) == 10
    assert len(ctl("events", "--type", "operation_ended", "--last", "4").out.splitlines()) == 4
    assert "gone is found by its whole id" in ctl("events", "--target", "wbe").err
    assert "None of these" in ctl("events", "--target", "web", "--type", "alert").err


def test_events_of_more_than_a_page(served: Served, web: Instance) -> None:
    for number in range(450):
        served.on_loop(served.daemon.publish, EventType.PROVIDER_UPDATED, f"p{number}")
    assert len(ctl("events", "--since", "0").out.splitlines()) == 450


def test_an_error_cannot_steer_the_terminal(served: Served, web: Instance) -> None:
    served.daemon.fail_next = Failure(
        type="provider_error", message="bad\x1b[2J", details={"cause": "one\ntwo\x07"}
    )
    assert ctl("stop", "web").err == "error: bad\\x1b[2J\n  cause: one\ntwo\\x07\n"
