"""``/metrics`` over HTTP: what is answered, what is refused, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable

import pytest

from swarmd.errors import ResourceLimitError
from swarmd.exposition import endpoint as module
from swarmd.exposition.endpoint import Endpoint
from tests.support import free_port

Test = Callable[[Endpoint, int], Awaitable[None]]


async def text(accept: str) -> tuple[bytes, str]:
    return f"accepts {accept}\n".encode(), "text/plain; version=0.0.4"


async def busy(accept: str) -> tuple[bytes, str]:
    raise ResourceLimitError("no thread is left")


def run(test: Test, render: module.Render = text) -> None:
    """On a loop, with an endpoint that listens; afterwards nothing of it is left."""

    async def main() -> None:
        endpoint, port = Endpoint(render), free_port()
        await endpoint.follow(f"127.0.0.1:{port}", 0.0)
        assert endpoint.problem is None
        try:
            await asyncio.wait_for(test(endpoint, port), 20)
        finally:
            await endpoint.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1).close()

    asyncio.run(main())


async def talk(port: int, sent: bytes) -> bytes:
    """What comes back until the other side hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        return await reader.read()
    finally:
        writer.close()


def problem_of(endpoint: Endpoint) -> str:
    return endpoint.problem or ""


async def until(fact: Callable[[], bool]) -> None:
    """Let the loop go on until it is so; the test has a deadline."""
    while not fact():  # noqa: ASYNC110
        await asyncio.sleep(0)


def test_an_ordinary_client_gets_the_text() -> None:
    async def test(endpoint: Endpoint, port: int) -> None:
        def fetch() -> tuple[int, str, bytes]:
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/metrics?x=1", headers={"Accept": "text/plain"}
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read()

        status, kind, body = await asyncio.to_thread(fetch)
        assert (status, kind) == (200, "text/plain; version=0.0.4")
        assert body == b"accepts text/plain\n"

    run(test)


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        (b"GET /metrics HTTP/1.0\r\n\r\n", b"200 OK", b"accepts \n"),
        (b"GET /metrics HTTP/1.1\r\nACCEPT: a\r\naccept:b\r\n\r\n", b"200 OK", b"accepts a, b\n"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404 Not Found", b"/metrics"),
        (b"GET /metricsx HTTP/1.1\r\n\r\n", b"404 Not Found", b"/metrics"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed", b"Allow: GET, HEAD\r\n"),
        (b"hello\r\n\r\n", b"400 Bad Request", b"HTTP/1"),
        (b"GET /metrics HTTP/2\r\n\r\n", b"400 Bad Request", b"HTTP/1"),
        (b"\xff\xfe /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed", b"GET"),
    ],
)
def test_requests(request_: bytes, status: bytes, says: bytes) -> None:
    async def test(endpoint: Endpoint, port: int) -> None:
        answer = await talk(port, request_)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert f"Content-Length: {len(body)}".encode() in head
        assert says in answer

    run(test)


def test_head_has_no_body() -> None:
    async def test(endpoint: Endpoint, port: int) -> None:
        answer = await talk(port, b"HEAD /metrics HTTP/1.1\r\n\r\n")
        assert b"Content-Length: 9\r\n" in answer
        assert answer.endswith(b"\r\n\r\n")

    run(test)


def test_a_daemon_that_has_no_room_says_so() -> None:
    async def test(endpoint: Endpoint, port: int) -> None:
        answer = await talk(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(b"no thread is left\n")

    run(test, busy)


def test_who_talks_without_end_or_hangs_up_gets_nothing() -> None:
    async def test(endpoint: Endpoint, port: int) -> None:
        with contextlib.suppress(ConnectionError):  # it may hang up while we still talk
            assert await talk(port, b"x" * 200_000) == b""
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /met")
        writer.close()
        assert b"200 OK" in await talk(port, b"GET /metrics HTTP/1.1\r\n\r\n")

    run(test)


def test_who_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REQUEST_SECONDS", 0.1)

    async def test(endpoint: Endpoint, port: int) -> None:
        assert await talk(port, b"GET /metrics HTTP/1.1\r\n") == b""

    run(test)


def test_few_connections_are_open_at_once() -> None:
    async def test(endpoint: Endpoint, port: int) -> None:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(16)]
        await until(lambda: len(endpoint._tasks) == 16)
        with pytest.raises(ConnectionError):
            assert not await talk(port, b"GET /metrics HTTP/1.1\r\n\r\n")
            raise ConnectionResetError  # an end without an answer is as good
        for _, writer in idle:
            writer.close()
        await until(lambda: not endpoint._tasks)
        assert b"200 OK" in await talk(port, b"GET /metrics HTTP/1.1\r\n\r\n")

    run(test)


def test_the_end_cuts_off_who_is_being_answered() -> None:
    begun = asyncio.Event()

    async def endless(accept: str) -> tuple[bytes, str]:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def test(endpoint: Endpoint, port: int) -> None:
        asking = asyncio.create_task(talk(port, b"GET /metrics HTTP/1.1\r\n\r\n"))
        await begun.wait()
        await endpoint.close()
        assert await asking == b""

    run(test, endless)


def test_it_follows_the_configuration() -> None:
    async def test(endpoint: Endpoint, port: int) -> None:
        other = free_port()
        await endpoint.follow(f"127.0.0.1:{other}", 1.0)
        assert b"200 OK" in await talk(other, b"GET /metrics HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionRefusedError):
            await talk(port, b"")
        await endpoint.follow("", 2.0)
        with pytest.raises(ConnectionRefusedError):
            await talk(other, b"")

    run(test)


def test_a_taken_port_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        endpoint = Endpoint(text)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            where = f"127.0.0.1:{taken.getsockname()[1]}"
            for now in (0.0, 1.0, 6.0, 12.0):
                await endpoint.follow(where, now)
                assert where in problem_of(endpoint)
        assert caplog.text.count("cannot be fetched") == 1
        await endpoint.follow(where, 13.0)
        assert problem_of(endpoint)
        await endpoint.follow(where, 18.0)
        assert problem_of(endpoint) == ""
        assert b"200 OK" in await talk(
            int(where.partition(":")[2]), b"GET /metrics HTTP/1.1\r\n\r\n"
        )
        await endpoint.close()

    asyncio.run(main())


def test_a_problem_ends_with_the_wish() -> None:
    async def main() -> None:
        endpoint = Endpoint(text)
        await endpoint.follow("192.0.2.1:9464", 0.0)  # no address of this host
        assert problem_of(endpoint)
        await endpoint.follow("", 1.0)
        assert problem_of(endpoint) == ""
        await endpoint.close()

    asyncio.run(main())
