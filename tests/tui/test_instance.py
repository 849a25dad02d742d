"""The view of one instance, as it looks and as it follows what happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from textual.pilot import Pilot

from swarmd.errors import InstanceNotFound, Unavailable
from swarmd.messages.enums import EventType, InstanceStatus, OperationKind
from swarmd.messages.instance import replace
from swarmd.messages.requests import (
    CancelOperation,
    GetInstance,
    HealthInstance,
    LogsInstance,
    WhyInstance,
)
from swarmd.messages.wire import Chunk
from tests.tui import detail, scene
from tests.tui.driving import after, online, until
from tests.tui.fake import FakeDaemon, FakeStream
from tui.app import SwarmdApp
from tui.screens.confirm import Confirm
from tui.views.instance import InstanceView
from tui.views.logtab import LogTab
from tui.widgets.logpane import LogPane
from tui.widgets.pane import Pane

Step = Callable[[Pilot[Any]], Awaitable[None]]


@pytest.fixture
def daemon(daemon: FakeDaemon) -> FakeDaemon:
    """One that answers for single instances."""
    return detail.busy(daemon)


def opened(instance: Any, *keys: str, seen: str) -> Step:
    """A step: open it, press these, and wait until this is shown."""

    async def step(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, SwarmdApp)
        app.go(detail.at(instance))
        await until(pilot, lambda: isinstance(app.view, InstanceView), lambda: app.view)
        await pilot.press(*keys)
        await until(pilot, lambda: seen in shown(app), lambda: shown(app))

    return step


def shown(app: SwarmdApp) -> str:
    """The text of the part that is shown."""
    view = app.view
    if not isinstance(view, InstanceView) or not view.is_mounted:
        return ""
    part = view.query_one(f"#{view.part}")
    pane = part.query_one(LogPane) if isinstance(part, LogTab) else part
    return pane.text if isinstance(pane, Pane) else " ".join(view.operations.keys)


@pytest.mark.parametrize(
    ("instance", "keys", "seen"),
    [
        pytest.param(detail.WEB, (), "golang.go", id="overview"),
        pytest.param(detail.DOCS, (), "address already in use", id="error"),
        pytest.param(detail.WEB, ("H",), "Not well", id="health"),
        pytest.param(detail.WEB, ("L", "slash", *"error", "enter"), "request 39", id="logs"),
        pytest.param(detail.WEB, ("W",), "137", id="story"),
    ],
)
def test_a_part(
    snap_compare: Any, app: SwarmdApp, size: Any, instance: Any, keys: Any, seen: str
) -> None:
    """What is wrong first; a chart for the health; a find in the log; the story's end."""
    step = opened(instance, *keys, seen=seen)
    assert snap_compare(app, terminal_size=size, run_before=after(step))


@pytest.mark.parametrize(
    ("keys", "seen"),
    [
        pytest.param(("C",), "[resources]", id="config"),
        pytest.param(("U",), "35% of", id="use"),
        pytest.param(("P",), "01m", id="operations"),
    ],
)
def test_a_small_part(snap_compare: Any, app: SwarmdApp, keys: Any, seen: str, size: Any) -> None:
    """Configuration, use and operations."""
    step = opened(detail.WEB, *keys, seen=seen)
    assert snap_compare(app, terminal_size=size, run_before=after(step))


@pytest.mark.anyio
async def test_what_it_says_of_time_goes_on(daemon: FakeDaemon) -> None:
    """Below the header as in it."""
    now = [scene.NOW]
    app = SwarmdApp(daemon.client, clock=lambda: now[0])
    async with app.run_test(size=(80, 40)) as pilot:
        await opened(detail.WEB, seen="changed")(pilot)
        before = shown(app)
        now[0] += timedelta(hours=5)
        assert isinstance(app.view, InstanceView)
        app.view.tick()
        assert "up 7h" in shown(app)
        assert shown(app) != before


