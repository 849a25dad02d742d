"""Streams that block: they hold up nobody else, and let go when their client does."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from swarmd.api import server
from swarmd.api.opened import MAX_INPUTS
from tests.api.fake_streams import BytesSession, DeafSession
from tests.api.serving import Raw, Running, running, until

LOGS = {"id": "ana/web"}
EXEC = {"id": "ana/web", "command": ["x"]}


def session(folder: Path, body: Callable[[Running, Raw], Awaitable[None]]) -> None:
    async def main() -> None:
        async with running(folder) as here, here.raw() as client:
            here.daemon.add("web")
            await body(here, client)

    asyncio.run(main())


def serves(here: Running, make: Callable[[], BytesSession]) -> None:
    here.daemon.make_session = lambda request: make()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_input_and_closing_do_not_wait_behind_blocked_readers(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        one_at_a_time = asyncio.Lock()
        original = here.daemon.run_in_watchers

        async def full(function: Callable[[], object]) -> object:
            async with one_at_a_time:
                return await original(function)

        here.daemon.run_in_watchers = full  # type: ignore[method-assign]
        opened = await client.ask("instance.exec", {**EXEC, "stdin": True})
        stream = opened["result"]["stream"]
        await until(lambda: here.daemon.sessions[0].reads)
        written = await client.ask("stream.write", {"stream": stream, "data_b64": b64(b"x")})
        assert written["result"]["total"] == 1
        await client.ask("stream.close", {"stream": stream})
        await until(here.daemon.sessions[0].closed.is_set)

    session(tmp_path, body)


async def deaf(here: Running, client: Raw) -> DeafSession:
    """Write to a command that does not read; the write may be blocked now."""
    here.daemon.make_session = lambda request: DeafSession()
    opened = await client.ask("instance.exec", {**EXEC, "stdin": True})
    params = {"stream": opened["result"]["stream"], "data_b64": b64(b"x")}
    request = {"jsonrpc": "2.0", "id": 9, "method": "stream.write", "params": params}
    await client.send(json.dumps(request).encode())
    session = here.daemon.sessions[-1]
    assert isinstance(session, DeafSession)
    return session


def test_commands_that_do_not_read_hold_up_no_upload_and_no_other_client(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        async with here.raw() as other:
            blocked = [await deaf(here, client) for _ in range(MAX_INPUTS + 20)]
            await until(lambda: sum(each.writing.is_set() for each in blocked) == MAX_INPUTS)
            for uploader in (client, other):
                stream = (await uploader.ask("upload.open"))["result"]["stream"]
                params = {"stream": stream, "data_b64": b64(b"abc"), "end": True}
                assert (await uploader.ask("stream.write", params))["result"]["upload"]
            serves(here, lambda: BytesSession([], echo=True))
            stream = (await other.ask("instance.exec", {**EXEC, "stdin": True}))["result"]["stream"]
            written = await other.ask("stream.write", {"stream": stream, "data_b64": b64(b"x")})
            assert written["result"]["total"] == 1
            assert not any(each.closed.is_set() for each in blocked)

    session(tmp_path, body)


def test_a_disconnect_frees_blocked_writes(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        async with here.raw() as other:
            blocked = [await deaf(here, other) for _ in range(MAX_INPUTS + 3)]
            await until(lambda: sum(each.writing.is_set() for each in blocked) == MAX_INPUTS)
        await until(lambda: all(each.closed.is_set() for each in blocked))
        await until(lambda: len(here.server.connections) == 1)
        await until(lambda: not [t for t in threading.enumerate() if "swarmd-input" in t.name])

    session(tmp_path, body)


def test_an_upload_that_failed_is_over_and_forgotten(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        stream = (await client.ask("upload.open"))["result"]["stream"]
        (upload,) = here.daemon.open_uploads
        upload.full = True
        params = {"stream": stream, "data_b64": b64(b"abc")}
        failed = await client.ask("stream.write", params)
        assert failed["error"]["data"]["type"] == "resource_limit_error"
        await until(upload.aborted.is_set)
        upload.full = False
        again = await client.ask("stream.write", {**params, "end": True})
        assert again["error"]["data"]["details"]["field"] == "stream"
        assert not here.daemon.uploads

    session(tmp_path, body)


def test_an_upload_is_never_aborted_while_it_is_written(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        async with here.raw() as other:
            stream = (await other.ask("upload.open"))["result"]["stream"]
            (upload,) = here.daemon.open_uploads
            upload.slow = True
            params = {"stream": stream, "data_b64": b64(b"abc"), "end": True}
            request = {"jsonrpc": "2.0", "id": 9, "method": "stream.write", "params": params}
            await other.send(json.dumps(request).encode())
            await until(upload.writing.is_set)
        await client.ask("daemon.ping")
        await until(lambda: len(here.server.connections) == 1)
        # Others go through the threads that would abort it: by then it would have been.
        for _ in range(8):
            await client.ask("instance.logs", LOGS)
        await until(lambda: all(each.closed.is_set() for each in here.daemon.sessions))
        assert not upload.aborted.is_set()
        upload.go.set()
        await until(upload.aborted.is_set)
        assert not upload.aborted_while_writing
        assert not here.daemon.uploads

    session(tmp_path, body)


# --- the end ------------------------------------------------------------------------------------


def test_the_end_waits_until_sessions_are_closed(tmp_path: Path) -> None:
    class Slow(BytesSession):
        def close(self) -> None:
            asked.set()
            assert go_on.wait(10)
            super().close()

    asked, go_on = threading.Event(), threading.Event()

    async def body(here: Running, client: Raw) -> None:
        here.daemon.make_session = lambda _: Slow([], endless=True)
        await client.ask("instance.logs", LOGS)
        ending = asyncio.ensure_future(here.server.close(0.1))
        await until(asked.is_set)
        assert not ending.done()
        go_on.set()
        await ending
        assert here.daemon.sessions[0].closed.is_set()

    session(tmp_path, body)


def test_a_session_that_does_not_close_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(BytesSession):
        def close(self) -> None:
            assert go_on.wait(10)
            super().close()

    monkeypatch.setattr(server, "CLOSING_SECONDS", 0.05)
    go_on = threading.Event()

    async def body(here: Running, client: Raw) -> None:
        here.daemon.make_session = lambda _: Stuck([], endless=True)
        await client.ask("instance.logs", LOGS)
        await here.server.close(0.1)
        go_on.set()

    session(tmp_path, body)
    assert "a session does not close" in caplog.text
