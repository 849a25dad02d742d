"""Clients when a callback fails, when what comes is strange, and when nobody reads."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmd.client import Client, OperationStarted, aio, backlog, sync
from swarmd.client.aio import AsyncClient
from swarmd.client.backlog import MAX_BACKLOG, MAX_WAITING_BYTES
from swarmd.errors import (
    DeadlineExceeded,
    InternalError,
    Unavailable,
)
from swarmd.messages import requests
from swarmd.messages.enums import EventType
from swarmd.messages.instance import InstanceConfig
from tests.api.fake_streams import BytesSession
from tests.api.serving import InThread, running, until
from tests.support import wait_until

ME = pwd.getpwuid(os.getuid()).pw_name
CREATE = requests.CreateInstance(config=InstanceConfig(name="web"))


STRANGE = b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","data":{"details":[1]}}}'


def failing(operation: OperationStarted) -> None:
    raise ZeroDivisionError(operation.kind)


def test_what_on_started_raises_is_for_its_call_alone(here: InThread, client: Client) -> None:
    here.daemon.hold()
    here.daemon.add("other", owner=ME)
    waiting = threading.Thread(target=client.call, args=("instance.stop", {"id": "other"}))
    waiting.start()
    wait_until(lambda: client._reading and here.daemon.ops)
    found: list[BaseException] = []

    def create() -> None:
        try:
            client.call_typed(CREATE, on_started=failing)
        except ZeroDivisionError as error:
            found.append(error)

    creating = threading.Thread(target=create)  # the other thread reads for this one
    creating.start()
    creating.join(5)
    assert found
    here.on_loop(here.daemon.let_go)
    waiting.join(10)
    assert not waiting.is_alive()
    assert client.call("daemon.ping")["ok"]


def test_what_on_started_raises_ends_no_other_asyncio_call(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as here, AsyncClient(str(here.path), timeout=10) as client:
            here.daemon.hold()
            here.daemon.add("other", owner=ME)
            other = asyncio.ensure_future(client.call("instance.stop", {"id": "other"}))
            with pytest.raises(ZeroDivisionError):
                await client.call_typed(CREATE, on_started=failing)
            here.daemon.let_go()
            assert (await other)["status"] == "stopped"

    asyncio.run(main())


def test_what_cannot_be_taken_in_breaks_all_who_wait(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"

    async def ask_twice(peer: socket.socket, client: AsyncClient) -> list[Any]:
        asking = asyncio.gather(
            client.call("daemon.ping"), client.call("daemon.ping"), return_exceptions=True
        )
        await asyncio.to_thread(peer.recv, 1000)
        peer.sendall(STRANGE + b"\n")
        return list(await asyncio.wait_for(asking, 10))

    async def main(listener: socket.socket) -> None:
        client = AsyncClient(str(path))
        await client.connect()
        with listener.accept()[0] as peer:
            assert [type(each) for each in await ask_twice(peer, client)] == [InternalError] * 2
            await client.close()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        asyncio.run(main(listener))
        blocking = Client(str(path), timeout=10)
        with listener.accept()[0] as peer:
            peer.sendall(STRANGE + b"\n")
            with pytest.raises(InternalError):
                blocking.call("daemon.ping")
        blocking.close()


def endless() -> Iterator[tuple[str, bytes]]:
    while True:
        yield ("data", bytes(64 << 10))


def waiting_bytes(client: Client | AsyncClient) -> int:
    return sum(each.bytes for each in client._streams.values())


def test_a_stream_nobody_reads_is_cut_while_an_answer_is_waited_for(
    here: InThread, client: Client
) -> None:
    here.daemon.add("web", owner=ME)
    here.daemon.make_session = lambda request: BytesSession(endless())
    stream = client.stream("instance.export", {"id": "web"})
    most = 0
    while client._streams[stream.id]._cut is None:
        assert client.call("daemon.ping")["ok"]
        most = max(most, waiting_bytes(client))
    assert most <= MAX_BACKLOG
    for _ in range(20):
        assert client.call("daemon.ping")["ok"]
    assert waiting_bytes(client) == 0
    with pytest.raises(Unavailable, match="was not read"):
        stream.read()
    stream.close()
    wait_until(here.daemon.sessions[0].closed.is_set)
    assert client.call("daemon.ping")["ok"]


def test_the_reader_of_another_stream_waits_for_a_slow_one(here: InThread, client: Client) -> None:
    here.daemon.add("web", owner=ME)
    here.daemon.make_session = lambda request: BytesSession(endless())
    slow = client.stream("instance.export", {"id": "web"})
    events = client.stream(requests.SubscribeEvents())
    assert events.read() is not None
    with pytest.raises(DeadlineExceeded):
        events.read(timeout=0.5)
    assert client._streams[slow.id].is_full
    assert waiting_bytes(client) < MAX_WAITING_BYTES + (1 << 20)
    seen: list[object] = []
    reading = threading.Thread(target=lambda: seen.append(events.read()))
    reading.start()
    here.on_loop(here.daemon.publish, EventType.INSTANCE_STARTED)
    while not seen:
        assert slow.read() is not None
    reading.join(10)
    slow.close()


def test_a_full_backlog_that_lost_its_reader_holds_nobody_up(
    here: InThread, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(sync, "_HELD_SECONDS", 0.05)
    here.daemon.add("web", owner=ME)
    here.daemon.make_session = lambda request: BytesSession(endless())
    slow = client.stream("instance.export", {"id": "web"})
    events = client.stream(requests.SubscribeEvents())
    assert events.read() is not None
    reading = threading.Thread(target=events.read)
    reading.start()
    wait_until(lambda: client._streams[slow.id]._cut is not None)
    here.on_loop(here.daemon.publish, EventType.INSTANCE_STARTED)
    reading.join(10)
    assert not reading.is_alive()


def test_the_asyncio_driver_cuts_and_waits_likewise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(backlog, "PATIENCE_SECONDS", 0.1)

    async def main() -> None:
        async with running(tmp_path) as here, AsyncClient(str(here.path)) as client:
            here.daemon.add("web", owner=ME)
            here.daemon.make_session = lambda request: BytesSession(endless())
            slow = await client.stream("instance.export", {"id": "web"})
            await until(lambda: not client._may_read.is_set())
            assert waiting_bytes(client) < MAX_WAITING_BYTES + (1 << 20)
            events = await client.stream(requests.SubscribeEvents())
            assert (await events.read()) is not None
            reading = asyncio.ensure_future(events.read())
            await until(lambda: client._streams[slow.id]._cut is not None)
            here.daemon.publish(EventType.INSTANCE_STARTED)
            assert (await asyncio.wait_for(reading, 10)) is not None
            with pytest.raises(Unavailable, match="was not read"):
                await slow.read()
            await slow.close()
            assert (await client.call("daemon.ping"))["ok"]

    asyncio.run(main())


async def cut_off(client: AsyncClient, work: Coroutine[Any, Any, Any]) -> None:
    """Cancel it after its request was sent, and before the answer is there."""
    task = asyncio.ensure_future(work)
    for _ in range(10):
        if not client._answers:
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "request_",
    [
        requests.LogsInstance(id="web", follow=True),
        requests.ExecInstance(id="web", command=("cat",), stdin=True),
    ],
    ids=["log", "command"],
)
def test_a_stream_whose_opening_is_cancelled_is_closed(
    tmp_path: Path, request_: requests.Request
) -> None:
    """Or a log is told to nobody, and a command runs on."""

    async def main() -> None:
        async with running(tmp_path) as here, AsyncClient(str(here.path), timeout=10) as client:
            here.daemon.add("web", owner=ME)
            await cut_off(client, client.stream(request_))
            await until(lambda: here.daemon.sessions and here.daemon.sessions[0].closed.is_set())
            await until(lambda: not client._tidying)
            assert not client._streams
            assert (await client.call("daemon.ping"))["ok"]
            await cut_off(client, client.stream("instance.logs", {"id": "none"}))
            await until(lambda: not client._tidying)

    asyncio.run(main())


def test_a_stream_whose_closing_is_cancelled_is_forgotten_all_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as here, AsyncClient(str(here.path), timeout=10) as client:
            here.daemon.add("web", owner=ME)
            log = await client.stream(requests.LogsInstance(id="web", follow=True))
            await cut_off(client, log.close())
            await until(here.daemon.sessions[0].closed.is_set)
            await until(lambda: not client._streams)

    asyncio.run(main())


def test_whoever_waits_is_told_when_the_loop_ends_the_reading(tmp_path: Path) -> None:
    """A loop that comes to its end cancels its tasks in any order: the reader may be the first."""

    async def main() -> None:
        async with running(tmp_path) as here, AsyncClient(str(here.path)) as client:
            here.daemon.hold()
            here.daemon.add("web", owner=ME)
            stopping = asyncio.ensure_future(client.call("instance.stop", {"id": "web"}))
            await until(lambda: client._answers and here.daemon.ops)
            client._task.cancel()
            with pytest.raises(Unavailable, match="it was closed here"):
                await asyncio.wait_for(stopping, 10)
            here.daemon.let_go()

    asyncio.run(main())


def test_no_wait_is_long_enough_to_lose_a_signal(
    here: InThread, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that comes between Python's last look and the system call is heard only after it."""
    here.daemon.hold()
    here.daemon.add("web", owner=ME)
    read, waited = sync._readable, threading.Condition.wait
    waits: dict[str, list[float | None]] = {"socket": [], "others": []}

    def reading(connection: socket.socket, timeout: float) -> bool:
        waits["socket"].append(timeout)
        return read(connection, min(timeout, 0.01))

    def waiting(condition: threading.Condition, timeout: float | None = None) -> bool:
        if condition is client._changed:
            waits["others"].append(timeout)
        return waited(condition, timeout)

    monkeypatch.setattr(sync, "_readable", reading)
    monkeypatch.setattr(threading.Condition, "wait", waiting)
    calls = [
        threading.Thread(target=client.call, args=("instance.stop", {"id": "web"}))
        for _ in range(2)
    ]
    for call in calls:
        call.start()
    wait_until(lambda: len(waits["socket"]) > 3 and waits["others"], describe=lambda: waits)
    here.on_loop(here.daemon.let_go)
    for call in calls:
        call.join(10)
    assert all(each is not None and each <= 0.5 for some in waits.values() for each in some), waits
