"""Notifications, and batches up to their limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from swarmd.messages.wire import MAX_FRAME
from tests.api.serving import Raw, Running, running, until


def session(folder: Path, body: Callable[[Running, Raw], Awaitable[None]]) -> None:
    """Run a test's body with a server and one raw connection."""

    async def main() -> None:
        async with running(folder) as here, here.raw() as client:
            await body(here, client)

    asyncio.run(main())


GOOD = b'{"jsonrpc":"2.0","id":9,"method":"daemon.version"}'


def test_notifications_are_carried_out_and_never_answered(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        await client.send(
            b'{"jsonrpc":"2.0","method":"instance.create","params":{"config":{"name":"w"}}}',
            b'{"jsonrpc":"2.0","method":"instance.delete","params":{"id":"nothing"}}',
            b'{"jsonrpc":"2.0","method":"no.such"}',
            b'{"jsonrpc":"2.0","method":"daemon.version"}',
            b'{"jsonrpc":"2.0","id":null,"method":"daemon.version"}',
        )
        answer = await client.read()
        assert answer["id"] is None
        assert "result" in answer
        await until(lambda: here.daemon.by_id)

    session(tmp_path, body)


def test_a_batch_is_answered_by_one_array(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        create = {"method": "instance.create", "params": {"config": {"name": "w"}}}
        items: list[Any] = [
            {"jsonrpc": "2.0", "id": 1, "method": "daemon.version"},
            {"jsonrpc": "2.0", "id": 2, **create},
            {"jsonrpc": "2.0", "method": "daemon.version"},
            42,
            {"jsonrpc": "2.0", "id": 3, "method": "instance.logs", "params": {"id": "ana/w"}},
        ]
        await client.send(json.dumps(items).encode())
        assert (await client.read())["method"] == "operation.started"
        answers = {each["id"]: each for each in await client.read()}
        assert answers.keys() == {1, 2, 3, None}
        assert answers[None]["error"]["code"] == -32600
        assert answers[2]["result"]["name"] == "w"
        assert answers[3]["error"]["data"]["type"] == "instance_not_found"

    session(tmp_path, body)


def test_a_batch_of_notifications_gets_no_answer(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        await client.send(b'[{"jsonrpc":"2.0","method":"daemon.version"}]', GOOD)
        assert (await client.read())["id"] == 9

    session(tmp_path, body)


def test_a_batch_is_answered_within_the_limit(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.add("web", metadata={"big": "x" * 400_000})
        one = {"jsonrpc": "2.0", "id": 1, "method": "instance.get", "params": {"id": "ana/web"}}
        await client.send(json.dumps([one, one, one]).encode())
        answers = await client.read()
        assert ["result" in answer for answer in answers] == [True, True, False]
        assert answers[2]["id"] == 1
        assert answers[2]["error"]["data"]["type"] == "resource_limit_error"

    session(tmp_path, body)


def test_a_stream_opened_in_a_batch_begins_after_the_answer(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.add("web")
        logs = {"jsonrpc": "2.0", "id": 3, "method": "instance.logs", "params": {"id": "ana/web"}}
        await client.send(json.dumps([logs]).encode())
        assert (await client.read())[0]["result"]["stream"] == "s1"
        assert (await client.read())["params"]["data"] == "one\ntwo\n"
        assert (await client.read())["params"]["end"] is True

    session(tmp_path, body)


def test_an_array_of_a_thousand_refusals_is_no_longer_than_a_line(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.add("web", metadata={"big": "x" * 100_000})
        get = {"jsonrpc": "2.0", "method": "instance.get", "params": {"id": "ana/web"}}
        await client.send(json.dumps([{**get, "id": n} for n in range(1000)]).encode())
        line = await client.reader.readline()
        assert len(line) <= MAX_FRAME + 3  # its brackets and its newline
        answers = json.loads(line)
        assert [each["id"] for each in answers] == list(range(1000))
        assert 0 < sum("result" in each for each in answers) < 10
        small = {"jsonrpc": "2.0", "method": "daemon.version"}
        await client.send(json.dumps([{**small, "id": n} for n in range(1000)]).encode())
        assert all("result" in each for each in await client.read())

    session(tmp_path, body)


def test_a_batch_whose_ids_alone_fill_a_line_is_refused_before_anything_is_done(
    tmp_path: Path,
) -> None:
    async def body(here: Running, client: Raw) -> None:
        create = {
            "jsonrpc": "2.0",
            "method": "instance.create",
            "params": {"config": {"name": "w"}},
        }
        items = [{**create, "id": f"{n:0850}"} for n in range(1000)]
        await client.send(json.dumps(items, separators=(",", ":")).encode())
        error = (await client.read())["error"]
        assert (error["code"], error["data"]["details"]["field"]) == (-32600, "id")
        assert not here.daemon.ops

    session(tmp_path, body)
