"""Concurrency on one connection, and readers that do not read."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from swarmd.api import connection as connections
from swarmd.api import server as servers
from swarmd.api.outgoing import MAX_UNSENT
from tests.api.serving import Raw, Running, running, unsent, until


def session(folder: Path, body: Callable[[Running, Raw], Awaitable[None]]) -> None:
    async def main() -> None:
        async with running(folder) as here, here.raw() as client:
            await body(here, client)

    asyncio.run(main())


def line(request_id: int, method: str, **params: Any) -> bytes:
    return json.dumps(
        {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    ).encode()


def test_a_slow_command_holds_up_no_read(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.hold()
        await client.send(line(1, "instance.create", config={"name": "w"}))
        await client.send(line(2, "daemon.ping"))
        first = [await client.read(), await client.read()]
        assert [each["id"] for each in first if "id" in each] == [2]
        here.daemon.let_go()
        assert (await client.read())["id"] == 1

    session(tmp_path, body)


def test_at_most_64_are_in_flight_then_reading_stops(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.hold()
        create = [line(n, "instance.create", config={"name": f"n{n}"}) for n in range(70)]
        await client.send(*create, line(99, "daemon.ping"))
        for _ in range(connections.MAX_IN_FLIGHT):
            assert (await client.read())["method"] == "operation.started"
        assert len(here.daemon.ops) == connections.MAX_IN_FLIGHT
        async with here.raw() as other:  # and nobody else is held up
            assert "result" in await other.ask("daemon.ping")
        assert len(here.daemon.ops) == connections.MAX_IN_FLIGHT
        here.daemon.let_go()
        answers = [await client.read() for _ in range(71 + 6)]
        assert {each["id"] for each in answers if "id" in each} == {*range(70), 99}

    session(tmp_path, body)


def test_a_batch_counts_by_its_requests(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.hold()
        items = [
            json.loads(line(n, "instance.create", config={"name": f"n{n}"})) for n in range(70)
        ]
        await client.send(json.dumps(items).encode())
        await until(lambda: len(here.daemon.ops) == connections.MAX_IN_FLIGHT)
        here.daemon.let_go()
        while not isinstance(answer := await client.read(), list):
            assert answer["method"] == "operation.started"
        assert {each["id"] for each in answer} == set(range(70))

    session(tmp_path, body)


def test_a_client_gone_while_nothing_is_read_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_HANGUP_CHECK_SECONDS", 0.01)

    async def body(here: Running, client: Raw) -> None:
        here.daemon.hold()
        async with here.raw() as other:
            create = [line(n, "instance.create", config={"name": f"n{n}"}) for n in range(64)]
            await other.send(*create)
            await until(lambda: len(here.daemon.ops) == 64)
            assert len(here.server.connections) == 2
        await until(lambda: len(here.server.connections) == 1)
        assert all(not op.state.ended for op in here.daemon.ops.values())
        here.daemon.let_go()
        await until(lambda: len(here.daemon.by_id) == 64)  # operations go on

    session(tmp_path, body)


def test_a_client_that_reads_nothing_costs_bounded_memory(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.add("web", metadata={"big": "x" * 20_000})
        ask = line(1, "instance.get", id="ana/web") + b"\n"
        await client.ask("daemon.ping")
        mine = here.server.connections
        sender = socket.socket(socket.AF_UNIX)
        sender.connect(str(here.path))
        sender.setblocking(False)
        await until(lambda: len(here.server.connections) == 2)
        (silent,) = here.server.connections - mine
        sent, most = 0, 0
        for _ in range(3000):
            try:
                sent += sender.send(ask * 100)
            except BlockingIOError:
                if unsent(silent) == most:
                    break
            await asyncio.sleep(0)
            most = max(most, unsent(silent))
        else:
            pytest.fail(f"{sent} bytes were taken and reading never stopped")
        assert most < (1 << 20) + MAX_UNSENT + (256 << 10)
        assert "result" in await client.ask("daemon.ping")
        sender.close()
        await until(lambda: len(here.server.connections) == 1)

    session(tmp_path, body)


def test_many_requests_at_once_let_others_have_their_turn(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        await client.send(*(line(n, "daemon.version") for n in range(1000)))
        for n in range(1000):
            assert (await client.read())["id"] == n

    session(tmp_path, body)


def test_too_many_connections_are_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "MAX_CONNECTIONS", 1)

    async def body(here: Running, client: Raw) -> None:
        await client.ask("daemon.ping")
        async with here.raw() as other:
            error = (await other.read())["error"]
            assert error["data"]["type"] == "resource_limit_error"
            assert await other.reader.read() == b""
        assert "result" in await client.ask("daemon.ping")

    session(tmp_path, body)


# --- the end ---------------------------------------------------------------------------------


def test_closing_answers_who_waits_and_removes_the_socket(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as here, here.raw() as client:
            here.daemon.hold()
            here.daemon.add("web")
            await client.send(line(1, "instance.stop", id="ana/web"))
            assert (await client.read())["method"] == "operation.started"
            await client.send(line(2, "instance.logs", id="ana/web", follow=True))
            assert (await client.read())["result"] == {"stream": "s1"}
            assert (await client.read())["params"]["data"] == "one\ntwo\n"
            await here.server.close(5)
            messages = [await client.read(), await client.read()]
            ended = next(each for each in messages if "method" in each)["params"]
            assert ended["error"]["type"] == "unavailable"
            refused = next(each for each in messages if "id" in each)
            assert refused["error"]["data"]["type"] == "unavailable"
            assert await client.reader.read() == b""
            assert not here.path.exists()
            assert here.daemon.sessions[0].closed.wait(5)
            here.daemon.let_go()

    asyncio.run(main())


def test_closing_cuts_who_does_not_read_at_the_deadline(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as here:
            here.daemon.add("web", metadata={"big": "x" * 500_000})
            sender = socket.socket(socket.AF_UNIX)
            sender.connect(str(here.path))
            sender.sendall((line(1, "instance.get", id="ana/web") + b"\n") * 10)
            await until(lambda: any(unsent(each) > 0 for each in here.server.connections))
            await here.server.close(0.05)
            assert not here.server.connections
            sender.close()

    asyncio.run(main())


def test_the_shutdown_request_is_answered(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        assert (await client.ask("daemon.shutdown"))["result"] == {"ok": True}
        assert here.daemon.shut_down.is_set()

    session(tmp_path, body)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    async def main() -> None:
        before = descriptors()
        async with running(tmp_path) as here:
            for _ in range(20):
                async with here.raw() as client:
                    await client.ask("daemon.ping")
        assert descriptors() == before

    asyncio.run(main())
