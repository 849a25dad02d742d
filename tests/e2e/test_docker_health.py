"""Containers that hang, run out of memory, or whose engine is gone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from docker.errors import NotFound

from tests.daemon import DaemonProcess
from tests.docker_engine import engine_client
from tests.docker_images import tiny
from tests.docker_own import OwnEngine, copy_image
from tests.e2e.conftest import MakeDaemon
from tests.e2e.docker_kit import Box, status, story
from tests.e2e.health_kit import (
    ask,
    automatic,
    await_health,
    await_looks,
    await_well,
    fast,
    get,
    hung,
    is_held,
    make,
    told,
    turns,
    whole,
)
from tests.support import read_process, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

AGAIN = 60.0
"""Seconds for seeing it, and starting the container again, on a machine that all tests share."""


@pytest.fixture
def watched(make_daemon: MakeDaemon, box: Box) -> Iterator[DaemonProcess]:
    """A running daemon that watches health fast; it ends before the engine is cleared."""
    settings = fast(timeout="1s", max_recovery_attempts=4)
    daemon = make_daemon(settings=settings, providers=[box.table()]).start()
    yield daemon
    daemon.close()


def pids_in(box: Box, container: str) -> list[int]:
    """The processes of a container, by the host's numbers."""
    with box.client() as client:
        shown = client.api.top(container)
    column = shown["Titles"].index("PID")
    return [int(row[column]) for row in shown["Processes"]]


@contextlib.contextmanager
def container_hung(box: Box, container: str) -> Iterator[None]:
    """Let everything in a container hang; what is still there at the end goes on."""
    with contextlib.ExitStack() as hanging:
        for pid in pids_in(box, container):
            process = read_process(pid)
            assert process is not None
            hanging.enter_context(hung(process))
        yield


def started(box: Box, made: dict[str, Any]) -> tuple[str, str]:
    """Which container it is, and since when it runs."""
    found = box.container(made["id"])
    return found["Id"], found["State"]["StartedAt"]


def await_started(daemon: DaemonProcess, box: Box, made: dict[str, Any], before: object) -> None:
    """Wait until its container, or another one, was started."""

    def again() -> bool:
        try:
            found = box.containers(made["id"])
        except NotFound:  # removed between the list and the look at it
            return False
        running = [each for each in found if each["State"]["Running"]]
        return bool(running) and (running[0]["Id"], running[0]["State"]["StartedAt"]) != before

    wait_until(again, timeout=AGAIN, describe=lambda: story(daemon, made["name"]))


def test_what_hangs_is_restarted_and_then_made_anew(watched: DaemonProcess, box: Box) -> None:
    made = make(watched, "web", provider=box.name)
    first = started(box, made)
    with container_hung(box, first[0]):
        await_started(watched, box, made, first)
    await_well(watched, "web")
    whole(watched, made)
    second = started(box, made)
    assert second[0] == first[0]
    with container_hung(box, second[0]):
        await_started(watched, box, made, second)
    await_well(watched, "web")
    whole(watched, made)
    assert started(box, made)[0] != first[0]
    assert automatic(watched, "web") == ["recovery restart"] * 2
    assert "it runs and does not answer" in told(watched, "web")
    for wanted in ("unhealthy", "healthy"):
        assert turns(watched, "web").count(wanted) >= 2


def test_made_anew_by_hand(watched: DaemonProcess, box: Box) -> None:
    made = make(watched, "web", provider=box.name)
    before = box.container(made["id"])["Id"]
    watched.call("instance.recover", id="web", action="restart")
    assert box.container(made["id"])["Id"] == before
    whole(watched, made)
    recovered = watched.call("instance.recover", id="web", action="recreate")
    assert (recovered["status"], recovered["url"]) == ("running", made["url"])
    assert box.container(made["id"])["Id"] != before
    whole(watched, made)
    await_well(watched, "web")
    assert automatic(watched, "web") == []


def test_out_of_memory_it_is_started_once_and_then_held(watched: DaemonProcess, box: Box) -> None:
    made = make(watched, "web", provider=box.name, resources={"memory": "64m"})
    first = started(box, made)
    eat(watched)
    await_started(watched, box, made, first)
    await_well(watched, "web")
    whole(watched, made)
    assert "the memory limit was reached" in told(watched, "web")
    eat(watched)
    wait_until(
        lambda: is_held(get(watched, "web")),
        timeout=AGAIN,
        describe=lambda: (get(watched, "web"), story(watched, "web")),
    )
    error = get(watched, "web")["last_error"]
    assert "its limit of 64m" in error["message"]
    assert "swarmctl update" in error["details"]["next_step"]
    assert automatic(watched, "web") == ["reconcile start"]
    found = ask(watched, "web")
    assert (found["status"], found["illness"]) == ("unhealthy", "out_of_memory")
    watched.call("instance.update", id="web", changes={"resources": {"memory": "256m"}})
    await_well(watched, "web")
    whole(watched, made)


def eat(daemon: DaemonProcess) -> None:
    """Fill the memory that an instance may have.

    Files in memory belong to no process, and the server is the largest of those there are: it
    is the one that the kernel ends.
    """
    fill = ["sh", "-c", "cat /dev/zero >/dev/shm/full"]
    daemon.call_stream("instance.exec", id="web", command=fill)


@pytest.mark.root
def test_an_engine_that_is_gone_says_nothing_of_its_instances(make_daemon: MakeDaemon) -> None:
    with OwnEngine(live_restore=True) as engine:
        with engine_client() as source, engine.client() as target:
            image = tiny(source)
            copy_image(image, source, target)
        box = Box(image, url=engine.unix_url)
        settings = fast(failures=5)
        daemon = make_daemon(settings=settings, providers=[box.table()]).start()
        made, here = make(daemon, "there", provider=box.name), make(daemon, "here")
        before = started(box, made)
        engine.kill()
        await_health(daemon, "there", "unknown")
        await_looks(daemon, 5)
        found = ask(daemon, "there")
        assert (found["status"], found["illness"]) == ("unknown", "provider")
        assert found["checks"][0]["verdict"] == "unknown"
        assert automatic(daemon, "there") == []
        assert get(daemon, "here")["health"] == "healthy"
        engine.start()
        await_well(daemon, "there")
        await_looks(daemon, 3)
        assert automatic(daemon, "there") == automatic(daemon, "here") == []
        assert started(box, made) == before
        assert turns(daemon, "here") == ["healthy"]
        assert "unhealthy" not in turns(daemon, "there")
        whole(daemon, made)
        whole(daemon, here)
        assert status(daemon, "there") == "running"
        for name in ("there", "here"):
            daemon.call("instance.delete", id=name, force=True)
        assert box.left() == []
        daemon.close()
