"""Two things of one instance at two providers: the newest epoch is the instance (DESIGN 2, 5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swarmd.errors import Conflict
from tests.daemon_tests.conftest import RunDaemon, end_processes
from tests.daemon_tests.harness import STANDIN, Settings, account
from tests.support import wait_until


@pytest.fixture
def boxed(settings: Settings) -> Settings:
    """``local`` and ``box``."""
    options = {"command": list(STANDIN), "port_range": settings.ports.range, **account()}
    settings.providers = [{"name": "box", "type": "local", "options": options}]
    settings.write()
    return settings


def rewrite(settings: Settings, instance_id: str, **fields: Any) -> None:
    """Somebody put another record there: an older backup, or one from before a move."""
    path = settings.state / "instances" / f"{instance_id}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_record_that_is_older_than_the_instance_follows_it(
    running_daemon: RunDaemon, boxed: Settings
) -> None:
    first = running_daemon()
    made = first.create("web", provider="box")
    first.stop()
    rewrite(boxed, made["id"], provider="local", epoch=0, url=None)
    before = boxed.processes()
    daemon = running_daemon()
    wait_until(lambda: daemon.call("instance.get", id="web")["provider"] == "box")
    found = daemon.call("instance.get", id="web")
    assert (found["provider_type"], found["epoch"], found["status"]) == ("local", 1, "running")
    assert found["url"] == made["url"]
    story = [each["why"] for each in daemon.call("instance.why", id="web")["items"]]
    assert any("it is at box under epoch 1; the record said local" in why for why in story)
    daemon.check_consistent()
    assert boxed.processes() == before
    end_processes(boxed)


def test_an_older_copy_elsewhere_is_ended_kept_and_can_be_discarded(
    running_daemon: RunDaemon, boxed: Settings
) -> None:
    first = running_daemon()
    made = first.create("web", provider="box")
    first.stop()
    rewrite(boxed, made["id"], provider="local", epoch=2)
    daemon = running_daemon()
    wait_until(lambda: not boxed.processes())
    wait_until(lambda: daemon.tables.strays and not daemon.tables.strays[0].running)
    (stray,) = daemon.call("daemon.doctor")["strays"]
    assert (stray["provider"], stray["epoch"]) == ("box", 1)
    assert "a copy of" in stray["reason"]
    assert "is at local under epoch 2" in stray["reason"]
    # Of the instance itself nothing is left at its provider; nothing empty is put there.
    wait_until(lambda: daemon.status_of("web") == "error")
    with pytest.raises(Conflict) as copied:
        daemon.call("stray.adopt", id=made["id"], provider="box")
    assert "discard" in (copied.value.next_step or "")
    with pytest.raises(Conflict):
        daemon.call("stray.discard", id=made["id"], provider="local")
    daemon.call("stray.discard", id=made["id"], provider="box")
    assert daemon.call("daemon.doctor")["strays"] == []
    daemon.call("instance.delete", id="web", force=True)
    daemon.check_consistent()
