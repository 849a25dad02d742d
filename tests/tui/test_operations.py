"""Operations, as they look and as they are driven."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.messages.enums import OperationKind, OperationState, Origin
from swarmd.messages.instance import Failure
from swarmd.messages.operation import Progress
from swarmd.messages.requests import CancelOperation
from tests.tui import scene
from tests.tui.driving import after, online, press, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.model.doing import doing, progressing, urgency
from tui.model.fold import OPERATIONS_KEPT
from tui.navigation import Place
from tui.screens.confirm import Confirm
from tui.views.operations import OperationsView

WEB, DOCS, LAB, *_ = scene.a_class()
PULLING = scene.operation(
    1,
    OperationKind.CREATE,
    WEB,
    progress=Progress(message="pulling the image", fraction=0.4),
    started_at=scene.ago(42),
)
STUCK = scene.operation(
    2, OperationKind.START, DOCS, started_at=scene.ago(900), created_at=scene.ago(901)
)
FAILED = scene.operation(
    3,
    OperationKind.STOP,
    LAB,
    state=OperationState.FAILED,
    started_at=scene.ago(100),
    ended_at=scene.ago(90),
    error=Failure(type="provider_error", message="box1 did not answer"),
)
DONE = scene.operation(
    4,
    OperationKind.RESTART,
    WEB,
    state=OperationState.SUCCEEDED,
    origin=Origin.RECOVERY,
    started_at=scene.ago(50),
    ended_at=scene.ago(47),
    reason="it had ended by itself",
)
ALL = (DONE, FAILED, PULLING, STUCK)


@pytest.fixture
def daemon() -> FakeDaemon:
    return FakeDaemon(
        instances=scene.a_class(), providers=(scene.provider("local"),), operations=ALL
    )


def test_under_way_first(snap_compare: Any, app: SwarmdApp, size: tuple[int, int]) -> None:
    """Bars, then what ended last; what does not end has another colour."""
    assert snap_compare(app, terminal_size=size, run_before=after(press("4")))


@pytest.mark.anyio
async def test_cancel_asks_once(app: SwarmdApp, daemon: FakeDaemon) -> None:
    daemon.answers[CancelOperation] = lambda request: daemon.operations[request.id]
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("4", "space", "space", "x")
        await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
        await pilot.press("y")
        await until(pilot, lambda: len(daemon.requests(CancelOperation)) == 2, lambda: daemon.asked)
        assert {each.id for each in daemon.requests(CancelOperation)} == {PULLING.id, STUCK.id}
        await pilot.press("escape", "G", "x")
        await pilot.pause()
        assert not isinstance(app.screen, Confirm)  # what has ended is not cancelled


@pytest.mark.anyio
async def test_progress_moves_and_enter_goes_to_the_instance(
    app: SwarmdApp, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    went: list[Place] = []
    monkeypatch.setattr(app, "go", went.append)
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("4")
        view = app.view
        assert isinstance(view, OperationsView)
        assert list(view.table.keys) == [STUCK.id, PULLING.id, DONE.id, FAILED.id]
        daemon.emit(
            type="operation_progress",
            operation=PULLING.id,
            target=WEB.id,
            data={"message": "starting", "fraction": 0.9},
        )
        await until(
            pilot,
            lambda: app.snapshot.operations[PULLING.id].progress.fraction == 0.9,
            lambda: app.snapshot.operations[PULLING.id],
        )
        await pilot.press("enter")
        await until(pilot, lambda: went, lambda: went)
        assert went[0] == Place("instance", DOCS.id, DOCS.ref)


def test_the_words() -> None:
    assert [progressing(each) for each in ALL] == [
        "it had ended by itself",
        "box1 did not answer",
        "████▊·······  40% pulling the image",
        "running",
    ]
    assert doing(PULLING) == "pulling the image"
    waits = scene.operation(5, OperationKind.START, LAB, state=OperationState.PENDING)
    assert progressing(waits) == "waits for its turn"
    asked = replace(waits, cancel_requested=True)
    assert progressing(asked) == "is being cancelled: waits for its turn"
    assert sorted(ALL, key=urgency) == [STUCK, PULLING, DONE, FAILED]


@pytest.mark.anyio
async def test_the_oldest_are_forgotten_while_one_looks_at_them(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    """More are forgotten by one event than it tells of: none of them is drawn any more."""
    ended = [
        scene.operation(number, OperationKind.START, DOCS, state=OperationState.SUCCEEDED)
        for number in range(100, 100 + 2 * OPERATIONS_KEPT)
    ]
    async with app.run_test() as pilot:
        await online(pilot)
        known = dict(app.snapshot.operations) | {each.id: each for each in ended}
        app.link.snapshot = dataclasses.replace(app.snapshot, operations=known)
        await pilot.press("4", "G")
        view = app.view
        assert isinstance(view, OperationsView)
        data = {"message": "starting", "fraction": 0.9}
        daemon.emit(type="operation_progress", operation=PULLING.id, target=WEB.id, data=data)
        await until(
            pilot,
            lambda: len(app.snapshot.operations) <= OPERATIONS_KEPT + 2,
            lambda: len(app.snapshot.operations),
        )
        view.tick()
        await pilot.pause()
        assert set(view.table.keys) == app.snapshot.operations.keys()
