"""Engines that are missing, hang, or go away in the middle."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.errors import OperationCancelled, ProviderUnreachable, SwarmError
from swarmd.ports import Call
from swarmd.providers.docker.engine import Engine, NoAnswer, Where
from tests.providers.docker.badengine import (
    against,
    answer,
    only_its_version,
    requests_on,
    scripted,
    version,
)
from tests.support import free_port, wait_until


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
            assert 0.25 < time.monotonic() - begun < 20
            assert silent.value.next_step


def test_an_engine_that_answers_drop_by_drop_takes_no_longer_either(tmp_path: Path) -> None:
    with against(tmp_path) as (engine, bad):
        bad.behaviour = bad.drip
        begun = time.monotonic()
        with pytest.raises(NoAnswer):
            engine.info(0.4)
        assert 0.35 < time.monotonic() - begun < 20


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
        assert time.monotonic() - begun < 20
        engine.close()
        slow.join(5)
        assert not slow.is_alive()


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
