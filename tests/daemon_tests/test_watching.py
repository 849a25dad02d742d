"""What watches: logs, exec, archives, stats, the doctor, events; and what reconciliation finds."""

from __future__ import annotations

import shutil
from typing import Any

import msgspec
import pytest

import swarmd.daemon
from swarmd.core.tables import Change
from swarmd.errors import (
    Conflict,
    InstanceNotFound,
    InternalError,
    OperationNotFound,
    ValidationError,
)
from swarmd.messages.enums import OperationKind
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import Running, Settings
from tests.support import wait_until


def read(daemon: Running, method: str, **params: Any) -> tuple[bytes, int | None]:
    with daemon.client() as client:
        stream = client.stream(method, params)
        return b"".join(chunk.bytes for chunk in stream), stream.exit_code


def test_logs_exec_stats_and_the_doctor(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    daemon.create("web")
    daemon.create("down", start=False)
    assert b"stand-in" in read(daemon, "instance.logs", id="web")[0]
    said, code = read(daemon, "instance.exec", id="web", command=["sh", "-c", "pwd; exit 7"])
    assert said.strip().endswith(b"workspace")
    assert code == 7
    with pytest.raises(Conflict) as caught:
        read(daemon, "instance.exec", id="down", command=["true"])
    assert caught.value.next_step
    rows = daemon.call("instance.stats")["items"]
    assert [row["id"] for row in rows] == [daemon.call("instance.get", id="web")["id"]]
    assert daemon.call("instance.stats", id=["down"])["items"] == []
    report = daemon.call("daemon.doctor")
    assert report["strays"] == []
    names = {each["name"] for each in daemon.call("daemon.actors")["items"]}
    of_providers = {"provider:local", "health:local"}
    assert names == {"ticker", "registry", "controller", "telemetry", "alerting"} | of_providers


def test_a_watcher_that_fails_is_told(running_daemon: RunDaemon) -> None:
    class Odd:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def logs(self, *_arguments: Any) -> Any:
            raise RuntimeError("odd")

    daemon = running_daemon(wrap_provider=Odd)
    daemon.create("web", start=False)
    with pytest.raises(InternalError) as caught:
        daemon.call("instance.logs", id="web")
    assert "odd" in caught.value.details["cause"]


def test_out_and_in_again(
    running_daemon: RunDaemon, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swarmd.daemon, "TRIM_SECONDS", 0.1)
    daemon = running_daemon()
    made = daemon.create("web")
    folder = next((settings.data / made["id"]).glob("**/workspace"))
    (folder / "work.txt").write_text("work")
    archive, _ = read(daemon, "instance.export", id="web")
    with daemon.client() as client:
        upload = client.stream("upload.open", {})
        name = upload.write(archive, end=True)["upload"]
    copy = daemon.call("instance.import", upload=name, config={"name": "copy"})
    there = next((settings.data / copy["id"]).glob("**/workspace"))
    assert (there / "work.txt").read_text() == "work"
    wait_until(lambda: list((settings.state / "uploads").iterdir()) == [])
    with pytest.raises(ValidationError) as caught:
        daemon.call("instance.import", upload=name, config={"name": "again"})
    assert caught.value.field == "upload"
    daemon.check_consistent()
    assert len(daemon.tables.instances) == 2


def test_lists_and_lookups(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    made = daemon.create("web", start=False)
    create = daemon.call("operation.list", target="web")["items"][0]
    assert daemon.call("operation.get", id=create["id"][:20])["id"] == create["id"]
    with pytest.raises(OperationNotFound):
        daemon.call("operation.get", id="nothing")
    with pytest.raises(InstanceNotFound):
        daemon.call("operation.list", target="nothing")
    assert [each["name"] for each in daemon.call("provider.list")["items"]] == ["local"]
    assert daemon.call("instance.credentials", id="web")["password"]
    story = daemon.call("instance.why", id=made["id"])["items"]
    assert story[0]["what"].startswith("create")
    daemon.create("open", start=False, auth={"type": "none"})
    assert daemon.call("instance.credentials", id="open")["password"] is None
    hashed = {"type": "hashed_password", "credentials": "$argon2id$v=19$m=1,t=1,p=1$YQ$Yg"}
    daemon.create("hashed", start=False, auth=hashed)
    with pytest.raises(ValidationError):
        daemon.call("instance.credentials", id="hashed")


def test_no_event_is_missed_between_history_and_now(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    daemon.create("first", start=False)
    with daemon.client() as client:
        creates = [daemon.begin("instance.create", config={"name": f"i{n}"}, start=False)
                   for n in range(8)]  # fmt: skip
        stream = client.stream("events.subscribe", {"since": 0})
        ended: set[str] = set()
        seqs: list[int] = []
        while not set(creates) <= ended:
            chunk = stream.read(10)
            assert chunk is not None
            if isinstance(chunk.data, dict) and "seq" in chunk.data and "type" in chunk.data:
                seqs.append(chunk.data["seq"])
                if chunk.data["type"] == "operation_ended":
                    ended.add(chunk.data["operation"])
    assert seqs == list(range(1, len(seqs) + 1))


# --- what reconciliation finds -----------------------------------------------------------------


def test_one_whose_folder_and_record_are_gone_is_lost(
    running_daemon: RunDaemon, settings: Settings
) -> None:
    daemon = running_daemon()
    made = daemon.create("web", start=False)
    daemon.stop()
    wipe(settings, made["id"])
    daemon = running_daemon()
    daemon.look()
    wait_until(lambda: (daemon.look(), daemon.status_of("web"))[1] == "error")  # type: ignore[func-returns-value]
    lost = daemon.call("instance.get", id="web")["last_error"]
    assert "no longer at provider" in lost["message"]
    assert lost["details"]["next_step"]
    # Nothing new and empty is made in its place; it can be deleted, if that is meant.
    with pytest.raises(InstanceNotFound) as caught:
        daemon.call("instance.delete", id="web")
    assert "--force" in (caught.value.next_step or "")
    daemon.call("instance.delete", id="web", force=True)
    assert daemon.tables.instances == {}


def wipe(settings: Settings, instance_id: str) -> None:
    for path in settings.data.rglob(f"*{instance_id}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def change(daemon: Running, **fields: Any) -> None:
    """Write fields of the only record, as an older life might have left them."""

    def decide(tables: Any) -> Any:
        (row,) = tables.instances.values()
        return Change(instances=(msgspec.structs.replace(row, **fields),)), None

    daemon.on_loop(lambda: daemon.daemon.parts.bridge.transact(decide))


def test_an_older_epoch_that_runs_is_ended_and_its_data_kept(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    made = daemon.create("web")
    before = daemon.settings.processes()
    change(daemon, epoch=made["epoch"] + 1)
    wait_until(lambda: (daemon.look(), set(daemon.settings.processes()).isdisjoint(before))[1])  # type: ignore[func-returns-value]
    daemon.check_consistent()
    assert daemon.wait_status("web", "running")["epoch"] == made["epoch"] + 1


def test_what_a_recorded_delete_left_is_swept(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    daemon.create("web")
    (row,) = daemon.tables.instances.values()
    (create,) = daemon.tables.operations.values()
    deleted = msgspec.structs.replace(create, id="0" * 26, kind=OperationKind.DELETE)

    def decide(tables: Any) -> Any:
        return Change(operations=(deleted,), drop_instances=(row.id,)), None

    daemon.on_loop(lambda: daemon.daemon.parts.bridge.transact(decide))
    daemon.settle()
    wait_until(lambda: not daemon.settings.processes())
    assert daemon.seen() == {"local": []}
    assert daemon.tables.strays == ()
