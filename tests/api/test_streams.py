"""Streams: output, input, uploads, and what a client that does not read costs."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmd.api import connection as connections
from swarmd.api.opened import MAX_STREAMS
from swarmd.api.outgoing import MAX_UNSENT
from swarmd.errors import ProviderError
from swarmd.messages.wire import PIECE
from tests.api.fake_streams import BytesSession
from tests.api.serving import Raw, Running, running, unsent, until

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


async def chunks(client: Raw) -> list[dict[str, Any]]:
    """All of a stream's chunks, the last included."""
    found: list[dict[str, Any]] = []
    while not found or not found[-1].get("end"):
        found.append((await client.read())["params"])
    return found


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_log_comes_as_text_in_order_and_ends(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        serves(here, lambda: BytesSession([("log", b"one\n"), ("log", "zwei ü\n".encode())]))
        opened = await client.ask("instance.logs", LOGS)
        stream = opened["result"]["stream"]
        assert await chunks(client) == [
            {"stream": stream, "seq": 0, "channel": "log", "data": "one\n"},
            {"stream": stream, "seq": 1, "channel": "log", "data": "zwei ü\n"},
            {"stream": stream, "seq": 2, "end": True},
        ]
        assert here.daemon.sessions[0].closed.wait(5)

    session(tmp_path, body)


def test_exec_tells_channels_bytes_that_are_no_text_and_the_exit_code(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        pieces = [("stdout", b"\xff\x00"), ("stderr", b"oh")]
        serves(here, lambda: BytesSession(pieces, exit_code=3))
        await client.ask("instance.exec", EXEC)
        first, second, last = await chunks(client)
        assert first["data_b64"] == b64(b"\xff\x00")
        assert (second["channel"], second["data"]) == ("stderr", "oh")
        assert (last["end"], last["exit_code"]) == (True, 3)

    session(tmp_path, body)


def test_large_pieces_are_cut_and_archives_are_always_bytes(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        data = bytes(3 * PIECE + 5)
        serves(here, lambda: BytesSession([("data", data)]))
        await client.ask("instance.export", LOGS)
        found = await chunks(client)
        assert len(found) == 5
        assert b"".join(base64.b64decode(each["data_b64"]) for each in found[:-1]) == data

    session(tmp_path, body)


@pytest.mark.parametrize("error", [ProviderError("it broke"), ValueError("unforeseen")])
def test_a_source_that_fails_ends_the_stream_with_its_error(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(here: Running, client: Raw) -> None:
        def pieces() -> Iterator[tuple[str, bytes]]:
            yield ("log", b"before")
            raise error

        serves(here, lambda: BytesSession(pieces()))
        await client.ask("instance.logs", LOGS)
        _, last = await chunks(client)
        known = isinstance(error, ProviderError)
        assert last["error"]["type"] == ("provider_error" if known else "internal_error")
        assert here.daemon.sessions[0].closed.wait(5)

    session(tmp_path, body)


# --- input -----------------------------------------------------------------------------------


def test_input_reaches_the_command_in_order_and_ends(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        opened = await client.ask("instance.exec", {**EXEC, "stdin": True})
        stream = opened["result"]["stream"]
        total = 0
        for number in range(5):
            await client.ask("stream.write", {"stream": stream, "data_b64": b64(b"%d" % number)})
            total += 1
        answer = await client.ask("stream.write", {"stream": stream, "end": True})
        assert answer["result"]["total"] == total
        echoed = [each["params"] for each in client.told]
        assert here.daemon.sessions[0].written == b"01234"
        assert here.daemon.sessions[0].input_closed.is_set()
        while not echoed or not echoed[-1].get("end"):
            echoed.append((await client.read())["params"])

    session(tmp_path, body)


def test_wrong_input_is_refused(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        serves(here, lambda: BytesSession([], endless=True))
        quiet = (await client.ask("instance.exec", EXEC))["result"]["stream"]
        asking = (await client.ask("instance.exec", {**EXEC, "stdin": True}))["result"]["stream"]

        async def refusal(stream: str, **params: Any) -> Any:
            answer = await client.ask("stream.write", {"stream": stream, **params})
            return answer["error"]["data"]

        assert (await refusal(quiet, data_b64="eA=="))["details"]["field"] == "stream"
        assert (await refusal(asking, data_b64="!"))["details"]["field"] == "data_b64"
        assert (await refusal("s99"))["details"]["field"] == "stream"
        await client.ask("stream.write", {"stream": asking, "end": True})
        assert (await refusal(asking, data_b64="eA=="))["type"] == "unavailable"

    session(tmp_path, body)


def test_an_upload_is_spooled_and_gets_an_id(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        stream = (await client.ask("upload.open"))["result"]["stream"]
        for data in (b"abc", b"def"):
            written = await client.ask("stream.write", {"stream": stream, "data_b64": b64(data)})
        assert written["result"] == {"total": 6, "upload": None}
        written = await client.ask("stream.write", {"stream": stream, "end": True})
        upload = written["result"]["upload"]
        assert here.daemon.uploads[upload] == b"abcdef"
        params = {"upload": upload, "config": {"name": "copy"}}
        assert (await client.ask("instance.import", params))["result"]["name"] == "copy"
        assert "error" in await client.ask("stream.write", {"stream": stream})
        assert not here.daemon.open_uploads[0].aborted.is_set()

    session(tmp_path, body)


def test_an_upload_that_is_closed_or_left_is_forgotten(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        stream = (await client.ask("upload.open"))["result"]["stream"]
        assert (await client.ask("stream.close", {"stream": stream}))["result"]["closed"]
        async with here.raw() as other:
            await other.ask("upload.open")
        for upload in here.daemon.open_uploads:
            await until(upload.aborted.is_set)

    session(tmp_path, body)


# --- the end, and slow readers ---------------------------------------------------------------


def test_closing_a_stream_ends_its_source(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        stream = (await client.ask("instance.logs", {**LOGS, "follow": True}))["result"]["stream"]
        assert (await client.read())["params"]["data"] == "one\ntwo\n"
        answer = await client.ask("stream.close", {"stream": stream})
        assert client.told[-1]["params"]["end"] is True
        assert answer["result"] == {"closed": True}
        await until(here.daemon.sessions[0].closed.is_set)
        again = await client.ask("stream.close", {"stream": stream})
        assert again["result"] == {"closed": False}

    session(tmp_path, body)


def test_a_disconnect_ends_streams(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        async with here.raw() as other:
            await other.ask("instance.logs", {**LOGS, "follow": True})
            await other.read()
        await until(here.daemon.sessions[0].closed.is_set)
        assert "result" in await client.ask("daemon.ping")

    session(tmp_path, body)


def test_a_half_closed_client_gets_its_stream_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_HANGUP_CHECK_SECONDS", 0.01)

    async def body(here: Running, client: Raw) -> None:
        line = b'{"jsonrpc":"2.0","id":1,"method":"instance.logs","params":{"id":"ana/web"%s}}\n'
        async with here.raw() as other:
            other.writer.write(line % b"")
            other.writer.write_eof()
            assert (await other.read())["result"]
            assert len(await chunks(other)) == 2
            assert await other.reader.read() == b""
        async with here.raw() as other:
            other.writer.write(line % b',"follow":true')
            other.writer.write_eof()
            await other.read()
            await other.read()
            assert not here.daemon.sessions[1].closed.is_set()
        await until(here.daemon.sessions[1].closed.is_set)

    session(tmp_path, body)


def test_a_source_pauses_while_the_client_reads_nothing(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        piece = bytes(range(256)) * 256

        def many() -> Iterator[tuple[str, bytes]]:
            for _ in range(400):
                yield ("data", piece)

        serves(here, lambda: BytesSession(many()))
        await client.ask("daemon.ping")
        mine = here.server.connections
        async with here.raw() as slow:
            await slow.ask("daemon.ping")
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
            slow.writer.write(
                b'{"jsonrpc":"2.0","id":1,"method":"instance.export","params":{"id":"ana/web"}}\n'
            )
            (server_end,) = here.server.connections - mine
            await until(lambda: unsent(server_end) >= MAX_UNSENT)
            (source,) = here.daemon.sessions
            paused_at = source.bytes_read
            assert "result" in await client.ask("daemon.ping")  # others go on
            assert unsent(server_end) < MAX_UNSENT + 2 * len(piece)
            assert paused_at < 4 << 20
            slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert "result" in await slow.read()
            found = await chunks(slow)
            assert [each["seq"] for each in found] == list(range(401))
            assert source.bytes_read == 400 * len(piece)

    session(tmp_path, body)


def test_a_connection_has_only_so_many_streams(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        for _ in range(MAX_STREAMS):
            await client.ask("upload.open")
        for method, params in (("upload.open", {}), ("instance.logs", LOGS)):
            error = (await client.ask(method, params))["error"]
            assert error["data"]["type"] == "resource_limit_error"
        await until(here.daemon.sessions[-1].closed.is_set)
        await until(here.daemon.open_uploads[-1].aborted.is_set)

    session(tmp_path, body)


def test_a_stream_whose_client_left_while_it_opened_is_let_go(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        go = asyncio.Event()
        original = here.daemon.open_logs

        async def slowly(caller: Any, request: Any) -> Any:
            opened = await original(caller, request)
            await go.wait()
            return opened

        here.daemon.open_logs = slowly  # type: ignore[method-assign]
        async with here.raw() as other:
            await other.send(
                b'{"jsonrpc":"2.0","id":1,"method":"instance.logs","params":{"id":"ana/web"}}'
            )
            await until(lambda: here.daemon.sessions)
        await client.ask("daemon.ping")
        await until(lambda: len(here.server.connections) == 1)
        go.set()
        await until(here.daemon.sessions[0].closed.is_set)

    session(tmp_path, body)
