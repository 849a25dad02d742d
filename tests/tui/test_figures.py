"""Figures of instances: of a few, of very many, and of one provider's."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.messages.enums import EventType
from swarmd.messages.instance import InstanceConfig, InstanceStats, Resources
from swarmd.messages.replies import InstancePage, StatsList
from swarmd.messages.requests import ListInstances, Request, StatsInstance
from tests.tui import scene
from tests.tui.driving import online, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.model.capacity import Asked
from tui.views import figures as figures_module
from tui.views import instance_table
from tui.views.figures import Figures
from tui.views.instance_columns import chosen, columns
from tui.views.instances import InstancesView
from tui.views.provider import ProviderView

IDS = [f"01k{number:023d}" for number in range(1, 8)]


class Told:
    """A daemon of seven: the cores that each uses are its number, its idle time as many minutes."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    async def ask(self, request: Request) -> Any:
        self.asked.append(request)
        if isinstance(request, StatsInstance):
            assert request.measured
            ids = request.id or IDS
            return StatsList(
                items=tuple(
                    InstanceStats(id=each, taken_at=scene.NOW, cpu_cores=float(each[3:]))
                    for each in ids
                )
            )
        assert isinstance(request, ListInstances)
        ids = list(request.id) or IDS
        start = int(request.cursor or 0)
        some = ids[start : start + request.limit]
        items = tuple({"id": each, "idle": _used(each)} for each in some)
        more = start + request.limit < len(ids)
        return InstancePage(
            items=items, total=len(ids), next_cursor=str(start + request.limit) if more else None
        )


def _used(instance_id: str) -> dict[str, str]:
    last = scene.ago(60 * int(instance_id[3:]))
    return {"last_used": last.isoformat(), "used_by": "a browser"}


@pytest.mark.anyio
async def test_what_was_known_stays_known() -> None:
    told, known = Told(), Figures()
    await known.ask(told.ask, tuple(IDS[:2]))
    await known.ask(told.ask, tuple(IDS[2:3]))
    assert [known.of(each).cores for each in IDS[:4]] == [1.0, 2.0, 3.0, None]
    assert known.unknown(IDS) == tuple(IDS[3:])
    before = len(told.asked)
    await known.ask(told.ask, ())
    assert len(told.asked) == before, "no id at all would have asked for all of them"


@pytest.mark.anyio
async def test_all_of_very_many_are_asked_for_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures_module, "MANY", 3)
    told, known = Told(), Figures()
    await known.ask_all(told.ask, IDS, "cpu")
    assert [known.of(each).cores for each in IDS] == [float(n) for n in range(1, 8)]
    assert [len(each.id) for each in told.asked if isinstance(each, StatsInstance)] == [3, 3, 1]
    await known.ask_all(told.ask, IDS, "idle")
    assert [known.of(each).last_used for each in IDS] == [scene.ago(60 * n) for n in range(1, 8)]
    assert known.of(IDS[6]).cores == 7.0, "when it was used says nothing of what it uses"


def test_columns_that_were_asked_for_are_never_left_out() -> None:
    """A narrow terminal hides the URL, unless the settings name it."""
    known = columns(scene.clock, Figures().of)
    assert [each.least for each in known if each.name == "url"] == [110]
    found, unknown = chosen(known, ["name", "url"])
    assert [(each.name, each.least) for each in found] == [("name", 0), ("url", 0)]
    assert unknown == ()


@pytest.mark.anyio
async def test_of_very_many_those_that_are_seen_or_sorted_by(
    app: SwarmdApp, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (figures_module, instance_table):
        monkeypatch.setattr(module, "MANY", 3)
    async with app.run_test(size=(140, 6)) as pilot:
        await online(pilot)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.view, InstancesView), lambda: app.view)
        view = app.view
        assert isinstance(view, InstancesView)
        table, known = view.table, view.figures
        await until(pilot, lambda: not known.unknown(table.seen), lambda: daemon.asked)
        assert known.unknown(list(table.keys)), "the others are not seen"
        await pilot.press("G")
        await until(pilot, lambda: not known.unknown(table.seen), lambda: daemon.asked)
        before = len(daemon.asked)
        view.filter("nothing at all")
        view.tick()
        view.filter("")
        await pilot.pause()
        assert all(each.id for each in daemon.asked[before:] if isinstance(each, StatsInstance))
        table.sort("cpu")
        names = ["homework", "docs", "web"]
        rows = app.snapshot.instances
        await until(
            pilot,
            lambda: [rows[key].name for key in table.keys][:3] == names,
            lambda: [(rows[key].name, known.of(key)) for key in table.keys],
        )


def resourceful(name: str, number: int, cpu: float) -> Any:
    config = InstanceConfig(name=name, resources=Resources(cpu=cpu))
    return scene.instance(name, number=number, config=config)


@pytest.mark.anyio
async def test_one_provider_has_figures_and_what_is_asked_of_it_is_kept_up(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    daemon.providers = {"local": scene.provider("local")}
    daemon.instances = {each.id: each for each in (resourceful("web", 1, 2.0),)}
    async with app.run_test(size=(120, 40)) as pilot:
        await online(pilot)
        await pilot.press("3", "enter")
        await until(pilot, lambda: isinstance(app.view, ProviderView), lambda: app.view)
        view = app.view
        assert isinstance(view, ProviderView)
        (key,) = view.table.keys
        await until(pilot, lambda: view.figures.of(key).cores is not None, lambda: daemon.asked)
        cpu = next(column for column, _ in view.table._shown() if column.name == "cpu")
        assert cpu.cell(app.snapshot.instances[key]) == "10%"
        await until(pilot, lambda: view._asked == Asked(cores=2.0), lambda: view._asked)
        daemon.put(resourceful("more", 2, 3.0), type=EventType.INSTANCE_CREATED)
        await until(pilot, lambda: len(view.table.keys) == 2, lambda: view.table.keys)
        view.tick()
        await until(pilot, lambda: view._asked == Asked(cores=5.0), lambda: view._asked)
        await pilot.press("space")
        assert view.table.marked == set(), "its keys are the provider's: nothing could be done"
