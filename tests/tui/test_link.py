"""The link without an app: what is known while it is read anew, and when nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from swarmd.messages.enums import EventType
from swarmd.messages.replies import AlertList
from swarmd.messages.requests import ListAlerts
from tests.tui import scene
from tests.tui.driving import LIMIT_SECONDS
from tests.tui.fake import FakeDaemon
from tui import link as module
from tui.link import DaemonLink
from tui.model.snapshot import Changed, LinkState, Snapshot

MANY = [scene.instance(f"lab-{number:04}", number=number) for number in range(1, 1502)]


@asynccontextmanager
async def linked(
    daemon: FakeDaemon, told: list[Snapshot] | None = None
) -> AsyncIterator[DaemonLink]:
    """A link that has read everything."""

    def tell(snapshot: Snapshot, _changed: Changed) -> None:
        if told is not None:
            told.append(snapshot)

    link = DaemonLink(daemon.client, tell, rate=1000.0)
    running = asyncio.create_task(link.run())
    try:
        await until(lambda: link.snapshot.link.online and link.snapshot.loaded, link)
        yield link
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(fact: Callable[[], object], link: DaemonLink) -> None:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not fact():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    except TimeoutError as error:
        raise AssertionError(f"it did not come to that; seen: {link.snapshot}") from error


@pytest.mark.anyio
async def test_a_daemon_that_hangs_is_told_as_such_and_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PULSE_SECONDS", 0.01)
    monkeypatch.setattr(module, "_ANSWER_SECONDS", 0.1)
    daemon = FakeDaemon(MANY[:2])
    async with linked(daemon) as link:
        daemon.hang()
        await until(lambda: link.snapshot.link.state is LinkState.LOST, link)
        assert "has not answered for 0.1 s" in link.snapshot.link.message
        assert "look at its log" in link.snapshot.link.next_step
        assert len(link.snapshot.instances) == 2, "what was known is kept"
        await until(lambda: link.snapshot.link.attempt > 1, link)
        daemon.go_on()
        link.retry()
        await until(lambda: link.snapshot.link.online, link)


@pytest.mark.anyio
async def test_while_all_is_read_anew_nothing_that_is_there_goes() -> None:
    """A view that lacked a row for a moment would lose its cursor and its marks."""
    daemon, told = FakeDaemon(MANY), list[Snapshot]()
    async with linked(daemon, told) as link:
        told.clear()
        daemon.die()
        await until(lambda: not link.snapshot.link.online, link)
        del daemon.instances[MANY[0].id]
        daemon.live()
        link.retry()
        await until(lambda: link.snapshot.link.online and link.snapshot.loaded, link)
        assert min(len(each.instances) for each in told) == len(MANY) - 1
        assert any(not each.loaded for each in told), "there was a page after the first"
        assert link.snapshot.instances.keys() == daemon.instances.keys()


@pytest.mark.anyio
async def test_events_of_another_journal_are_not_mixed_with_those_before() -> None:
    daemon = FakeDaemon(MANY[:1])
    async with linked(daemon) as link:
        daemon.emit(type=EventType.CONFIG_RELOADED)
        await until(lambda: link.snapshot.events, link)
        daemon.die()
        await until(lambda: not link.snapshot.link.online, link)
        daemon.begin_journal("journal-2", seq=7)
        daemon.live()
        link.retry()
        await until(lambda: link.snapshot.link.online, link)
        assert (link.snapshot.journal, link.snapshot.seq) == ("journal-2", 7)
        assert link.snapshot.events == ()
        daemon.emit(type=EventType.CONFIG_RELOADED)
        await until(lambda: [each.seq for each in link.snapshot.events] == [8], link)


@pytest.mark.anyio
async def test_what_was_learnt_meanwhile_is_not_lost() -> None:
    """An answer is put into the snapshot of then, not into the one of when it was asked for."""
    daemon = FakeDaemon(MANY[:1])
    async with linked(daemon) as link:
        box = scene.provider("box1")

        def alerts(_request: ListAlerts) -> AlertList:
            link.snapshot = replace(link.snapshot, providers={"box1": box})
            return AlertList(items=(), total=0)

        daemon.answers[ListAlerts] = alerts
        event = daemon.emit(type=EventType.ALERT)
        await until(lambda: link.snapshot.seq == event.seq, link)
        await until(lambda: len(daemon.requests(ListAlerts)) == 2, link)
        await asyncio.sleep(0)
        assert link.snapshot.providers == {"box1": box}
