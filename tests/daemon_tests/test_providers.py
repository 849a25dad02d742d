"""Providers, strays and the configuration while the daemon runs."""

from __future__ import annotations

import contextlib
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from swarmd.errors import Conflict, ProviderError, ProviderNotFound, Unavailable, ValidationError
from tests.daemon_tests.conftest import RunDaemon, end_processes
from tests.daemon_tests.harness import STANDIN, Running, Settings, account
from tests.support import wait_until


class Events:
    """What happens from now on."""

    def __init__(self, daemon: Running) -> None:
        self._client = daemon.client()
        self._stream = self._client.stream("events.subscribe", {})
        self.seen: list[Any] = []

    def until(self, kind: str, **facts: Any) -> Any:
        """The next event of a type with these facts."""
        while True:
            chunk = self._stream.read(10)
            assert chunk is not None
            event = chunk.data
            if not isinstance(event, dict) or "type" not in event:
                continue
            self.seen.append(event)
            if event["type"] == kind and facts.items() <= event.get("data", {}).items():
                return event

    def close(self) -> None:
        self._client.close()


def options(settings: Settings) -> dict[str, Any]:
    return {"command": list(STANDIN), "port_range": settings.ports.range, **account()}


def test_a_provider_comes_changes_and_goes(running_daemon: RunDaemon, settings: Settings) -> None:
    daemon = running_daemon()
    with contextlib.closing(Events(daemon)) as events:
        info = daemon.call("provider.register", name="box", type="local", options=options(settings))
        assert (info["name"], info["registered"]) == ("box", True)
        assert events.until("provider_added")["target"] == "box"
        daemon.ready()
        daemon.create("web", provider="box")
        daemon.call("provider.cordon", name="box")
        events.until("provider_updated", cordoned=True)
        with pytest.raises(Conflict):
            daemon.create("other", provider="box")
        daemon.call("provider.enable", name="box")
        daemon.ready()
        daemon.call("provider.update", name="box", priority=2.0, options={"log_files": 5})
        events.until("provider_updated")
        daemon.ready()
        assert daemon.call("provider.get", name="box")["options"]["log_files"] == 5
        assert daemon.status_of("web") == "running"
        daemon.call("instance.restart", id="web")
        with pytest.raises(Conflict):
            daemon.call("provider.remove", name="box")
        daemon.call("instance.delete", id="web", force=True)
        daemon.call("provider.remove", name="box")
        events.until("provider_removed")
    with pytest.raises(ProviderNotFound):
        daemon.call("provider.get", name="box")
    assert daemon.child_state("provider:box") == "gone"
    daemon.check_consistent()