@pytest.mark.anyio
async def test_it_follows_events_a_few_times_a_second(app: SwarmdApp, daemon: FakeDaemon) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        await opened(detail.WEB, seen="up 2h")(pilot)
        before = len(daemon.requests(GetInstance))
        stopped = replace(detail.WEB, status=InstanceStatus.STOPPED, started_at=None)
        for _ in range(50):
            daemon.put(stopped, type=EventType.INSTANCE_STATUS_CHANGED)
        await until(pilot, lambda: "stopped" in shown(app), lambda: shown(app))
        assert len(daemon.requests(GetInstance)) - before <= 3
        # What is not shown is not asked for.
        assert daemon.requests(WhyInstance) == []
        other = replace(detail.DOCS, status=InstanceStatus.STOPPED)
        asked = len(daemon.requests(HealthInstance))
        daemon.put(other, type=EventType.INSTANCE_STATUS_CHANGED)
        await until(pilot, lambda: app.snapshot.seq == daemon.seq, lambda: app.snapshot.seq)
        assert len(daemon.requests(HealthInstance)) == asked


@pytest.mark.anyio
async def test_what_runs_is_shown_and_cancelled(app: SwarmdApp, daemon: FakeDaemon) -> None:
    agent = scene.a_class()[5]
    daemon.answers[CancelOperation] = lambda request: daemon.operations[request.id]
    async with app.run_test() as pilot:
        await online(pilot)
        await opened(agent, seen="waiting until it answers")(pilot)
        daemon.emit(
            type=EventType.OPERATION_PROGRESS, target=agent.id, operation=f"01m{3:023d}",
            data={"message": "it answers soon", "fraction": 0.9, "kind": OperationKind.START},
        )  # fmt: skip
        await until(pilot, lambda: "it answers soon" in shown(app), lambda: shown(app))
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
        await pilot.press("y")
        await until(pilot, lambda: daemon.requests(CancelOperation), lambda: daemon.asked[-3:])
        assert daemon.requests(CancelOperation)[0].id == f"01m{3:023d}"


@pytest.mark.anyio
async def test_what_cannot_be_read_says_so_and_stays(app: SwarmdApp, daemon: FakeDaemon) -> None:
    def gone(_request: object) -> object:
        return InstanceNotFound("there is no such instance")

    async with app.run_test() as pilot:
        await online(pilot)
        await opened(detail.WEB, seen="golang.go")(pilot)
        daemon.answers[GetInstance] = gone
        await pilot.press("a")
        notice = app.screen.query_one("#notice")
        await until(pilot, lambda: notice.has_class("-shown"), lambda: notice)
        assert "golang.go" in shown(app)
        daemon.instances.pop(detail.WEB.id)
        daemon.emit(type=EventType.INSTANCE_DELETED, target=detail.WEB.id)
        head = app.screen.query_one("#head")
        await until(pilot, lambda: "gone" in str(head.render()), head.render)


