"""Engines that are missing, refuse, hang, break off, or are something else."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.errors import (
    OperationCancelled,
    ProviderError,
    ProviderUnreachable,
    ResourceLimitError,
    SwarmError,
    ValidationError,
)
from swarmd.ports import Call
from swarmd.providers.docker.engine import (
    Engine,
    NoAnswer,
    NotRunning,
    NotThere,
    PortTaken,
    Stuck,
    Taken,
    Where,
)
from tests.providers.docker.badengine import (
    BadEngine,
    Behaviour,
    answer,
    requests_on,
    scripted,
    version,
)
from tests.support import free_port, wait_until


@contextlib.contextmanager
def against(folder: Path, behaviour: Behaviour | None = None) -> Iterator[tuple[Engine, BadEngine]]:
    with BadEngine(folder, behaviour or (lambda sock: None)) as bad:
        engine = Engine("box", Where(bad.url))
        try:
            yield engine, bad
        finally:
            engine.close()


def refusal(status: str, message: str) -> bytes:
    return answer(status, json.dumps({"message": message}).encode())


def call(seconds: float = 5.0) -> Call:
    return Call(deadline=time.monotonic() + seconds, clock=time.monotonic)


# --- not there -----------------------------------------------------------------------------------


def test_a_missing_socket_says_what_to_do(tmp_path: Path) -> None:
    engine = Engine("box", Where(f"unix://{tmp_path}/none.sock"))
    with pytest.raises(ProviderUnreachable) as missing:
        engine.version(5)
    assert str(tmp_path) in missing.value.message
    assert "box" in missing.value.message
    assert missing.value.next_step == "Start the engine, or correct the path of its socket."
    assert "No such file" in missing.value.details["cause"]


def test_a_socket_that_nobody_serves_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(ProviderUnreachable) as refused:
        Engine("box", Where(f"unix://{path}")).events({}, None, 5)
    assert "refused" in refused.value.details["cause"]
    with pytest.raises(ProviderUnreachable) as refused:
        Engine("box", Where(f"tcp://127.0.0.1:{free_port()}")).info(5)
    assert "refused" in refused.value.details["cause"]


def test_a_host_without_an_address_is_told() -> None:
    engine = Engine("box", Where("tcp://no-such-host.invalid:2375", insecure=True))
    with pytest.raises(ProviderUnreachable):
        engine.info(10)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use any socket")
def test_a_socket_of_others_names_the_group(tmp_path: Path) -> None:
    with against(tmp_path) as (engine, bad):
        bad.path.chmod(0)
        with pytest.raises(ProviderUnreachable) as denied:
            engine.version(5)
    assert "group" in str(denied.value.next_step)


# --- hanging -------------------------------------------------------------------------------------


def test_an_engine_that_never_answers_takes_no_longer_than_within(tmp_path: Path) -> None:
    with against(tmp_path) as (engine, bad):
        bad.behaviour = bad.hold
        for ask in (
            lambda: engine.version(0.3),
            lambda: engine.events({}, None, 0.3),
            lambda: engine.put_archive("x", "/", [b"data"], 0.3),
        ):
            begun = time.monotonic()
            with pytest.raises(NoAnswer) as silent:
                ask()
            assert 0.25 < time.monotonic() - begun < 2
            assert silent.value.next_step


def test_an_engine_that_answers_drop_by_drop_takes_no_longer_either(tmp_path: Path) -> None:
    with against(tmp_path) as (engine, bad):
        bad.behaviour = bad.drip
        begun = time.monotonic()
        with pytest.raises(NoAnswer):
            engine.info(0.4)
        assert 0.35 < time.monotonic() - begun < 2


def only_its_version(sock: socket.socket) -> None:
    """Answers that, and nothing else."""
    for first, _ in requests_on(sock):
        if first.startswith("GET /version"):
            sock.sendall(version())


def test_an_engine_that_hangs_after_its_version_is_told(tmp_path: Path) -> None:
    with against(tmp_path, only_its_version) as (engine, _):
        assert engine.version(5).api == "1.41"
        with pytest.raises(NoAnswer):
            engine.containers(["a"], 0.3)
        with pytest.raises(NoAnswer):
            engine.logs("x", follow=True, tail=1, since=1.5, timestamps=True, within=0.3)
        assert engine.version(5).api == "1.41"


def test_those_that_wait_for_the_first_connection_have_their_own_deadlines(tmp_path: Path) -> None:
    with against(tmp_path) as (engine, bad):
        bad.behaviour = bad.hold

        def wait_long() -> None:
            with contextlib.suppress(SwarmError):
                engine.info(30)

        slow = threading.Thread(target=wait_long)
        slow.start()
        wait_until(lambda: bad.connections)
        begun = time.monotonic()
        with pytest.raises(NoAnswer):
            engine.info(0.2)
        assert time.monotonic() - begun < 2
        engine.close()
        slow.join(5)
        assert not slow.is_alive()


# --- something else ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        answer("404 Not Found", b"<html>nothing here</html>", "text/html"),
        answer("200 OK", b"<html>welcome</html>", "text/html"),
        answer("200 OK", b"[]"),
        answer("200 OK", b"{}"),
        answer("500 Oops", b'{"error": "x"}'),
        answer("500 Oops", b"[1]"),
    ],
)
def test_what_is_no_engine_is_named(tmp_path: Path, said: bytes) -> None:
    def behave(sock: socket.socket) -> None:
        for _ in requests_on(sock):
            sock.sendall(said)

    with against(tmp_path, behave) as (engine, _):
        for ask in (lambda: engine.inspect("x", 5), lambda: engine.events({}, None, 5)):
            with pytest.raises(ProviderUnreachable) as alien:
                ask()
            assert "is no Docker engine" in alien.value.message
            assert not isinstance(alien.value, NotThere)


def test_an_odd_answer_is_no_absence(tmp_path: Path) -> None:
    page = answer("404 Not Found", b"<html>x</html>", "text/html")
    with against(tmp_path, scripted(answer("200 OK", b"[]"), page, page)) as (engine, _):
        for ask in (
            lambda: engine.inspect("x", 5),
            lambda: engine.inspect("x", 5),
            lambda: engine.get_archive("x", "/", 5),
        ):
            with pytest.raises(ProviderUnreachable):
                ask()


def test_an_answer_that_is_broken_off_is_told(tmp_path: Path) -> None:
    cut = answer("200 OK", b"[" + b" " * 100)[:-50]

    def behave(sock: socket.socket) -> None:
        for first, _ in requests_on(sock):
            whole = first.startswith("GET /version")
            sock.sendall(version() if whole else cut)
            if not whole:
                return

    with against(tmp_path, behave) as (engine, _):
        with pytest.raises(ProviderUnreachable) as broken:
            engine.containers([], 5)
        assert "broke its answer off" in broken.value.message
        archive = engine.get_archive("x", "/", 5)
        with pytest.raises(ProviderUnreachable):
            list(archive)


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("404 Not Found", "No such container: x", NotThere),
        ("404 Not Found", "page not found", ProviderError),
        ("409 Conflict", "the name is in use", Taken),
        ("409 Conflict", "Container x is not running", NotRunning),
        ("500 Oops", "Container x is not running: Exited (3) Less than a second ago", NotRunning),
        ("400 Bad Request", "bad parameter", ProviderError),
        ("403 Forbidden", "authorization denied by plugin", ProviderError),
        ("500 Oops", "write /x: no space left on device", ResourceLimitError),
        ("500 Oops", "Bind for 127.0.0.1:1 failed: port is already allocated", PortTaken),
        ("500 Oops", "listen tcp 127.0.0.1:1: bind: address already in use", PortTaken),
        ("500 Oops", "id already in use", Stuck),
        ("500 Oops", "failed to start shim: mkdir /run/x: file exists: unknown", Stuck),
        ("500 Oops", "something else", ProviderError),
        ("503 Unavailable", "no backend", ProviderUnreachable),
    ],
)
def test_a_refusal_has_its_kind(
    tmp_path: Path, status: str, message: str, kind: type[SwarmError]
) -> None:
    said = refusal(status, message)
    with against(tmp_path, scripted(said, said)) as (engine, bad):
        for ask in (lambda: engine.start("x", 5), lambda: engine.get_archive("x", "/", 5)):
            with pytest.raises(SwarmError) as refused:
                ask()
            assert type(refused.value) is kind
            assert refused.value.details["cause"] == message
            assert refused.value.next_step
            assert bad.url in refused.value.message


def test_a_refusal_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    def behave(sock: socket.socket) -> None:
        for first, _ in requests_on(sock):
            if first.startswith("GET /version"):
                sock.sendall(version())
                continue
            sock.sendall(b"HTTP/1.1 500 Oops\r\n\r\n")
            while True:
                sock.sendall(b"x" * 65536)

    with against(tmp_path, behave) as (engine, _), pytest.raises(ProviderUnreachable):
        engine.get_archive("x", "/", 5)


def test_an_image_ref_does_not_leave_its_place(tmp_path: Path) -> None:
    with against(tmp_path) as (engine, bad):
        with pytest.raises(ValidationError):
            engine.image("../containers/x", 5)
        assert bad.connections == 0


# --- other versions ------------------------------------------------------------------------------


def test_an_engine_of_another_version_is_asked_again(tmp_path: Path) -> None:
    seen: list[str] = []
    speaks = ["1.44", "1.41"]

    def behave(sock: socket.socket) -> None:
        for first, _ in requests_on(sock):
            seen.append(first)
            path = first.split()[1]
            if path == "/version":
                sock.sendall(version(speaks[0]))
            elif path.startswith(f"/v{speaks[0]}/"):
                sock.sendall(answer("200 OK", b"{}"))
            else:
                words = "client version 1.44 is too new. Maximum supported API version is 1.41"
                sock.sendall(refusal("400 Bad Request", words))

    with against(tmp_path, behave) as (engine, _):
        engine.info(5)
        del speaks[0]  # the engine was replaced, and no call was under way
        engine.info(5)
    assert [line.split()[1] for line in seen if "info" in line] == [
        "/v1.44/info",
        "/v1.44/info",
        "/v1.41/info",
    ]


def test_a_stream_too_finds_the_other_version(tmp_path: Path) -> None:
    speaks = ["1.44", "1.41"]

    def behave(sock: socket.socket) -> None:
        for first, _ in requests_on(sock):
            path = first.split()[1]
            if path == "/version":
                sock.sendall(version(speaks[0]))
            elif path.startswith(f"/v{speaks[0]}/"):
                sock.sendall(answer("200 OK", b"{}"))
            else:
                words = "client version 1.44 is too new. Maximum supported API version is 1.41"
                sock.sendall(refusal("400 Bad Request", words))

    with against(tmp_path, behave) as (engine, _):
        engine.info(5)
        del speaks[0]
        assert b"".join(engine.get_archive("x", "/", 5)) == b"{}"


def test_an_engine_that_is_too_old_says_so(tmp_path: Path) -> None:
    def behave(sock: socket.socket) -> None:
        for _ in requests_on(sock):
            sock.sendall(version("1.12"))

    with against(tmp_path, behave) as (engine, _):
        for ask in (lambda: engine.info(5), lambda: engine.events({}, None, 5)):
            with pytest.raises(ProviderError) as old:
                ask()
            assert "too old" in old.value.message


def test_podman_is_known_by_its_version(tmp_path: Path) -> None:
    said = {"Version": "4.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}

    def behave(sock: socket.socket) -> None:
        for _ in requests_on(sock):
            sock.sendall(answer("200 OK", json.dumps(said).encode()))

    with against(tmp_path, behave) as (engine, _):
        assert engine.version(5).podman


# --- repeating -----------------------------------------------------------------------------------


def test_a_read_is_repeated_once_if_the_connection_was_closed_under_us(tmp_path: Path) -> None:
    seen: list[str] = []

    def behave(sock: socket.socket) -> None:
        for first, _ in requests_on(sock):
            if first.startswith("GET /version"):
                sock.sendall(version())
                continue
            seen.append(first)
            if len(seen) % 2:
                return
            sock.sendall(answer("200 OK", b"{}"))

    with against(tmp_path, behave) as (engine, _):
        assert engine.info(5) == {}
        assert len(seen) == 2
        with pytest.raises(ProviderUnreachable):
            engine.start("x", 5)
        assert len(seen) == 3, "what changes something is never repeated"


def test_a_read_is_repeated_no_more_than_once(tmp_path: Path) -> None:
    with against(tmp_path, scripted()) as (engine, bad):
        engine.version(5)
        before = bad.connections
        with pytest.raises(ProviderUnreachable):
            engine.info(5)
        assert bad.connections - before <= 2


# --- ending --------------------------------------------------------------------------------------


def test_close_ends_calls_and_streams_and_is_final(tmp_path: Path) -> None:
    failed: list[SwarmError] = []

    def behave(sock: socket.socket) -> None:
        for first, _ in requests_on(sock):
            if first.startswith("GET /version"):
                sock.sendall(version())
            elif "/events" in first:
                sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    with against(tmp_path, behave) as (engine, bad):
        stream = engine.events({}, None, 5)
        before = bad.connections

        def wait(act: object) -> None:
            assert callable(act)
            try:
                act()
            except SwarmError as error:
                failed.append(error)

        waits = [
            threading.Thread(target=wait, args=(lambda: engine.info(30),)),
            threading.Thread(target=wait, args=(lambda: next(stream),)),
        ]
        for thread in waits:
            thread.start()
        wait_until(lambda: bad.connections >= before)
        engine.close()
        engine.close()
        for thread in waits:
            thread.join(5)
            assert not thread.is_alive()
        assert len(failed) == 2
        assert all(isinstance(error, ProviderUnreachable) for error in failed)
        with pytest.raises(ProviderUnreachable, match="closed"):
            engine.version(5)


def test_a_pull_that_is_cancelled_ends_while_the_engine_says_nothing(tmp_path: Path) -> None:
    def behave(sock: socket.socket) -> None:
        for first, _ in requests_on(sock):
            if first.startswith("GET /version"):
                sock.sendall(version())
            else:
                sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    with against(tmp_path, behave) as (engine, bad):
        engine.version(5)
        before, asked = bad.connections, call(30)

        def cancel() -> None:
            wait_until(lambda: bad.connections > before)
            asked.cancelled.set()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        with pytest.raises(OperationCancelled):
            engine.pull("x", None, asked)
        canceller.join()


def test_what_the_archive_raises_comes_out_unchanged(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"data"
        raise OSError(5, "the source broke")

    with (
        against(tmp_path, only_its_version) as (engine, _),
        pytest.raises(OSError, match="the source broke"),
    ):
        engine.put_archive("x", "/", chunks(), 5)


def test_the_callers_own_trouble_is_not_taken_for_the_engines(tmp_path: Path) -> None:
    engine = Engine("box", Where(f"unix://{tmp_path}/none.sock"))
    try:
        raise TimeoutError("something else")
    except TimeoutError:
        with pytest.raises(ProviderUnreachable) as missing:
            engine.version(5)
    assert not isinstance(missing.value, NoAnswer)