def test_disabled_and_enabled(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    daemon.create("web")
    daemon.call("provider.disable", name="local")
    assert daemon.child_state("provider:local") == "gone"
    for method in ("instance.stop", "instance.logs", "instance.delete"):
        with pytest.raises(Unavailable) as caught:
            daemon.call(method, id="web")
        assert "enable" in (caught.value.next_step or "")
    assert daemon.status_of("web") == "running"
    daemon.call("provider.enable", name="local")
    daemon.ready()
    daemon.call("instance.stop", id="web")
    daemon.call("provider.disable", name="local")
    # It is remembered.
    daemon.stop()
    again = running_daemon(wait=False)
    assert again.call("provider.get", name="local")["enabled"] is False
    again.call("provider.enable", name="local")
    again.ready()
    again.call("instance.start", id="web")
    again.check_consistent()


def test_a_drained_provider_runs_nothing_and_takes_nothing(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    for name in ("web", "docs"):
        daemon.create(name)
    daemon.create("idle", start=False)
    before = daemon.call("daemon.status")["last_seq"]
    drained = daemon.call("provider.drain", name="local")
    assert (drained["begun"], drained["stopped"], drained["refused"]) == (2, 2, 0)
    assert {item["ref"].rpartition("/")[2] for item in drained["items"]} == {"web", "docs"}
    assert daemon.call("provider.get", name="local")["cordoned"] is True
    with pytest.raises(Conflict):
        daemon.create("other")
    stops = [daemon.call("operation.get", id=item["operation"]) for item in drained["items"]]
    assert {(stop["kind"], stop["origin"], stop["state"]) for stop in stops} == {
        ("stop", "user", "succeeded")
    }
    # A user's stop: reconciliation starts none of them again.
    assert all(
        daemon.call("instance.get", id=name)["desired"] == "stopped" for name in ("web", "docs")
    )
    # Before the drain they ran: the journal has the table as it was.
    past = daemon.call("events.at", seq=before)
    assert {row["name"]: row["status"] for row in past["items"]} == {
        "web": "running", "docs": "running", "idle": "created",
    }  # fmt: skip
    now = daemon.call("events.at")
    assert {row["status"] for row in now["items"]} == {"stopped", "created"}
    assert not now["gap"]
    assert daemon.call("provider.drain", name="local")["begun"] == 0
    with pytest.raises(ProviderNotFound):
        daemon.call("provider.drain", name="nobody")
    with pytest.raises(ValidationError):
        daemon.call("events.at", seq=1, time="2026-01-01T00:00:00Z")
    daemon.check_consistent()


def test_a_drain_need_not_be_waited_for(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    daemon.create("web")
    drained = daemon.call("provider.drain", name="local", wait=False)
    assert drained["begun"] == 1
    (item,) = drained["items"]
    assert daemon.wait(item["operation"])["state"] == "succeeded"
    assert daemon.status_of("web") == "stopped"


def test_wrong_providers_are_refused(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    for params, field in (
        ({"name": "box", "type": "nothing"}, "type"),
        ({"name": "Box!", "type": "local"}, "name"),
        ({"name": "box", "type": "local", "options": {"colour": "red"}}, "options.colour"),
        ({"name": "box", "type": "local", "options": {"port_range": "9"}}, "options.port_range"),
    ):
        with pytest.raises(ValidationError) as caught:
            daemon.call("provider.register", **params)
        assert caught.value.field in (field, field.removeprefix("options."))
        assert caught.value.next_step
    with pytest.raises(ValidationError):
        daemon.call("provider.update", name="local", priority=1)
    with pytest.raises(ProviderNotFound):
        daemon.call("provider.enable", name="nobody")
    assert list(daemon.tables.providers) == ["local"]


class Held:
    """A provider whose create waits for a gate, and hears a cancel."""

    gate = threading.Event()

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def create(self, instance: Any, call: Any) -> Any:
        while not Held.gate.wait(0.01):
            call.check()
        return self.inner.create(instance, call)


@pytest.fixture
def gate() -> threading.Event:
    Held.gate = threading.Event()
    return Held.gate


def test_a_reload_under_way_loses_no_operation(
    running_daemon: RunDaemon, settings: Settings, gate: threading.Event
) -> None:
    """Adapters are made anew: what runs in them is taken up by the next one."""
    daemon = running_daemon(wrap_provider=Held)
    callers = [daemon.in_thread("instance.create", config={"name": f"i{n}"}) for n in range(3)]
    wait_until(lambda: len(daemon.tables.active) == 3)
    settings.tables = {"instances": {"start_timeout": "25s"}}
    settings.options = {"log_files": 7}
    settings.write()
    report = daemon.on_loop(daemon.daemon.reload)
    assert "instances.start_timeout" in report.applied
    gate.set()
    assert [caller.value()["status"] for caller in callers] == ["running"] * 3
    assert daemon.call("provider.get", name="local")["options"]["log_files"] == 7
    daemon.check_consistent()


def test_what_runs_at_a_provider_that_is_disabled_ends_with_a_reason(
    running_daemon: RunDaemon, gate: threading.Event
) -> None:
    daemon = running_daemon(wrap_provider=Held)
    create = daemon.in_thread("instance.create", config={"name": "web"})
    wait_until(lambda: daemon.tables.active)
    daemon.call("provider.disable", name="local")
    with pytest.raises(ProviderError, match="not driven by this daemon now"):
        create.value(10)
    gate.set()
    daemon.call("provider.enable", name="local")
    daemon.ready()
    # It could not be undone then; it is now.
    daemon.check_consistent()
    assert daemon.tables.instances == {}


def test_providers_of_the_file_come_and_go(
    running_daemon: RunDaemon, settings: Settings, tmp_path: Path
) -> None:
    daemon = running_daemon()
    with contextlib.closing(Events(daemon)) as events:
        settings.providers = [{"name": "box", "type": "local", "options": options(settings)}]
        settings.write()
        report = daemon.call("daemon.reload")
        assert "providers.box" in report["applied"]
        events.until("config_reloaded")
        daemon.ready()
        assert daemon.call("provider.get", name="box")["health"]["ok"]
        settings.providers = []
        settings.write()
        daemon.call("daemon.reload")
    with pytest.raises(ProviderNotFound):
        daemon.call("provider.get", name="box")
    assert daemon.child_state("provider:box") == "gone"


def test_a_file_that_switches_a_provider_off(running_daemon: RunDaemon, settings: Settings) -> None:
    settings.providers = [{"name": "box", "type": "local", "options": options(settings)}]
    settings.write()
    daemon = running_daemon()
    settings.providers[0]["enabled"] = False
    settings.write()
    daemon.call("daemon.reload")
    assert daemon.call("provider.get", name="box")["enabled"] is False
    assert daemon.child_state("provider:box") == "gone"
    # What was said at run time holds over what the file says.
    daemon.call("provider.enable", name="box")
    daemon.ready()
    daemon.call("daemon.reload")
    assert daemon.call("provider.get", name="box")["enabled"] is True


def test_a_wrong_file_changes_nothing(running_daemon: RunDaemon, settings: Settings) -> None:
    daemon = running_daemon()
    (settings.folder / "config.toml").write_text("[daemon]\nreconcile_interval = 'soon'\n")
    before = daemon.daemon.config
    with pytest.raises(ValidationError) as caught:
        daemon.call("daemon.reload")
    assert caught.value.field == "daemon.reconcile_interval"
    daemon.on_loop(daemon.daemon._reload_quietly)
    assert daemon.daemon.config is before
    settings.tables = {"daemon": {"observe_interval": "1s", "state_dir": "/elsewhere"}}
    settings.write()
    report = daemon.call("daemon.reload")
    assert report["applied"] == ["daemon.observe_interval"]
    assert report["restart_required"] == ["daemon.state_dir"]


def test_a_provider_that_cannot_be_made(running_daemon: RunDaemon, settings: Settings) -> None:
    def refuse(inner: Any) -> Any:
        if inner.name == "box":
            raise Unavailable("no such box", next_step="Build it.")
        return inner

    settings.providers = [{"name": "box", "type": "local", "options": options(settings)}]
    settings.write()
    daemon = running_daemon(wait=False, wrap_provider=refuse)
    wait_until(lambda: daemon.call("daemon.status")["state"] == "degraded")
    assert "no such box" in " ".join(daemon.call("daemon.status")["reasons"])
    daemon.create("web")
    daemon.call("provider.disable", name="box")
    daemon.ready()
    with pytest.raises(Unavailable):
        daemon.call("provider.enable", name="box")
    wait_until(lambda: daemon.call("daemon.status")["state"] == "degraded")
    assert "no such box" in " ".join(daemon.call("daemon.status")["reasons"])


# --- strays ------------------------------------------------------------------------------------


def forget_records(settings: Settings) -> None:
    """Someone restored an old backup of the state: instances without their records."""
    for path in (settings.state / "instances").iterdir():
        path.unlink()
    shutil.rmtree(settings.state / "operations")


def test_strays_are_listed_adopted_and_discarded(
    running_daemon: RunDaemon, settings: Settings
) -> None:
    first = running_daemon()
    for name in ("keep", "drop", "clash"):
        first.create(name, labels={"of": name})
    first.create("bare", start=False)
    first.stop()
    forget_records(settings)
    daemon = running_daemon()
    daemon.create("clash", start=False)
    wait_until(lambda: len(daemon.tables.strays) == 4)
    strays = {each["name"]: each for each in daemon.call("daemon.doctor")["strays"]}
    assert strays.keys() == {"keep", "drop", "clash", "bare"}
    assert strays["keep"]["running"]
    # Nothing of it is touched by itself.
    assert len(settings.processes()) == 3
    keep = daemon.call("stray.adopt", id=strays["keep"]["id"], provider="local")
    assert (keep["name"], keep["config"]["labels"]) == ("keep", {"of": "keep"})
    assert daemon.wait_status("keep", "running")["desired"] == "running"
    with pytest.raises(Conflict) as caught:
        daemon.call("stray.adopt", id=strays["clash"]["id"], provider="local")
    assert caught.value.next_step
    daemon.call("stray.adopt", id=strays["clash"]["id"], provider="local", name="other")
    daemon.call("stray.discard", id=strays["drop"]["id"], provider="local")
    daemon.call("stray.adopt", id=strays["bare"]["id"], provider="local")
    # Their passwords are not known any more: they have new ones.
    assert keep["restart_required"] == ["auth.credentials"]
    daemon.settle()
    assert daemon.call("instance.start", id="bare")["status"] == "running"
    assert daemon.call("instance.credentials", id="bare")["password"]
    with pytest.raises(Conflict):
        daemon.call("stray.discard", id=strays["drop"]["id"], provider="local")
    daemon.check_consistent()
    assert len(settings.processes()) == 3
    names = [item["name"] for item in daemon.call("instance.list")["items"]]
    assert names == ["bare", "clash", "keep", "other"]


def test_a_start_without_its_records_adopts_what_is_its_own(
    running_daemon: RunDaemon, settings: Settings
) -> None:
    first = running_daemon()
    running = first.create("runs", labels={"a": "b"})
    first.create("stands", start=False)
    first.create("trashed", start=False)
    first.call("instance.delete", id="trashed")
    first.stop()
    settings.tables = {"daemon": {"load_state_on_startup": False}}
    settings.write()
    daemon = running_daemon()
    wait_until(lambda: len(daemon.tables.instances) == 3, timeout=10)
    daemon.check_consistent()
    assert daemon.wait_status("runs", "running")["url"] == running["url"]
    assert daemon.call("instance.get", id="runs")["config"]["labels"] == {"a": "b"}
    assert daemon.status_of("stands") in ("stopped", "created")
    # What was deleted stays deleted, and can be taken back.
    assert [item["name"] for item in daemon.call("instance.list", trash=True)["items"]] == [
        "trashed"
    ]
    daemon.call("instance.undelete", id="trashed")
    assert len(settings.processes()) == 1
    end_processes(settings)
