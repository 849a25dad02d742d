"""What must not hold up the loop: files, counts, the user database, long words."""

from __future__ import annotations

import asyncio
import difflib
import gc
import json
import pwd
import threading
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from swarmd.api import peer
from swarmd.messages.enums import DaemonState, EventType
from tests.api.fakes import TickClock
from tests.api.serving import Raw, Running, running, until


def session(folder: Path, body: Callable[[Running, Raw], Awaitable[None]]) -> None:
    """Run a test's body with a server and one raw connection."""

    async def main() -> None:
        async with running(folder) as here, here.raw() as client:
            await body(here, client)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("method", "params", "read"),
    [
        ("instance.why", {"id": "ana/web"}, "story"),
        ("events.history", {}, "history"),
        ("events.subscribe", {"since": 0}, "history"),
    ],
)
def test_files_are_read_off_the_loop(
    tmp_path: Path, method: str, params: dict[str, Any], read: str
) -> None:
    async def body(here: Running, client: Raw) -> None:
        here.daemon.add("web")
        here.daemon.publish(EventType.INSTANCE_STARTED)
        threads: list[int] = []
        original = getattr(here.daemon, read)

        def noting(*args: Any) -> Any:
            threads.append(threading.get_ident())
            return original(*args)

        setattr(here.daemon, read, noting)
        assert "result" in await client.ask(method, params)
        await until(lambda: threads)
        assert threading.get_ident() not in threads

    session(tmp_path, body)


def test_a_connection_that_was_closed_is_no_ring(tmp_path: Path) -> None:
    """Else each client that asks one thing leaves its connection to the next collection."""

    async def body(here: Running, client: Raw) -> None:
        del client
        async with here.raw() as another:
            await another.ask("daemon.ping")
            gone = [weakref.ref(each) for each in here.server.connections]
            assert len(gone) == 2
        gc.disable()
        try:
            await until(lambda: sum(each() is None for each in gone) == 1)
        finally:
            gc.enable()

    session(tmp_path, body)


def test_a_ping_counts_nothing(tmp_path: Path) -> None:
    async def body(here: Running, client: Raw) -> None:
        def counting(caller: Any) -> Any:
            pytest.fail("it counted")

        here.daemon.status = counting  # type: ignore[method-assign]
        here.daemon.condition = lambda: (DaemonState.DEGRADED, ("x",))  # type: ignore[method-assign]
        answer = await client.ask("daemon.ping")
        assert answer["result"] == {"ok": True, "state": "degraded"}

    session(tmp_path, body)


def test_names_of_users_are_looked_up_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[int] = []
    names = {7: "ana"}

    def getpwuid(uid: int) -> SimpleNamespace:
        looked_up.append(uid)
        return SimpleNamespace(pw_name=names[uid])

    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    clock = TickClock()
    users = peer.UserNames(clock)
    assert [users.of(7), users.of(7), users.of(8), users.of(8)] == ["ana", "ana", "8", "8"]
    assert looked_up == [7, 8]
    names[7] = "eva"
    clock.seconds = 299.0
    assert users.of(7) == "ana"
    clock.seconds = 300.0
    assert users.of(7) == "eva"
    for uid in range(2000):
        users.of(uid)
    assert len(users._known) <= 1000


@pytest.mark.parametrize("place", ["key", "value", "id"])
def test_a_long_word_is_not_compared_and_not_sent_back(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    def close_matches(word: str, *_: object, **__: object) -> list[str]:
        compared.append(word)
        return []

    monkeypatch.setattr(difflib, "get_close_matches", close_matches)
    word = "xy" * 500_000
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "key": ("instance.get", {"id": "a", word: 1}),
        "value": ("instance.list", {"status": [word]}),
        "id": ("instance.get", {"id": word}),
    }

    async def body(here: Running, client: Raw) -> None:
        here.daemon.add("web")
        data = (await client.ask(*asked[place]))["error"]["data"]
        assert [len(each) for each in compared] == [100]
        assert len(json.dumps(data)) < 40_000
        assert len(data["details"]["field"]) < 200

    session(tmp_path, body)
