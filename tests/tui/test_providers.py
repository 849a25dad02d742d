"""Providers and one of them, as they look and as they are driven."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.messages.enums import BreakerState, InstanceStatus
from swarmd.messages.instance import InstanceConfig, Resources
from swarmd.messages.provider import BreakerInfo
from swarmd.messages.requests import (
    CordonProvider,
    DisableProvider,
    DrainProvider,
    EnableProvider,
    ListProviders,
    Request,
)
from swarmd.messages.units import Size
from tests.tui import scene
from tests.tui.driving import after, online, press, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.model.bars import bar
from tui.model.capacity import Asked, asked_of, details, room, state_of
from tui.model.rows import FIELDS, row_of
from tui.model.snapshot import Snapshot
from tui.model.text import plain
from tui.navigation import Place
from tui.screens.confirm import Confirm
from tui.views.provider import ProviderView
from tui.views.providers import ProvidersView, losses


def asked(name: str, number: int, cpu: float, memory: int, **facts: Any) -> Any:
    config = InstanceConfig(name=name, resources=Resources(cpu=cpu, memory=Size(memory)))
    return scene.instance(name, number=number, config=config, **facts)


@pytest.fixture
def daemon() -> FakeDaemon:
    """Four providers: well, nearly full, cordoned, down."""
    return FakeDaemon(
        instances=[
            asked("web", 1, 2.0, 4 << 30),
            asked("docs", 2, 1.0, 2 << 30),
            asked("lab", 3, 4.0, 28 << 30, provider="box1"),
        ],
        providers=(
            scene.provider("local", instances=2, labels={"disk": "ssd"}, region="eu-west"),
            scene.provider("box1", "docker", instances=9),
            scene.provider("box2", "docker", instances=0, cordoned=True),
            scene.provider("box3", "docker", instances=1, ok=False),
        ),
    )


def test_four_providers(snap_compare: Any, app: SwarmdApp, size: tuple[int, int]) -> None:
    """How full each is; colours tell how each is."""
    assert snap_compare(app, terminal_size=size, run_before=after(press("3")))


def test_one_provider(snap_compare: Any, app: SwarmdApp, size: tuple[int, int]) -> None:
    """What it can do, what is asked of it, what runs there."""
    steps = after(press("3"), press("G"), press("enter"))
    assert snap_compare(app, terminal_size=size, run_before=steps)


@pytest.mark.parametrize(
    ("key", "kind", "asks"),
    [
        ("e", EnableProvider, False),
        ("o", CordonProvider, False),
        ("X", DrainProvider, True),
        ("D", DisableProvider, True),
    ],
)
@pytest.mark.anyio
async def test_each_action_reaches_the_daemon(
    app: SwarmdApp, daemon: FakeDaemon, key: str, kind: type[Request], asks: bool
) -> None:
    daemon.answers[kind] = lambda _: None
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("3", "G", key)
        if asks:
            await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
            assert daemon.requests(kind) == []
            await pilot.press("y")
        await until(pilot, lambda: daemon.requests(kind), lambda: daemon.asked)
        (request,) = daemon.requests(kind)
        assert request.name == "local"
        assert getattr(request, "wait", False) is False


def test_what_is_lost_is_counted_by_what_runs() -> None:
    """A provider's own count has the trash in it, and is asked for again only now and then."""
    web = asked("web", 1, 1.0, 1 << 30, provider="box1")
    lab = asked("lab", 2, 1.0, 1 << 30, provider="box1")
    ended = asked("old", 3, 1.0, 1 << 30, provider="box1", status=InstanceStatus.STOPPED)
    items = [{name: getattr(row, name) for name in FIELDS} for row in (web, lab, ended)]
    rows = {row.id: row for row in map(row_of, items)}
    box, two = scene.provider("box1", instances=0), Snapshot(instances=rows)
    one = Snapshot(instances={web.id: rows[web.id], ended.id: rows[ended.id]})
    assert losses("drain", [box], one).startswith("One instance is stopped")
    assert losses("drain", [box], two).startswith("2 instances are stopped")
    full = scene.provider("box1", instances=2)
    assert losses("drain", [full], Snapshot()).startswith("What runs there is stopped")
    assert losses("disable", [full], two).startswith("2 instances keep running")
    assert losses("disable", [box], Snapshot()) == losses("cordon", [box], two) == ""


