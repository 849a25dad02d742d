"""Two real local providers behind one socket: who gets an instance, and who is next if one fails.

The daemon runs in this process, ``swarmctl`` too; everything between them is as in production.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from swarmd.errors import ProviderError, ProviderNotFound, ResourceLimitError, Unavailable
from tests.cli.driver import ctl
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import STANDIN, Running, Settings, account
from tests.support import wait_until

FAILING = f"""#!/bin/sh
case "$*" in *--install-extension*) echo "no extension for you" >&2; exit 1;; esac
exec {" ".join(STANDIN)} "$@"
"""
EXTENSION: dict[str, Any] = {"extensions": ["some.extension"]}
"""What a provider cannot install whose server is ``FAILING``, once all else has been made."""


@pytest.fixture
def two(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """``local``, which fails to install extensions, and ``box``; ``swarmctl`` finds the daemon."""
    script = tmp_path / "failing"
    script.write_text(FAILING)
    settings.options = {"command": ["/bin/sh", str(script)]}
    options = {"command": list(STANDIN), "port_range": settings.ports.range, **account()}
    settings.providers = [{"name": "box", "type": "local", "options": options}]
    settings.write()
    monkeypatch.setenv("SWARMD_SOCKET", str(settings.socket))
    return settings


def configure(daemon: Running, /, **tables: dict[str, object]) -> None:
    """Reload with these tables, and wait until all is as before."""
    daemon.settings.tables = tables
    daemon.settings.write()
    daemon.call("daemon.reload")
    daemon.ready()


def story(name: str) -> dict[str, str]:
    """``swarmctl why``, as what: why."""
    lines = ctl("why", name, "-o", "json").data["items"]
    return {line["what"]: line["why"] for line in lines}


def rows(daemon: Running) -> dict[str, Any]:
    return {each["name"]: each["provider"] for each in daemon.call("instance.list")["items"]}


def test_it_is_made_where_there_is_room(running_daemon: RunDaemon, two: Settings) -> None:
    two.options["max_instances"] = 1
    two.write()
    daemon = running_daemon()
    assert ctl("create", "one", "--no-start").code == 0
    dry = ctl("create", "two", "--dry-run", "-o", "json").data
    assert dry["chosen"] == "box"
    assert dry["refused"] == [
        {
            "provider": "local",
            "reason": "provider local has 1 instances, its most",
            "field": "config.provider",
        }
    ]
    table = ctl("create", "two", "--dry-run")
    assert table.out.splitlines()[1].split()[:3] == ["1", "box", "1"]
    assert "provider local has 1 instances, its most" in table.out
    assert rows(daemon) == {"one": "local"}, "a dry run makes nothing"
    assert ctl("create", "two", "--no-start").code == 0
    assert rows(daemon) == {"one": "local", "two": "box"}
    assert story("one")["placed at local"].startswith("the first of 2 that take it; daemon.default")
    assert story("two")["placed at box"] == (
        "the only one that takes it; balanced gives it 1 (capacity 1, priority 0)"
    )
    with pytest.raises(ResourceLimitError, match="its most"):
        daemon.create("three", provider="local")
    assert rows(daemon).keys() == {"one", "two"}
    daemon.check_consistent()


def test_one_whose_place_cannot_be_used_is_passed_over(
    running_daemon: RunDaemon, two: Settings
) -> None:
    two.tables = {"daemon": {"default_provider": "box"}}
    two.write()
    two.data.mkdir()
    (two.data / ".provider-box").write_text("no folder")
    daemon = running_daemon(wait=False)
    wait_until(lambda: len(daemon.tables.views) == 2)
    dry = ctl("create", "web", "--dry-run", "-o", "json").data
    assert dry["chosen"] == "local"
    assert "provider box is not ready" in dry["refused"][0]["reason"]
    assert daemon.create("web")["provider"] == "local"
    with pytest.raises(Unavailable, match="not ready"):
        daemon.create("other", provider="box")


def test_a_creation_that_fails_goes_on_at_the_next(
    running_daemon: RunDaemon, two: Settings
) -> None:
    daemon = running_daemon()
    with daemon.client() as client:
        events = client.stream("events.subscribe", {})
        assert ctl("create", "web", "--extension", "some.extension").code == 0
        told = []
        while True:
            chunk = events.read(10)
            assert chunk is not None
            if isinstance(chunk.data, dict) and "type" in chunk.data:
                told.append(chunk.data)
                if chunk.data["type"] == "operation_ended":
                    break
    messages = [each["data"].get("message") for each in told]
    assert "local could not make it, trying box" in messages
    assert "instance_purged" not in {each["type"] for each in told}
    web = daemon.call("instance.get", id="web")
    assert (web["provider"], web["status"], web["epoch"]) == ("box", "running", 2)
    assert web["config"].get("provider") is None
    why = story("web")
    assert why["create at box"].startswith("local could not: ")
    assert "create did not succeed" in why
    assert daemon.seen()["local"] == [], "nothing is left where it failed"
    assert [path.name for path in two.data.iterdir() if not path.name.startswith(".")] == []
    (operation,) = ctl("ops", "-o", "json").data["items"]
    assert operation["state"] == "succeeded"
    assert ctl("get", "web").code == 0
    daemon.check_consistent()


def test_an_import_goes_on_as_well(running_daemon: RunDaemon, two: Settings) -> None:
    daemon = running_daemon()
    made = daemon.create("web", start=False)
    (two.data / made["id"] / "workspace" / "work.txt").write_bytes(b"work")
    with daemon.client() as client:
        archive = b"".join(each.bytes for each in client.stream("instance.export", {"id": "web"}))
        upload = client.stream("upload.open", {}).write(archive, end=True)["upload"]
    config = {"name": "copy", **EXTENSION}
    copy = daemon.call("instance.import", upload=upload, config=config, start=False)
    assert copy["provider"] == "box"
    place = two.data / ".provider-box" / copy["id"] / "workspace" / "work.txt"
    assert place.read_bytes() == b"work"
    daemon.check_consistent()


@pytest.mark.parametrize("named", [True, False])
def test_who_is_named_never_falls_back_and_neither_does_a_daemon_told_so(
    running_daemon: RunDaemon, two: Settings, named: bool
) -> None:
    daemon = running_daemon()
    if not named:
        configure(daemon, placement={"fallback": False})
    provider = ["--provider", "local"] if named else []
    ran = ctl("create", "web", "--extension", "some.extension", *provider)
    assert ran.code == 1
    assert "some.extension" in ran.err
    assert "at no provider" not in ran.err
    assert rows(daemon) == {}
    daemon.check_consistent()


def test_all_that_fail_are_named(running_daemon: RunDaemon, two: Settings) -> None:
    two.providers[0]["options"] = {**two.providers[0]["options"], **two.options}  # type: ignore[dict-item]
    two.write()
    daemon = running_daemon()
    with pytest.raises(ProviderError, match="root/web" if os.geteuid() == 0 else "web") as caught:
        daemon.create("web", **EXTENSION)
    attempts = caught.value.details["attempts"]
    assert [each["provider"] for each in attempts] == ["local", "box"]
    assert all(each["type"] == "provider_error" and each["message"] for each in attempts)
    assert rows(daemon) == {}
    assert daemon.seen() == {"local": [], "box": []}
    daemon.check_consistent()


def test_a_delete_wins_over_every_attempt(running_daemon: RunDaemon, two: Settings) -> None:
    daemon = running_daemon()
    begun = daemon.begin("instance.create", config={"name": "web", **EXTENSION})
    daemon.call("instance.delete", id="web", force=True)
    daemon.wait(begun)
    assert rows(daemon) == {}
    daemon.check_consistent()
    assert daemon.seen() == {"local": [], "box": []}


def test_the_strategy_is_changed_by_a_reload(running_daemon: RunDaemon, two: Settings) -> None:
    two.providers[0]["cost_per_hour"] = 0.5
    two.providers[0]["region"] = "eu-west"
    two.providers[0]["labels"] = {"gpu": "yes"}
    two.provider["priority"] = 1.0
    two.provider["cost_per_hour"] = 2.0
    two.tables = {"daemon": {"default_provider": ""}}
    two.write()
    daemon = running_daemon()
    assert ctl("create", "web", "--dry-run", "-o", "name").out == "local\n"
    assert ctl("create", "web", "--region", "eu-west", "--dry-run", "-o", "name").out == "box\n"
    asked = ctl("create", "web", "--provider-label", "gpu=yes", "--no-start", "-o", "json").data
    assert asked["provider"] == "box"
    configure(daemon, daemon={"default_provider": ""}, placement={"strategy": "cost"})
    found = ctl("create", "web2", "--dry-run", "-o", "json").data
    assert (found["chosen"], found["strategy"]) == ("box", "cost")
    assert [each["note"] for each in found["ranked"]] == ["0.5 an hour", "2 an hour"]
    wide = ctl("providers", "-o", "wide").out
    assert "eu-west" in wide
    assert "gpu=yes" in wide
    for name in ("local", "box"):
        daemon.call("provider.disable", name=name)
    with pytest.raises(ProviderNotFound, match="no provider is enabled"):
        daemon.create("none")
    assert ctl("create", "none", "--dry-run").code == 3


def test_what_a_registered_provider_says_of_itself(
    running_daemon: RunDaemon, two: Settings
) -> None:
    daemon = running_daemon()
    options = two.providers[0]["options"]
    info = daemon.call(
        "provider.register", name="far", type="local", options=options,
        region="us-east", labels={"a": "1", "b": "2"}, cost_per_hour=3,
    )  # fmt: skip
    assert (info["region"], info["labels"], info["cost_per_hour"]) == (
        "us-east", {"a": "1", "b": "2"}, 3,
    )  # fmt: skip
    daemon.ready()
    ran = ctl("providers", "update", "far", "--label", "a=9", "--region", "", "--cost-per-hour", 1)
    assert ran.code == 0, ran.err
    info = daemon.call("provider.update", name="far", labels={"b": None})
    assert (info.get("region"), info["labels"], info["cost_per_hour"]) == (None, {"a": "9"}, 1)
