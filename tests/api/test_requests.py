"""Requests, answers and errors, as they go over the socket."""

from __future__ import annotations

import asyncio
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from swarmd.api.call import HANDLERS, handles
from swarmd.messages.instance import Failure
from swarmd.messages.methods import METHODS
from tests.api.serving import Raw, Running, session, until


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
    ("instance.health", {"id": "ana/web"}, "checks"),
    ("operation.list", {}, "items"),
    ("provider.list", {}, "items"),
    ("provider.get", {"name": "local"}, "capabilities"),
    ("provider.capabilities", {"name": "local"}, "isolation"),
    ("provider.cordon", {"name": "local"}, "cordoned"),
    ("provider.drain", {"name": "local"}, "begun"),
    ("events.history", {}, "last_seq"),
    ("events.at", {}, "items"),
    ("daemon.status", {}, "instances"),
    ("daemon.version", {}, "protocol"),
    ("daemon.ping", {}, "ok"),
    ("daemon.actors", {}, "dead_letters"),
    ("daemon.metrics", {"since": "10m", "step": 60}, "points"),
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
