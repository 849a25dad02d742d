"""Commands in containers of a real engine: the promises of ``swarmd.ports.Session``."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from swarmd.errors import ProviderError, SwarmError, ValidationError
from swarmd.messages.requests import ExecInstance
from swarmd.providers.docker.channel import Channel
from swarmd.providers.docker.engine import Engine, NotRunning, Where
from swarmd.providers.docker.execution import folder_of, open_exec, refusal
from tests.docker_engine import engine_url
from tests.providers.docker.sessions import HOME, SECONDS, Box, everything

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
