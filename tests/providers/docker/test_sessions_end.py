"""How commands in containers of a real engine end, and all that they started with them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

from swarmd.errors import DeadlineExceeded, SwarmError
from swarmd.messages.units import Duration
from swarmd.providers.docker.ending import SCRIPT
from swarmd.providers.docker.engine import Engine, Where
from tests.docker_engine import engine_url
from tests.docker_files import RootFiles
from tests.docker_images import add_account, cached, load, source_of
from tests.providers.docker.sessions import SECONDS, Box, box, everything
from tests.support import require, wait_until

APPLETS = ("sh", "sleep", "grep", "printf", "setsid", "env", "cat")


@pytest.fixture
def busy(docker_client: docker.DockerClient, engine: Engine) -> Iterator[Box]:
    """A container that has busybox and nothing else."""
    path = shutil.which("busybox")
    require("docker", found=path, reason="there is no busybox to make an image of")
    assert path is not None
    program = Path(path).read_bytes()

    def build(client: docker.DockerClient, name: str) -> None:
        files = RootFiles()
        add_account(files)
        for top in ("lib", "lib64"):  # its libraries', if it is not static
            files.folder(f"/usr/{top}")
            files.link(f"/{top}", f"usr/{top}")
        files.program(Path(path), "/bin/busybox")
        for applet in APPLETS:
            files.link(f"/bin/{applet}", "busybox")
        load(client, name, [files.tar()])

    image = cached(docker_client, "busybox", [*source_of(Path(__file__)), program], build)
    with box(docker_client, engine, image) as made:
        yield made


def waits(future: Future[Any]) -> None:
    with pytest.raises(TimeoutError):
        future.result(0.05)


HIDING = {
    "plain": "sleep 300",
    "in the background": "sleep 300 & sleep 300",
    "another session": "setsid sleep 300 & sleep 300",
    "an orphan": "(setsid sleep 300 &); sleep 300",
    "no environment": "env -i /usr/bin/sleep 300 & sleep 300",
    "no environment, a session of its own": "env -i setsid sleep 300 & sleep 300",
    "no environment, and its leader ended": "(env -i sleep 300 &); exec sleep 300",
    "deaf": "trap '' TERM INT HUP; sleep 300 & sleep 300",
    "a large environment": "export B=$(head -c 100000 /dev/zero | tr '\\0' x); sleep 300; true",
    "newlines": "export B='1\n2\n'; setsid sleep 300 & sleep 300",
    "forking": "while :; do sleep 300 & sleep 0.01; done",
}


@pytest.mark.parametrize("how", HIDING)
def test_everything_ends_at_the_timeout(tiny: Box, how: str) -> None:
    before = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        tiny.do("sh", "-c", HIDING[how], timeout=Duration(0.4))
    assert caught.value.field == "timeout"
    assert caught.value.next_step
    assert tiny.sleepers() == [], "nothing of it runs when it is told"
    assert time.monotonic() - before < SECONDS


def test_everything_ends_in_a_container_of_busybox_alone(busy: Box) -> None:
    script = "export A=1; setsid sleep 300 & env -i /bin/sleep 300 & sleep 300"
    with pytest.raises(DeadlineExceeded):
        busy.do("sh", "-c", script, timeout=Duration(0.4))
    assert busy.sleepers() == []


def test_the_script_needs_no_grep(tiny: Box) -> None:
    session = tiny.open("sh", "-c", "export SWARMD_EXEC=other; exec sleep 300")
    wait_until(tiny.sleepers)
    script = "grep() { return 1; }\n" + SCRIPT
    assert tiny.do("sh", "-c", script, "sh", "SWARMD_EXEC=other")[0] == 0
    assert tiny.sleepers() == []
    everything(session)
    assert session.result() == 137
    session.close()


def test_only_what_it_started_ends(tiny: Box) -> None:
    kept = tiny.open("sleep", "300")
    wait_until(tiny.sleepers)
    with pytest.raises(DeadlineExceeded):
        tiny.do("sh", "-c", "sleep 300; true", timeout=Duration(0.3))
    assert tiny.sleepers() == ["sleep 300"]
    kept.close()
    assert tiny.sleepers() == []


def test_output_before_the_timeout_is_told(tiny: Box) -> None:
    session = tiny.open("sh", "-c", "echo first; sleep 300", timeout=Duration(0.5))
    assert session.read() == ("stdout", b"first\n")
    for _ in range(2):
        with pytest.raises(DeadlineExceeded):
            # Where its child is ended before it, the shell still says so.
            while (piece := session.read()) is not None:
                assert piece == ("stderr", b"Killed\n")
    session.close()


def test_a_timeout_that_is_not_reached_changes_nothing(tiny: Box) -> None:
    assert tiny.do("echo", "hi", timeout=Duration(60))[:2] == (0, b"hi\n")


def test_close_wakes_the_reader_and_ends_it(tiny: Box, threads: ThreadPoolExecutor) -> None:
    session = tiny.open("sh", "-c", "setsid sleep 300 & sleep 300")
    reading = threads.submit(session.read)
    waits(reading)
    wait_until(tiny.sleepers, describe=tiny.sleepers)
    session.close()
    session.close()
    assert reading.result(SECONDS) is None
    assert tiny.sleepers() == []
    # 126 where the engine, which has much to do, has not told yet that it runs.
    assert session.result() in (126, 137)
    assert session.read() is None


def test_close_at_once_leaves_nothing(tiny: Box) -> None:
    for _ in range(5):
        tiny.open("sleep", "300", stdin=True).close()
    assert tiny.sleepers() == []


def test_what_it_left_behind_on_purpose_stays(tiny: Box) -> None:
    code, _, _ = tiny.do("sh", "-c", "setsid sleep 300 >/dev/null 2>&1 </dev/null &")
    assert code == 0
    assert tiny.sleepers() == ["sleep 300"]


def test_output_that_is_held_open_by_what_stays_does_not_keep_it(tiny: Box) -> None:
    before = time.monotonic()
    assert tiny.do("sh", "-c", "sleep 300 & echo hi")[:2] == (0, b"hi\n")
    assert time.monotonic() - before < SECONDS


@pytest.mark.parametrize("act", ["kill", "remove", "stop"])
def test_a_container_that_is_stopped_ends_it(
    tiny: Box, threads: ThreadPoolExecutor, act: str
) -> None:
    session = tiny.open("sleep", "300")
    reading = threads.submit(session.read)
    wait_until(tiny.sleepers)
    if act == "stop":
        tiny.engine.stop(tiny.ref, 1, SECONDS)
    else:
        getattr(tiny.engine, act)(tiny.ref, SECONDS)
    assert reading.result(SECONDS) is None
    assert session.result() == 137
    session.close()


def test_closing_after_the_container_is_gone_is_quiet(tiny: Box) -> None:
    session = tiny.open("sleep", "300", timeout=Duration(600))
    tiny.engine.remove(tiny.ref, SECONDS)
    session.close()
    assert session.read() is None


def test_a_lost_engine_is_told(tiny: Box, threads: ThreadPoolExecutor) -> None:
    other = Box(Engine("test", Where(engine_url())), tiny.ref, tiny.user)
    session = other.open("sleep", "300")
    reading = threads.submit(session.read)
    waits(reading)
    other.engine.close()
    with pytest.raises(SwarmError):
        reading.result(SECONDS)
    session.close()


def test_a_command_that_cannot_be_ended_at_its_timeout_is_told(
    docker_client: docker.DockerClient, tiny: Box
) -> None:
    session = tiny.open("sh", "-c", "echo on; sleep 300", timeout=Duration(1))
    assert session.read() == ("stdout", b"on\n")
    docker_client.api.pause(tiny.ref)
    with pytest.raises(DeadlineExceeded, match="could not be ended") as caught:
        session.read()
    assert "paused" in caught.value.details["cause"]
    assert caught.value.next_step
    docker_client.api.unpause(tiny.ref)
    session.close()


def test_what_became_the_superusers_ends_too(tiny: Box) -> None:
    tiny.user = "root"
    copy = "cp /usr/bin/python3 /usr/bin/sudoer && chmod 4755 /usr/bin/sudoer"
    assert tiny.do("sh", "-c", copy)[0] == 0
    tiny.user = "coder"
    become = "import os; os.setuid(0); os.execve('/usr/bin/sleep', ['sleep', '300'], {})"
    session = tiny.open("sh", "-c", f'sudoer -I -S -c "{become}"; true')
    wait_until(lambda: [line for line in tiny.sleepers() if line == "sleep 300"])
    session.close()
    assert tiny.sleepers() == []
    assert session.result() == 137
