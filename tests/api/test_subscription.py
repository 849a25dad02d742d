"""Events: no gap, no duplicate, a marker, and an end for who lags."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from swarmd.api import subscription
from swarmd.messages.enums import EventType
from swarmd.messages.events import Event
from swarmd.messages.operation import Caller
from tests.api.serving import Raw, Running, running, unsent, until

STARTED = EventType.INSTANCE_STARTED
STOPPED = EventType.INSTANCE_STOPPED


def session(folder: Path, body: Callable[[Running, Raw], Awaitable[None]]) -> None:
    async def main() -> None:
        async with running(folder) as here, here.raw() as client:
            await body(here, client)

    asyncio.run(main())


async def subscribed(client: Raw, **params: Any) -> str:
    stream: str = (await client.ask("events.subscribe", params))["result"]["stream"]
    return stream


async def data(client: Raw, count: int) -> list[Any]:
    found = [(await client.read())["params"] for _ in range(count)]
    return [each["data"].get("seq", each["data"]) for each in found]


def snapshot(seq: int) -> dict[str, Any]:
    return {"snapshot": {"journal": "01journal", "seq": seq}}


def test_without_since_it_begins_now(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.publish(STARTED, "a")
        await subscribed(client)
        assert await data(client, 1) == [snapshot(1)]
        here.daemon.publish(STOPPED, "a")
        assert await data(client, 1) == [2]

    session(tmp_path, body)


@pytest.mark.parametrize(
    ("at_first", "each_time"),
    [(500, 1), (500, 50), (500, 300), (100, 150), (100, 300)],
    ids=["few", "many", "a page", "all while it reads", "more than is kept while it reads"],
)
def test_it_replays_then_marks_then_goes_on_without_gap_or_duplicate(
    tmp_path: Path, at_first: int, each_time: int
) -> None:
    async def body(here: Running, client: Raw) -> None:
        loop = asyncio.get_running_loop()

        async def publish() -> None:
            here.daemon.publish(STOPPED)

        for _ in range(at_first):
            here.daemon.publish(STARTED)
        history = here.daemon.history

        def while_it_happens(caller: Caller, after: int, limit: int) -> Any:
            page = history(caller, after, limit)
            if limit > 1 and len(here.daemon.journal) < 700:
                for _ in range(each_time):
                    asyncio.run_coroutine_threadsafe(publish(), loop).result(10)
            return page

        here.daemon.history = while_it_happens  # type: ignore[assignment,method-assign]
        await subscribed(client, since=10, journal="01journal")
        found: list[Any] = []
        while not found or "snapshot" not in found[-1]:
            found.append((await client.read())["params"]["data"])
        last = found.pop()["snapshot"]["seq"]
        for _ in range(3):
            here.daemon.publish(STARTED)
        while len(found) < len(here.daemon.journal) - 10:
            found.append((await client.read())["params"]["data"])
        assert [each["seq"] for each in found] == list(range(11, len(here.daemon.journal) + 1))
        assert last >= at_first

    session(tmp_path, body)


@pytest.mark.parametrize(
    ("params", "gap", "replayed"),
    [
        ({"since": 2}, {"journal": "01journal", "since": 2, "first": 6}, [6, 7, 8]),
        ({"since": 3, "journal": "other"}, {"journal": "01journal", "since": 3, "first": None}, []),
        ({"since": 99}, {"journal": "01journal", "since": 99, "first": None}, []),
    ],
)
def test_what_is_no_longer_kept_is_a_gap(
    tmp_path: Path, params: dict[str, Any], gap: dict[str, Any], replayed: list[int]
) -> None:
    async def body(here: Running, client: Raw) -> None:
        for _ in range(8):
            here.daemon.publish(STARTED)
        here.daemon.kept_from = 6
        await subscribed(client, **params)
        expected = [{"gap": gap}, *replayed, snapshot(8)]
        assert await data(client, len(expected)) == expected

    session(tmp_path, body)


def test_filters_hold_for_replay_and_for_what_follows(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        web = here.daemon.add("web")
        here.daemon.publish(STARTED, web.id)
        here.daemon.publish(STARTED, "gone")
        here.daemon.publish(STOPPED, web.id)
        await subscribed(client, since=0, type=["instance_started"], target="ana/web")
        assert await data(client, 2) == [1, snapshot(3)]
        here.daemon.publish(STARTED, "gone")
        here.daemon.publish(STARTED, web.id)
        assert await data(client, 1) == [5]
        history = await client.ask("events.history", {"target": "gone", "limit": 1})
        page = history["result"]
        assert ([each["seq"] for each in page["items"]], page["last_seq"]) == ([2], 5)
        page = (await client.ask("events.history", {"target": "gone", "since": 2}))["result"]
        assert [each["seq"] for each in page["items"]] == [4]
        here.daemon.kept_from = 2
        assert (await client.ask("events.history"))["result"]["gap"] is True

    session(tmp_path, body)


def test_unsubscribing_and_disconnecting_end_it(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        stream = await subscribed(client)
        await data(client, 1)
        assert here.daemon.subscribers == 1
        answer = await client.ask("events.unsubscribe", {"stream": stream})
        assert answer["result"] == {"closed": True}
        await until(lambda: here.daemon.subscribers == 0)
        async with here.raw() as other:
            await subscribed(other)
            await data(other, 1)
        await until(lambda: here.daemon.subscribers == 0)

    session(tmp_path, body)


@pytest.mark.parametrize("big", [0, 40_000])
def test_a_subscriber_that_lags_is_cut_with_one_error(tmp_path: Path, big: int) -> None:
    async def body(here: Running, client: Raw) -> None:
        await client.ask("daemon.ping")
        mine = here.server.connections
        async with here.raw() as slow:
            await subscribed(slow)
            await data(slow, 1)
            (server_end,) = here.server.connections - mine
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
            text = "x" * (big or 400)
            for _ in range(40_000):
                here.daemon.publish(STARTED, text=text)
                await asyncio.sleep(0)
                if here.daemon.subscribers and not server_end.is_open:
                    break
                if len(here.daemon.journal) > 200 and _cut(server_end):
                    break
            else:
                pytest.fail(f"never cut; {unsent(server_end)} bytes unsent")
            assert unsent(server_end) < 1 << 20
            slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
            seen = 0
            last: dict[str, Any] = {}
            while not last.get("end"):
                last = (await slow.read())["params"]
                seen = last["data"]["seq"] if "data" in last else seen
            assert last["error"]["type"] == "unavailable"
            assert last["error"]["details"]["since"] == seen
            assert str(seen) in last["error"]["details"]["next_step"]
            await subscribed(slow, since=seen)
            assert await data(slow, 1) == [seen + 1]  # and so nothing is lost

    session(tmp_path, body)


def _cut(server_end: Any) -> bool:
    return any(each._failure is not None for each in server_end.streams._by_id.values())


@pytest.mark.parametrize("fails", [True, False])
def test_a_source_that_ends_is_told(tmp_path: Path, fails: bool) -> None:
    async def body(here: Running, client: Raw) -> None:
        async def source(caller: Caller) -> AsyncIterator[Event]:
            yield here.daemon.publish(STARTED)
            if fails:
                raise ZeroDivisionError

        here.daemon.subscribe = source  # type: ignore[method-assign]
        await subscribed(client)
        while not (last := (await client.read())["params"]).get("end"):
            pass
        assert last["error"]["type"] == ("internal_error" if fails else "unavailable")

    session(tmp_path, body)


def test_limits_are_those_of_the_design() -> None:
    assert subscription.MAX_EVENTS_BEHIND == 1000
    assert subscription.MAX_BYTES_BEHIND == 4 << 20
