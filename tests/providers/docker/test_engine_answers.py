"""Engines that answer, but refuse, break off, speak another version, or are something else."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from swarmd.errors import (
    ProviderError,
    ProviderUnreachable,
    ResourceLimitError,
    SwarmError,
    ValidationError,
)
from swarmd.providers.docker.engine import NotRunning, NotThere, Stuck, Taken
from swarmd.providers.shared.portbook import PortTaken
from tests.providers.docker.badengine import (
    against,
    answer,
    refusal,
    requests_on,
    scripted,
    version,
)

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
