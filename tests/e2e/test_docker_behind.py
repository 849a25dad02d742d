"""What somebody does at the engine by hand, while instances run: seen at once, and put right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.daemon import DaemonProcess, Refused
from tests.docker_engine import remove_container
from tests.e2e.docker_kit import SEEN, Box, await_status, event_types, status, story
from tests.e2e.looking import healthz, output
from tests.support import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

RESTART = 60.0
"""Seconds for seeing it, and making or starting the container again, on a loaded machine."""


def make(daemon: DaemonProcess, box: Box) -> dict[str, Any]:
    """An instance that runs, with a file of its own."""
    made = daemon.create("web", provider=box.name)
    done = daemon.call_stream("instance.exec", id="web", command=["sh", "-c", "echo mine >kept"])
    assert done[-1]["exit_code"] == 0
    return made


def whole(daemon: DaemonProcess, made: dict[str, Any]) -> None:
    """Wait until it runs again as it was: same URL, same files."""
    wait_until(
        lambda: status(daemon, "web") == "running" and healthz(made["url"]) == 200,
        timeout=RESTART,
        describe=lambda: (status(daemon, "web"), story(daemon, "web")),
    )
    kept = daemon.call_stream("instance.exec", id="web", command=["cat", "kept"])
    assert output(kept).strip() == "mine"
    assert daemon.call("instance.get", id="web")["url"] == made["url"]


def stories(daemon: DaemonProcess) -> list[str]:
    """What became of it, by its events."""
    return event_types(daemon, "web")


@pytest.mark.parametrize("act", ["remove", "stop", "kill"])
def test_what_is_to_run_runs_again(boxed: DaemonProcess, box: Box, act: str) -> None:
    made = make(boxed, box)
    before = box.container(made["id"])
    heard = len(stories(boxed))
    with box.client() as client:
        if act == "remove":
            remove_container(client, before["Id"])
        elif act == "stop":
            client.api.stop(before["Id"], timeout=1)
        else:
            client.api.kill(before["Id"])
    wait_until(
        lambda: "instance_status_changed" in stories(boxed)[heard:],
        timeout=SEEN,
        describe=lambda: stories(boxed),
    )
    whole(boxed, made)
    after = box.container(made["id"])
    assert (after["Id"] == before["Id"]) == (act != "remove")
    assert "reconcile" in story(boxed, "web")


def test_its_name_is_given_back(boxed: DaemonProcess, box: Box) -> None:
    made = make(boxed, box)
    before = box.container(made["id"])
    with box.client() as client:
        client.api.rename(before["Id"], f"{box.name}-by-hand")
    wait_until(
        lambda: box.container(made["id"])["Name"] == before["Name"],
        timeout=SEEN,
        describe=lambda: box.container(made["id"])["Name"],
    )
    now = box.container(made["id"])
    assert (now["Id"], now["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert status(boxed, "web") == "running"


def test_its_name_is_given_back_that_was_taken_while_the_daemon_was_away(
    boxed: DaemonProcess, box: Box
) -> None:
    made = make(boxed, box)
    boxed.call("instance.restart", id="web")  # the epoch of its birth is over
    boxed.kill()
    before = box.container(made["id"])
    with box.client() as client:
        client.api.rename(before["Id"], f"{box.name}-by-hand")
    boxed.start()
    whole(boxed, made)
    wait_until(lambda: status(boxed, "web") == "running", timeout=SEEN)
    boxed.call("instance.stop", id="web")
    boxed.call("instance.start", id="web")
    now = box.container(made["id"])
    assert now["Name"].startswith(f"/swarmd-{made['id']}-e")
    assert now["Id"] == before["Id"]


def test_a_users_stop_wins_over_a_start_by_hand(boxed: DaemonProcess, box: Box) -> None:
    made = make(boxed, box)
    boxed.call("instance.stop", id="web")
    container = box.container(made["id"])["Id"]
    heard = len(stories(boxed))
    with box.client() as client:
        client.api.start(container)
    wait_until(
        lambda: "instance_status_changed" in stories(boxed)[heard:],
        timeout=SEEN,
        describe=lambda: stories(boxed),
    )
    wait_until(
        lambda: not box.container(made["id"])["State"]["Running"],
        timeout=RESTART,
        describe=lambda: story(boxed, "web"),
    )
    await_status(boxed, "web", "stopped")
    assert boxed.call("instance.get", id="web")["desired"] == "stopped"


def test_a_network_that_was_removed_is_made_again(boxed: DaemonProcess, box: Box) -> None:
    made = make(boxed, box)
    with box.client() as client:
        client.api.disconnect_container_from_network(box.container(made["id"])["Id"], box.name)
        client.api.remove_network(box.name)
    assert healthz(made["url"]) == 0
    boxed.call("instance.restart", id="web")
    whole(boxed, made)
    boxed.call("instance.stop", id="web")
    with box.client() as client:
        client.api.remove_network(box.name)
    boxed.call("instance.start", id="web")
    whole(boxed, made)


def test_a_volume_that_is_gone_is_never_replaced_by_an_empty_one(
    boxed: DaemonProcess, box: Box
) -> None:
    made = make(boxed, box)
    boxed.kill()  # or it would have made a container around the volume, before that is gone
    with box.client() as client:
        remove_container(client, box.container(made["id"])["Id"])
        volume = f"swarmd-{made['id']}"
        client.api.remove_volume(volume)
    boxed.start()
    await_status(boxed, "web", "error", RESTART)
    error = boxed.call("instance.get", id="web")["last_error"]
    assert error["details"]["lost"] is True
    assert box.left() == []
    with pytest.raises(Refused) as refused:
        boxed.call("instance.start", id="web")
    assert refused.value.type == "instance_not_found"
    assert box.left() == []
    done = boxed.ctl("rm", "web", "--force", "--yes")
    assert done.returncode == 0, done.stderr
    assert boxed.instances() == []
