"""Whatever comes on the socket gets one clear answer, and the connection lives."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmd.messages.enums import InstanceStatus
from swarmd.messages.methods import METHODS
from tests.api.serving import Raw, Running, running, session, until

GOOD = b'{"jsonrpc":"2.0","id":9,"method":"daemon.version"}'
BAD: dict[str, tuple[bytes, int, object, str | None]] = {
    "not json": (b"{nonsense", -32700, None, None),
    "not utf-8": (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', -32700, None, None),
    "not an object": (b"42", -32600, None, None),
    "deep": (b'{"params":' + b"[" * 100_000, -32700, None, None),
    "no version": (b'{"id":7,"method":"daemon.version"}', -32600, 7, "jsonrpc"),
    "unknown member": (
        b'{"jsonrpc":"2.0","id":"x","method":"daemon.version","parms":{}}',
        -32600,
        "x",
        "parms",
    ),
    "fractional id": (b'{"jsonrpc":"2.0","id":1.5,"method":"x"}', -32600, None, "id"),
    "huge id": (b'{"jsonrpc":"2.0","id":%d,"method":"x"}' % 10**30, -32600, None, "id"),
    "unknown method": (b'{"jsonrpc":"2.0","id":7,"method":"instance.gett"}', -32601, 7, "method"),
    "unknown param": (
        b'{"jsonrpc":"2.0","id":7,"method":"instance.get","params":{"id":"a","idd":1}}',
        -32602,
        7,
        "idd",
    ),
    "missing param": (b'{"jsonrpc":"2.0","id":7,"method":"instance.get"}', -32602, 7, "id"),
    "wrong type": (
        (
            b'{"jsonrpc":"2.0","id":7,"method":"instance.create",'
            b'"params":{"config":{"name":"x","resources":{"cpu":"many"}}}}'
        ),
        -32602,
        7,
        "config.resources.cpu",
    ),
    "bad unit": (
        (
            b'{"jsonrpc":"2.0","id":7,"method":"instance.create",'
            b'"params":{"config":{"name":"x","resources":{"memory":"12x"}}}}'
        ),
        -32602,
        7,
        "config.resources.memory",
    ),
    "positional params": (
        b'{"jsonrpc":"2.0","id":7,"method":"instance.get","params":["a"]}',
        -32602,
        7,
        "params",
    ),
    "over 1 MiB": (b'{"method":"' + b"x" * (1 << 20) + b'"}', -32600, None, None),
    "empty batch": (b"[]", -32600, None, None),
    "broken batch": (b"[{]", -32700, None, None),
    "huge batch": (b"[" + b"1," * 1000 + b"1]", -32600, None, None),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_frames_get_one_clear_error_and_the_connection_lives(tmp_path: Path, name: str) -> None:
    frame, code, request_id, field = BAD[name]

    async def body(here: Running, client: Raw) -> None:
        await client.send(frame, GOOD)
        answer = await client.read()
        error = answer["error"]
        assert (error["code"], answer["id"]) == (code, request_id)
        assert error["data"]["type"] == "validation_error"
        assert error["data"]["details"].get("field") == field
        assert error["data"]["details"]["next_step"]
        assert (await client.read())["id"] == 9
        assert here.daemon.ops == {}

    session(tmp_path, body)


def test_nearest_names_are_told(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        method = (await client.ask("instance.gett"))["error"]["data"]["details"]
        assert "instance.get" in method["next_step"]
        assert "instance.get" in method["nearest"]
        field = await client.ask("instance.create", {"config": {"name": "x", "lables": {}}})
        assert "labels" in field["error"]["data"]["details"]["next_step"]
        unknown = await client.ask("zzz" * 100)
        assert "rpc.discover" in unknown["error"]["data"]["details"]["next_step"]

    session(tmp_path, body)


def test_a_line_cut_off_by_the_end_is_an_error_or_done_if_it_is_whole(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        client.writer.write(GOOD + b'\n{"jsonrpc":"2.0","id":1,"meth')
        client.writer.write_eof()
        assert (await client.read())["id"] == 9
        assert (await client.read())["error"]["code"] == -32700
        assert await client.reader.read() == b""
        async with here.raw() as other:
            other.writer.write(GOOD)
            other.writer.write_eof()
            assert (await other.read())["id"] == 9
            assert await other.reader.read() == b""

    session(tmp_path, body)


def test_a_client_that_has_sent_all_still_gets_what_takes_longer(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.hold()
        await client.send(
            b'{"jsonrpc":"2.0","id":5,"method":"instance.create","params":{"config":{"name":"w"}}}'
        )
        client.writer.write_eof()
        await until(lambda: here.daemon.ops)
        here.daemon.let_go()
        assert (await client.read())["method"] == "operation.started"
        assert (await client.read())["result"]["status"] == InstanceStatus.RUNNING
        assert await client.reader.read() == b""

    session(tmp_path, body)


def test_an_unexpected_failure_is_logged_and_hidden(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(here: Running, client: Raw) -> None:
        def broken(caller: Any) -> Any:
            raise ZeroDivisionError("the cause")

        here.daemon.status = broken  # type: ignore[method-assign]
        error = (await client.ask("daemon.status", correlation="find-me"))["error"]
        assert error["data"]["type"] == "internal_error"
        assert error["data"]["details"]["correlation"] == "find-me"
        assert "the cause" not in json.dumps(error)

    with caplog.at_level(logging.ERROR, logger="swarmd.api"):
        session(tmp_path, body)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.__dict__["correlation"] == "find-me"


def test_a_result_over_the_limit_is_refused_with_the_way_out(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        for number in range(30):
            here.daemon.add(f"i{number}", metadata={"big": "x" * 50_000})
        data = (await client.ask("instance.list"))["error"]["data"]
        assert data["type"] == "resource_limit_error"
        assert "limit" in data["details"]["next_step"]
        assert "result" in await client.ask("instance.list", {"limit": 5})

    session(tmp_path, body)


# --- anything at all -------------------------------------------------------------------------

LINES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([frame for frame, *_ in BAD.values() if len(frame) < 1000]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {"jsonrpc": st.just("2.0"), "id": st.integers(0, 5)},
        optional={
            "method": st.sampled_from([m.name for m in METHODS if m.name.startswith("inst")]),
            "params": st.dictionaries(st.sampled_from(["id", "config", "x"]), st.text(max_size=5)),
        },
    ).map(lambda value: json.dumps(value).encode()),
).map(lambda line: line.replace(b"\n", b" "))


def answers_due(line: bytes) -> int:
    """How many lines a line is answered with: none if it is blank or a sound notification."""
    if not line or line.isspace():
        return 0
    return 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=12))
def test_whatever_comes_each_line_gets_one_answer(tmp_path: Path, lines: list[bytes]) -> None:
    async def main() -> None:
        async with running(tmp_path) as here, here.raw() as client:
            await client.send(*lines, GOOD.replace(b"9", b'"the last"'))
            due = sum(answers_due(line) for line in lines)
            seen = [await client.read() for _ in range(due + 1)]
            assert any(type(each) is dict and each["id"] == "the last" for each in seen)
            await client.send(GOOD)
            assert (await client.read())["id"] == 9

    asyncio.run(main())