@pytest.mark.anyio
async def test_it_is_looked_at_again_while_it_is_shown(app: SwarmdApp, daemon: FakeDaemon) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("3")
        await until(pilot, lambda: isinstance(app.view, ProvidersView), lambda: app.view)
        before = len(daemon.requests(ListProviders))
        assert app.view is not None
        app.view.tick()
        await until(
            pilot, lambda: len(daemon.requests(ListProviders)) > before, lambda: daemon.asked
        )


@pytest.mark.anyio
async def test_marked_ones_in_the_detail_and_back(app: SwarmdApp, daemon: FakeDaemon) -> None:
    daemon.answers[CordonProvider] = lambda _: None
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("3", "space", "space", "o")
        await until(pilot, lambda: len(daemon.requests(CordonProvider)) == 2, lambda: daemon.asked)
        await pilot.press("escape", "home", "enter")
        await until(pilot, lambda: isinstance(app.view, ProviderView), lambda: app.view)
        await pilot.press("o")
        await until(pilot, lambda: len(daemon.requests(CordonProvider)) == 3, lambda: daemon.asked)
        assert daemon.requests(CordonProvider)[-1].name == "box1"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "····"),
        (5, 10, "██··"),
        (10, 10, "████"),
        (99, 10, "████"),
        (1, 10, "▍···"),
        (None, 10, "    "),
        (3, 0, "    "),
    ],
)
def test_bars(part: float | None, whole: float, text: str) -> None:
    assert bar(part, whole, 4) == text


def test_what_is_asked_of_each() -> None:
    items = [
        {"provider": "a", "config.resources": {"cpu": 1.5, "memory": "512m", "storage": "10g"}},
        {"provider": "a", "config.resources": {"cpu": None, "memory": 1 << 30}},
        {"provider": "b", "config.resources": {}},
    ]
    assert asked_of(items) == {
        "a": Asked(1.5, (512 << 20) + (1 << 30), 10 << 30),
        "b": Asked(),
    }


def test_words_of_a_provider() -> None:
    assert state_of(scene.provider("a")) == ("up", "good")
    assert state_of(scene.provider("a", ok=False)) == ("down", "bad")
    assert state_of(scene.provider("a", cordoned=True)) == ("cordoned", "warn")
    assert state_of(scene.provider("a", enabled=False, ok=False)) == ("disabled", "dim")
    broken = BreakerInfo(
        state=BreakerState.OPEN,
        failures=5,
        opened_at=scene.ago(90),
        retry_at=scene.ago(-12),
        last_error="connect: timed out",
    )
    info = scene.provider("a", breaker=broken)
    assert state_of(info) == ("open", "bad")
    text = "\n".join(plain(line) for line in details(info, Asked(), now=scene.NOW, width=80))
    assert "open, 5 failures, since 1m 30s; asked again in 12s" in text
    assert "connect: timed out" in text
    assert room(scene.provider("a", ok=False, instances=3), 10) == "3, limit unknown"
    info = scene.provider("a", options={"host": "h", "api_token": "s3cret"})
    text = "\n".join(plain(line) for line in details(info, Asked(), now=scene.NOW, width=80))
    assert "s3cret" not in text
    assert "cpu, memory, pids" in text
    assert "0 of" in text
    unheard = "\n".join(plain(line) for line in details(info, None, now=scene.NOW, width=80))
    assert "- of" in unheard


@pytest.mark.anyio
async def test_what_is_asked_of_them_is_a_dash_until_it_was_told(app: SwarmdApp) -> None:
    async with app.run_test():
        view, info = ProvidersView(Place("providers")), scene.provider("a")
        told = {column.name: column.cell(info) for column in view._columns()}
    assert (told["cores"], told["memory"]) == ("-", "-")