class Log:
    """A log that a test writes while it is followed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.news: list[asyncio.Queue[str | Exception]] = []

    def write(self, *lines: str) -> None:
        self.lines += lines
        for queue in self.news:
            for text in lines:
                queue.put_nowait(text)

    def end(self, error: Exception) -> None:
        for queue in self.news:
            queue.put_nowait(error)
        self.news.clear()

    async def stream(self, request: LogsInstance) -> AsyncIterator[Chunk]:
        queue: asyncio.Queue[str | Exception] = asyncio.Queue()
        for known in self.lines[-(request.tail or 0) :]:
            queue.put_nowait(known)
        self.news.append(queue)
        while not isinstance(text := await queue.get(), Exception):
            yield Chunk(stream="s1", seq=0, data=f"{text}\n")
        raise text


@pytest.mark.anyio
async def test_the_log_is_closed_when_one_leaves_and_goes_on_without_a_gap(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    log = Log()
    daemon.streams[LogsInstance] = log.stream
    log.write(*(f"line {n}" for n in range(300)))
    async with app.run_test() as pilot:
        await online(pilot)
        await opened(detail.WEB, "L", seen="line 299")(pilot)
        assert "line 99\n" not in shown(app)
        await pilot.press("O")
        await until(pilot, lambda: daemon.opened[0].closed, lambda: daemon.opened)
        log.write(*(f"line {n}" for n in range(300, 320)))
        await pilot.press("L")
        await until(pilot, lambda: "line 319" in shown(app), lambda: shown(app)[-200:])
        log.end(Unavailable("the stream was not read while 4194304 bytes of it came"))
        log.write("line 320")
        await until(pilot, lambda: "line 320" in shown(app), lambda: shown(app)[-200:])
        log.end(Unavailable("the connection was lost"))
        daemon.die()
        await until(pilot, lambda: not app.snapshot.link.online, lambda: app.snapshot.link)
        log.write("line 321", "line 322")
        daemon.live()
        app.link.retry()
        await until(pilot, lambda: "line 322" in shown(app), lambda: shown(app)[-200:])
        assert shown(app).splitlines() == [f"line {n}" for n in range(100, 323)]


@pytest.mark.anyio
async def test_a_log_that_one_is_back_at_before_its_stream_is_closed_goes_on(
    app: SwarmdApp, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, closed = Log(), asyncio.Event()
    daemon.streams[LogsInstance] = log.stream
    log.write("before")
    monkeypatch.setattr(FakeStream, "close", lambda _: closed.wait())
    async with app.run_test() as pilot:
        await online(pilot)
        await opened(detail.WEB, "L", seen="before")(pilot)
        await pilot.press("O", "L")
        try:
            await until(pilot, lambda: len(daemon.opened) == 2, lambda: daemon.opened)
        finally:
            closed.set()
        await until(pilot, lambda: len(log.news) == 2, lambda: log.news)
        log.write("after")
        await until(pilot, lambda: "after" in shown(app), lambda: shown(app)[-200:])
        state = app.screen.query_one("#log-state")
        assert "live" in str(state.render())


@pytest.mark.anyio
async def test_a_paused_log_stands_still_and_loses_nothing(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    log = Log()
    daemon.streams[LogsInstance] = log.stream
    log.write("one", "two " * 60)
    async with app.run_test(size=(80, 24)) as pilot:
        await online(pilot)
        await opened(detail.WEB, "L", seen="two")(pilot)
        pane = app.screen.query_one(LogPane)
        rows = pane.virtual_size.height
        await pilot.press("p")
        log.write("three")
        await until(pilot, lambda: pane.waiting == 1, lambda: pane.waiting)
        assert pane.virtual_size.height == rows == 5
        await pilot.press("p")
        assert pane.virtual_size.height == rows + 1
        await pilot.press("w")
        assert pane.virtual_size.height == 3


@pytest.mark.anyio
async def test_straight_to_the_log_and_by_mouse_to_another_part(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", "G", "l")
        await until(pilot, lambda: "request 39" in shown(app), lambda: shown(app))
        pane = app.screen.query_one(LogPane)
        await pilot.press("slash", *"quest", "space", "2", "enter", "n")
        assert pane.sought == "quest 2"
        await pilot.press("escape")
        assert (pane.sought, isinstance(app.view, InstanceView)) == ("", True)
        await pilot.click("#tabs", offset=(14, 0))
        await until(pilot, lambda: "[resources]" in shown(app), lambda: shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.view, InstanceView), lambda: app.view)


@pytest.mark.anyio
async def test_all_of_a_long_line_is_seen(app: SwarmdApp, daemon: FakeDaemon) -> None:
    log = Log()
    daemon.streams[LogsInstance] = log.stream
    text = "".join(f"{n:04d}" for n in range(100))
    log.write(*["short"] * 40, text)
    async with app.run_test(size=(80, 24)) as pilot:
        await online(pilot)
        await opened(detail.WEB, "L", seen=text)(pilot)
        pane = app.screen.query_one(LogPane)
        await until(pilot, lambda: pane.is_vertical_scroll_end, lambda: pane.scroll_offset)
        await pilot.pause()
        rows = [pane.render_line(y).text.strip() for y in range(pane.size.height)]
        assert "".join(rows).endswith(text)


def test_keys_are_told_once() -> None:
    """No key of the view means two things."""
    keys = [key for each in InstanceView.BINDINGS for key in each.key.split(",")]  # type: ignore[union-attr]
    assert len(keys) == len(set(keys))
