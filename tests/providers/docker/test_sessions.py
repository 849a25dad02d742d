"""Commands in containers of a real engine: the promises of ``swarmd.ports.Session``."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

from swarmd.errors import DeadlineExceeded, ProviderError, SwarmError, ValidationError
from swarmd.messages.requests import ExecInstance
from swarmd.messages.units import Duration
from swarmd.ports import Session
from swarmd.providers.docker.channel import Channel
from swarmd.providers.docker.ending import SCRIPT
from swarmd.providers.docker.engine import Engine, NotRunning, Where
from swarmd.providers.docker.execution import folder_of, open_exec, refusal
from tests.docker_engine import engine_url
from tests.docker_files import RootFiles
from tests.docker_images import add_account, cached, load, source_of
from tests.providers.docker.sessions import HOME, Box, box
from tests.support import require, wait_until

SECONDS = 30
APPLETS = ("sh", "sleep", "grep", "printf", "setsid", "env", "cat")


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine("test", Where(engine_url()))
    yield made
    made.close()


@pytest.fixture
def tiny(docker_client: docker.DockerClient, engine: Engine, tiny_image: str) -> Iterator[Box]:
    with box(docker_client, engine, tiny_image) as made:
        yield made


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
        files.copy(Path(path), "/bin/busybox")
        for applet in APPLETS:
            files.link(f"/bin/{applet}", "busybox")
        load(client, name, [files.tar()])

    image = cached(docker_client, "busybox", [*source_of(), program, repr(APPLETS).encode()], build)
    with box(docker_client, engine, image) as made:
        yield made


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def everything(session: Session) -> bytes:
    return b"".join(data for _, data in iter(session.read, None))


def waits(future: Future[Any]) -> None:
    with pytest.raises(TimeoutError):
        future.result(0.05)


# --- output, code, input ---


def test_output_errors_and_code(tiny: Box) -> None:
    assert tiny.do("sh", "-c", "echo a; echo b >&2; exit 7") == (7, b"a\n", b"b\n")
    assert tiny.do("sh", "-c", "kill -9 $$")[0] == 137
    assert tiny.do("sh", "-c", "kill -15 $$")[0] == 143
    assert tiny.do("true") == (0, b"", b"")
    assert len(tiny.do("head", "-c", "3000000", "/dev/zero")[1]) == 3_000_000


def test_variables_user_and_folder(tiny: Box) -> None:
    assert tiny.do("printenv", "X", env={"X": "y z"})[1] == b"y z\n"
    assert tiny.do("id", "-u")[1] == b"1000\n"
    assert tiny.do("pwd")[1] == f"{HOME}\n".encode()
    assert tiny.do("mkdir", "below")[0] == 0
    assert tiny.do("pwd", workdir="below")[1] == f"{HOME}/below\n".encode()
    assert tiny.do("pwd", workdir=f"{HOME}/below/")[1] == f"{HOME}/below\n".encode()


def test_input_where_it_was_asked_for(tiny: Box) -> None:
    session = tiny.open("sort", stdin=True)
    try:
        session.write(b"b\n")
        session.write(b"a\n")
        session.close_input()
        session.close_input()
        assert everything(session) == b"a\nb\n"
        assert session.result() == 0
        with pytest.raises(ProviderError):
            session.write(b"c")
    finally:
        session.close()


def test_no_input_where_it_was_not(tiny: Box) -> None:
    assert tiny.do("cat")[:2] == (0, b""), "its end at once"
    session = tiny.open("sleep", "300")
    with pytest.raises(ProviderError) as caught:
        session.write(b"x")
    assert caught.value.field == "data_b64"
    session.close_input()
    session.close()


def test_much_input_comes_back(tiny: Box, threads: ThreadPoolExecutor) -> None:
    session = tiny.open("cat", stdin=True)
    reading = threads.submit(everything, session)
    data = os.urandom(3_000_000)
    session.write(data)
    session.close_input()
    assert reading.result(SECONDS) == data
    session.close()


def test_input_that_the_command_does_not_read_ends_with_it(
    tiny: Box, threads: ThreadPoolExecutor
) -> None:
    session = tiny.open("sh", "-c", "read line; exit 3", stdin=True)
    writing = threads.submit(session.write, b"\n" * 5_000_000)
    assert everything(session) == b""
    assert session.result() == 3
    with pytest.raises(ProviderError):
        writing.result(SECONDS)
    session.close()


def test_a_command_that_closes_its_output_is_waited_for(tiny: Box) -> None:
    assert tiny.do("sh", "-c", "exec >&- 2>&-; sleep 0.5; exit 4")[0] == 4


# --- what cannot run ---


def test_what_is_not_there_ends_as_in_a_shell(tiny: Box) -> None:
    code, out, errors = tiny.do("/no/such/program")
    assert (code, out) == (127, b"")
    assert b"/no/such/program" in errors
    assert b"OCI" not in errors
    assert tiny.do("nosuchprogram")[0] == 127
    assert tiny.do("/etc/passwd")[0] == 126
    assert tiny.do("sh", "-c", "echo OCI runtime exec failed")[0:2] == (
        0,
        b"OCI runtime exec failed\n",
    )


@pytest.mark.parametrize("workdir", ["../..", "/", "no/such", "../coder2", "a\0b"])
def test_folders_outside_or_not_there_are_refused(tiny: Box, workdir: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tiny.do("ls", workdir=workdir)
    assert caught.value.field == "workdir"
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("options", "field"),
    [({"env": {"SWARMD_EXEC": "x"}}, "env.SWARMD_EXEC"), ({"env": {"a b": "c"}}, "env")],
)
def test_wrong_variables_are_refused(tiny: Box, options: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tiny.do("ls", **options)
    assert caught.value.field == field


def test_a_user_that_the_image_lacks_is_told(tiny: Box) -> None:
    tiny.user = "nobodyhere"
    with pytest.raises(ProviderError, match="nobodyhere"):
        tiny.do("ls")


def test_a_container_that_does_not_run_is_told(tiny: Box) -> None:
    tiny.engine.kill(tiny.ref, SECONDS)
    with pytest.raises(NotRunning) as caught:
        tiny.do("ls")
    assert caught.value.next_step


# --- its end ---

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
            session.read()
    session.close()


def test_a_timeout_that_is_not_reached_changes_nothing(tiny: Box) -> None:
    assert tiny.do("echo", "hi", timeout=Duration(60))[:2] == (0, b"hi\n")


def test_close_wakes_the_reader_and_ends_it(tiny: Box, threads: ThreadPoolExecutor) -> None:
    session = tiny.open("sh", "-c", "setsid sleep 300 & sleep 300")
    reading = threads.submit(session.read)
    waits(reading)
    session.close()
    session.close()
    assert reading.result(SECONDS) is None
    assert tiny.sleepers() == []
    assert session.result() == 137
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


class Refusing(Engine):
    """An engine that tells at the start of a command, as Podman does, what Docker tells later."""

    words = ""
    status: int | None = None

    def exec_start(self, exec_id: str, within: float) -> Channel:
        told = {"cause": self.words} | ({"status": self.status} if self.status else {})
        raise ProviderError("no", details=told)


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        ('chdir to cwd ("/n") failed: no such file or directory', 500, ValidationError),
        ('exec: "x": executable file not found in $PATH', 500, ProviderError),
        ("no answer", None, ProviderError),
    ],
)
def test_an_engine_that_refuses_at_the_start(
    tiny: Box, words: str, status: int | None, error: type[SwarmError]
) -> None:
    other = Refusing("test", Where(engine_url()))
    other.words, other.status = words, status
    try:
        with pytest.raises(error):
            open_exec(
                other,
                tiny.ref,
                ExecInstance(id="x", command=("ls",)),
                folder=HOME,
                env={},
                user="coder",
                within=SECONDS if status else 1,
            )
    finally:
        other.close()


# --- pure ---


@pytest.mark.parametrize(
    ("wanted", "folder"),
    [
        (None, "/w"),
        ("", "/w"),
        (".", "/w"),
        ("a/../b", "/w/b"),
        ("/w/a", "/w/a"),
        ("a//b/", "/w/a/b"),
    ],
)
def test_folder_of(wanted: str | None, folder: str) -> None:
    assert folder_of("/w", wanted) == folder


@pytest.mark.parametrize("wanted", ["..", "/", "/wx", "a/../..", "../w/../x"])
def test_folder_of_refuses_what_is_outside(wanted: str) -> None:
    with pytest.raises(ValidationError):
        folder_of("/w", wanted)


def test_words_of_the_engine() -> None:
    start = "OCI runtime exec failed: exec failed: unable to start container process: "
    assert refusal(f'{start}exec: "x": executable file not found in $PATH: unknown', "x") == (
        127,
        'x: exec: "x": executable file not found in $PATH',
    )
    assert refusal(f'{start}exec: "/x": permission denied: unknown', "/x")[0] == 126
    with pytest.raises(ValidationError):
        refusal(f'{start}chdir to cwd ("/n") set in config.json failed: not a directory', "x")
    with pytest.raises(ProviderError) as caught:
        refusal(f"{start}read init-p: connection reset by peer", "x")
    assert caught.value.next_step
    assert str(caught.value.details["cause"]).startswith("OCI")
