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

from swarmd.client import Client, OperationStarted
from swarmd.client.aio import AsyncClient
from swarmd.client.backlog import MAX_WAITING
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
from tests.api.fake_streams import BytesSession
from tests.api.serving import InThread, running, served, until
from tests.support import wait_until

ME = pwd.getpwuid(os.getuid()).pw_name


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
