"""Both drivers against a real server."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmd.client import Client, OperationStarted, aio, backlog, sync
from swarmd.client.aio import AsyncClient
from swarmd.client.backlog import MAX_BACKLOG, MAX_WAITING, MAX_WAITING_BYTES
from swarmd.errors import (
    DaemonUnreachable,
    DeadlineExceeded,
    InstanceNotFound,
    InternalError,
    ProviderError,
    Unavailable,
    ValidationError,
)
from swarmd.messages import requests
from swarmd.messages.enums import EventType
from swarmd.messages.instance import Instance, InstanceConfig
from swarmd.messages.operation import Operation
from tests.api.fakes import BytesSession
from tests.api.serving import InThread, running, served, until
from tests.support import wait_until

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def here(tmp_path: Path) -> Iterator[InThread]:
    with served(tmp_path / "s.sock") as server:
        yield server


@pytest.fixture
def client(here: InThread) -> Iterator[Client]:
    with Client(str(here.path), timeout=10) as connected:
        yield connected


CREATE = requests.CreateInstance(config=InstanceConfig(name="web"))


def test_calls_answer_plain_and_typed(here: InThread, client: Client) -> None:
    started: list[OperationStarted] = []
    created = client.call_typed(CREATE, on_started=started.append)
    assert isinstance(created, Instance)
    assert started[0].target == created.id
    assert client.call("instance.get", {"id": "web"})["id"] == created.id
    page = client.call_typed(requests.ListInstances())
    assert page.items == (created,)
    page = client.call_typed(requests.ListInstances(fields=("name",)))
    assert page.items == ({"name": "web"},)
    stop = requests.StopInstance(id="web", wait=False)
    assert isinstance(client.call_typed(stop), Operation)
    client.call("instance.start", {"id": "web"}, correlation="mine")
    assert here.daemon.callers[-1].correlation == "mine"


def test_errors_come_back_as_what_they_are(client: Client) -> None:
    with pytest.raises(InstanceNotFound) as caught:
        client.call("instance.get", {"id": "nothing"})
    assert caught.value.field == "id"
    assert caught.value.next_step
    with pytest.raises(ValidationError, match="more than"):
        client.call("instance.get", {"id": "x" * (1 << 20)})
    with pytest.raises(ValidationError):
        client.call("no.such")


def test_a_call_that_takes_too_long_is_given_up_and_the_client_lives(
    here: InThread, client: Client
) -> None:
    here.daemon.hold()
    with pytest.raises(DeadlineExceeded):
        client.call_typed(CREATE, timeout=0.01)
    wait_until(lambda: here.daemon.ops)
    here.on_loop(here.daemon.let_go)
    assert client.call("daemon.ping")["ok"]


def test_streams_are_iterated_written_and_closed(here: InThread, client: Client) -> None:
    here.daemon.add("web", owner=ME)
    with client.stream("instance.logs", {"id": "web"}) as stream:
        assert [chunk.bytes for chunk in stream] == [b"one\ntwo\n", b""]
        assert stream.read() is None
    request = requests.ExecInstance(id="web", command=("cat",), stdin=True)
    data = os.urandom(600_000)
    with client.stream(request) as stream:
        writer = threading.Thread(target=lambda: stream.write(data, end=True))
        writer.start()
        assert b"".join(chunk.bytes for chunk in stream) == data
        assert stream.exit_code == 0
        writer.join(10)
    with client.stream("upload.open") as stream:
        upload = stream.write(data, end=True)["upload"]
        stream.ended = True
    assert here.daemon.uploads[upload] == data
    with client.stream(requests.LogsInstance(id="web", follow=True)) as stream:
        assert stream.read() is not None
        with pytest.raises(DeadlineExceeded):
            stream.read(timeout=0.01)
    wait_until(here.daemon.sessions[-1].closed.is_set)


def broken_pieces() -> Iterator[tuple[str, bytes]]:
    yield ("log", b"")
    raise ProviderError("it broke")


def test_a_stream_that_fails_raises(here: InThread, client: Client) -> None:
    here.daemon.add("web", owner=ME)
    here.daemon.make_session = lambda request: BytesSession(broken_pieces())
    with client.stream("instance.logs", {"id": "web"}) as stream, pytest.raises(ProviderError):
        list(stream)


def test_threads_share_a_connection(here: InThread, client: Client) -> None:
    here.daemon.add("web", owner=ME)
    here.daemon.hold()
    found: list[Any] = []
    waiting = threading.Thread(
        target=lambda: found.append(client.call("instance.stop", {"id": "web"}))
    )
    waiting.start()
    wait_until(lambda: here.daemon.ops)
    for _ in range(50):
        assert client.call("daemon.ping")["ok"]
    here.on_loop(here.daemon.let_go)
    waiting.join(10)
    assert found[0]["status"] == "stopped"


def test_a_daemon_that_is_gone_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    with pytest.raises(DaemonUnreachable) as caught:
        Client(path)
    assert "swarmd" in str(caught.value.next_step)
    with served(tmp_path / "s.sock") as here:
        here.daemon.add("web", owner=ME)
        client = Client(path)
        stream = client.stream("instance.logs", {"id": "web", "follow": True})
        stream.read()
    with pytest.raises(Unavailable):
        list(stream)
    with pytest.raises(DaemonUnreachable):
        client.call("daemon.ping")
    stream.close()
    client.close()
    client.close()


def test_closing_wakes_who_waits(here: InThread) -> None:
    client = Client(str(here.path))
    here.daemon.hold()
    found: list[BaseException] = []

    def wait() -> None:
        try:
            client.call_typed(CREATE)
        except DaemonUnreachable as error:
            found.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: here.daemon.ops)
    client.close()
    thread.join(10)
    assert found
    here.on_loop(here.daemon.let_go)


def test_what_is_no_daemon_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        client = Client(str(path), timeout=10)
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with pytest.raises(InternalError, match="does not speak"):
                client.call("daemon.ping")
        client.close()


def test_importing_the_client_is_cheap() -> None:
    code = (
        "import sys, swarmd.client; "
        "sys.exit(bool({'asyncio', 'swarmd.messages.requests'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- asyncio ---------------------------------------------------------------------------------


def test_the_asyncio_driver_does_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as here, AsyncClient(str(here.path), timeout=10) as client:
            started: list[OperationStarted] = []
            created = await client.call_typed(CREATE, on_started=started.append)
            assert isinstance(created, Instance)
            assert started[0].kind == "create"
            calls = (client.call("instance.get", {"id": "web"}) for _ in range(20))
            assert {each["id"] for each in await asyncio.gather(*calls)} == {created.id}
            with pytest.raises(InstanceNotFound):
                await client.call("instance.get", {"id": "nothing"})
            data = os.urandom(600_000)
            request = requests.ExecInstance(id="web", command=("cat",), stdin=True)
            async with await client.stream(request) as stream:
                writing = asyncio.ensure_future(stream.write(data, end=True))
                assert b"".join([chunk.bytes async for chunk in stream]) == data
                assert (stream.exit_code, await stream.read()) == (0, None)
                await writing
            async with await client.stream("instance.logs", {"id": "web", "follow": True}) as log:
                assert (await log.read()) is not None
            await until(here.daemon.sessions[-1].closed.is_set)
            here.daemon.make_session = lambda request: BytesSession(broken_pieces())
            failing = await client.stream("instance.logs", {"id": "web"})
            with pytest.raises(ProviderError):
                await failing.read()
            here.daemon.hold()
            with pytest.raises(DeadlineExceeded):
                await client.call("instance.stop", {"id": "web"}, timeout=0.01)
            here.daemon.let_go()

    asyncio.run(main())


def test_the_asyncio_driver_leaves_the_socket_unread_when_nobody_consumes(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as here, AsyncClient(str(here.path)) as client:
            events = await client.stream(requests.SubscribeEvents())
            assert (await events.read()) is not None
            for _ in range(3 * MAX_WAITING):
                here.daemon.publish(EventType.INSTANCE_STARTED)
                await asyncio.sleep(0)
            await until(lambda: len(client._streams[events.id]) >= MAX_WAITING)
            assert not client._may_read.is_set()
            assert (await client.call("daemon.ping"))["ok"]  # an answer still comes
            seen = [await events.read() for _ in range(100)]
            assert [chunk.data["seq"] for chunk in seen if chunk] == list(range(1, 101))
            await events.close()
            assert not client._streams

    asyncio.run(main())


def test_the_asyncio_driver_tells_when_the_daemon_is_gone(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(DaemonUnreachable):
            await AsyncClient(str(tmp_path / "none")).connect()
        async with running(tmp_path) as here:
            client = AsyncClient(str(here.path))
            await client.connect()
            events = await client.stream(requests.SubscribeEvents())
            assert (await events.read()) is not None
        with pytest.raises(Unavailable):
            await events.read()
        await until(lambda: client._broken is not None)
        with pytest.raises(DaemonUnreachable):
            await client.call("daemon.ping")
        with pytest.raises(DaemonUnreachable):
            await client.next_chunk("s9")
        await client.close()

    asyncio.run(main())


# --- bad days ---------------------------------------------------------------------------------

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
