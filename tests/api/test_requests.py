"""Requests, answers and errors, as they go over the socket."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pwd
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmd.api.call import HANDLERS, handles
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Failure
from swarmd.messages.methods import METHODS
from tests.api.serving import Raw, Running, running, until


def session(folder: Path, body: Callable[[Running, Raw], Awaitable[None]]) -> None:
    """Run a test's body with a server and one raw connection."""

    async def main() -> None:
        async with running(folder) as here, here.raw() as client:
            await body(here, client)

    asyncio.run(main())


def test_every_method_has_one_handler_and_every_handler_a_method() -> None:
    assert set(HANDLERS) == {method.request for method in METHODS}
    with pytest.raises(RuntimeError, match="two handlers"):
        handles(METHODS[0].request)(lambda call, request: None)


def test_a_read_answers_with_the_reply_struct(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        instance = here.daemon.add("web", owner=pwd.getpwuid(os.getuid()).pw_name)
        answer = await client.ask("instance.get", {"id": "web"}, id="mine")
        assert answer["id"] == "mine"
        assert answer["jsonrpc"] == "2.0"
        assert answer["result"]["id"] == instance.id

    session(tmp_path, body)


READS: list[tuple[str, dict[str, Any], str]] = [
    ("instance.list", {"limit": 1}, "items"),
    ("instance.credentials", {"id": "ana/web"}, "password"),
    ("instance.why", {"id": "ana/web"}, "items"),
    ("instance.stats", {"id": ["ana/web"]}, "items"),
    ("operation.list", {}, "items"),
    ("provider.list", {}, "items"),
    ("provider.get", {"name": "local"}, "capabilities"),
    ("provider.capabilities", {"name": "local"}, "isolation"),
    ("provider.cordon", {"name": "local"}, "cordoned"),
    ("events.history", {}, "last_seq"),
    ("daemon.status", {}, "instances"),
    ("daemon.version", {}, "protocol"),
    ("daemon.ping", {}, "ok"),
    ("daemon.actors", {}, "dead_letters"),
    ("daemon.doctor", {}, "findings"),
    ("daemon.reload", {}, "applied"),
    ("rpc.discover", {}, "methods"),
    ("stray.discard", {"id": "x", "provider": "local"}, "ok"),
]


@pytest.mark.parametrize(("method", "params", "key"), READS, ids=[row[0] for row in READS])
def test_each_read_and_command_answers(
    tmp_path: Path, method: str, params: dict[str, Any], key: str
) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.add("web")
        assert key in (await client.ask(method, params))["result"]

    session(tmp_path, body)


def test_lists_send_only_the_fields_asked_for(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.add("a")
        here.daemon.add("b")
        fields = {"fields": ["name", "config.protect"], "limit": 1}
        page = (await client.ask("instance.list", fields))["result"]
        assert page["items"] == [{"name": "a", "config.protect": False}]
        assert page["total"] == 2
        page = await client.ask("instance.list", {**fields, "cursor": page["next_cursor"]})
        assert page["result"]["items"][0]["name"] == "b"

    session(tmp_path, body)


# --- operations ------------------------------------------------------------------------------


def test_an_operation_is_told_first_and_answers_with_its_noun(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        answer = await client.ask("instance.create", {"config": {"name": "web"}})
        assert answer["result"]["status"] == "running"
        (told,) = client.told
        assert told["method"] == "operation.started"
        operation = next(iter(here.daemon.ops.values()))
        assert told["params"] == {
            "id": operation.id,
            "kind": "create",
            "target": answer["result"]["id"],
            "request": 1,
        }

    session(tmp_path, body)


def test_without_wait_the_answer_is_the_operation_and_its_arguments_are_blank(
    tmp_path: Path,
) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.hold()
        params = {"config": {"name": "web"}, "wait": False}
        operation = (await client.ask("instance.create", params))["result"]
        assert operation["state"] == "running"
        assert operation["arguments"] == {}
        for method in ("operation.get", "operation.cancel"):
            shown = (await client.ask(method, {"id": operation["id"]}))["result"]
            assert shown["arguments"] == {}
        (listed,) = (await client.ask("operation.list"))["result"]["items"]
        assert listed["state"] == "cancelled"
        again = await client.ask("operation.cancel", {"id": operation["id"]})
        assert again["error"]["data"]["type"] == "conflict"

    session(tmp_path, body)


def test_the_timeout_ends_the_wait_and_not_the_operation(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.hold()
        answer = await client.ask("instance.create", {"config": {"name": "w"}, "timeout": "10ms"})
        data = answer["error"]["data"]
        assert data["type"] == "timeout"
        operation_id = data["details"]["operation"]
        shown = await client.ask("operation.wait", {"id": operation_id, "timeout": 0.01})
        assert shown["result"]["state"] == "running"
        here.daemon.let_go()
        shown = await client.ask("operation.wait", {"id": operation_id})
        assert shown["result"]["state"] == "succeeded"

    session(tmp_path, body)


def test_a_failed_operation_raises_its_error(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.fail_next = Failure(
            type="provider_error", message="it said no", details={"cause": "no"}
        )
        error = (await client.ask("instance.create", {"config": {"name": "w"}}))["error"]
        assert error["code"] == -32000
        assert error["data"]["type"] == "provider_error"
        assert error["data"]["details"]["cause"] == "no"
        assert error["data"]["details"]["operation"] in here.daemon.ops

    session(tmp_path, body)


def test_a_cancelled_operation_says_so_to_who_waits(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.hold()
        here.daemon.add("web")
        async with here.raw() as other:
            waiting = asyncio.ensure_future(client.ask("instance.stop", {"id": "ana/web"}))
            await until(lambda: here.daemon.ops)
            (operation_id,) = here.daemon.ops
            await other.ask("operation.cancel", {"id": operation_id})
            assert (await waiting)["error"]["data"]["type"] == "operation_cancelled"

    session(tmp_path, body)


def test_delete_answers_with_the_record_even_when_it_is_gone(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        web = here.daemon.add("web")
        trashed = (await client.ask("instance.delete", {"id": web.id}))["result"]
        assert trashed["status"] == "deleted"
        gone = here.daemon.add("gone")
        changed = here.daemon._changed

        def purge(instance: Any, request: Any) -> Any:
            here.daemon.by_id.pop(gone.id)
            return changed(web, request)

        here.daemon._changed = purge  # type: ignore[method-assign]
        params = {"id": gone.id, "force": True, "idempotency_key": "k"}
        original = here.daemon._carry_out

        async def carry_out(operation: Any, instance: Any, request: Any) -> None:
            await original(operation, web, request)

        here.daemon._carry_out = carry_out  # type: ignore[method-assign]
        purged = (await client.ask("instance.delete", params))["result"]
        assert (purged["name"], purged["status"]) == ("gone", "deleted")
        again = (await client.ask("instance.delete", params))["result"]
        assert again["kind"] == "delete"
        later = await client.ask("instance.delete", {"id": gone.id, "wait": False})
        assert later["error"]["data"]["type"] == "instance_not_found"

    session(tmp_path, body)


def test_the_idempotency_key_goes_through(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        params = {"config": {"name": "web"}, "idempotency_key": "k", "wait": False}
        first = (await client.ask("instance.create", params))["result"]["id"]
        assert (await client.ask("instance.create", params))["result"]["id"] == first
        params["config"] = {"name": "other"}
        error = (await client.ask("instance.create", params))["error"]
        assert error["data"]["type"] == "conflict"

    session(tmp_path, body)


def test_a_retried_create_whose_instance_is_gone_answers_with_the_operation(
    tmp_path: Path,
) -> None:
    async def body(here: Running, client: Raw) -> None:
        params = {"config": {"name": "web"}, "idempotency_key": "k"}
        created = (await client.ask("instance.create", params))["result"]
        here.daemon.by_id.clear()
        again = (await client.ask("instance.create", params))["result"]
        assert (again["kind"], again["target"]) == ("create", created["id"])
        assert (again["state"], again["arguments"]) == ("succeeded", {})

    session(tmp_path, body)


# --- who asks --------------------------------------------------------------------------------


def test_the_caller_is_the_peer_and_carries_the_correlation(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        params = {"config": {"name": "web"}, "start": False}
        await client.ask("instance.create", params, correlation="abc")
        await client.ask("instance.start", {"id": "01"}, id=2)
        await client.ask("provider.cordon", {"name": "local"}, id=3)
        given, made = here.daemon.callers[0], here.daemon.callers[1]
        assert (given.uid, given.pid) == (os.getuid(), os.getpid())
        assert given.name == pwd.getpwuid(os.getuid()).pw_name
        assert given.correlation == "abc"
        assert made.correlation.startswith("made-")

    session(tmp_path, body)


# --- bad input -------------------------------------------------------------------------------

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
