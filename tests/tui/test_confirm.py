"""The questions before something is lost: all have the width of the narrow terminal."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.messages.enums import OperationKind
from swarmd.messages.requests import PlacementProvider
from tests.tui import detail, scene
from tests.tui.driving import after, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.screens.confirm import Confirm
from tui.screens.form import Form


@pytest.fixture
def daemon(daemon: FakeDaemon) -> FakeDaemon:
    """One in which something is under way, and which knows where one would be made."""
    _, docs, lab, *_ = scene.a_class()
    for number, kind, each in ((1, OperationKind.START, docs), (2, OperationKind.STOP, lab)):
        operation = scene.operation(number, kind, each)
        daemon.operations[operation.id] = operation
    daemon.answers[PlacementProvider] = detail.busy(FakeDaemon()).answers[PlacementProvider]
    return daemon


@pytest.mark.parametrize(
    ("view", "keys"),
    [
        pytest.param("2", "space space d", id="delete"),
        pytest.param("2", "c x escape", id="discard"),
        pytest.param("3", "X", id="drain"),
        pytest.param("4", "space space x", id="cancel"),
        pytest.param("8", "X", id="shutdown"),
    ],
)
def test_a_question(snap_compare: Any, app: SwarmdApp, view: str, keys: str, size: Any) -> None:
    """What is about to be done, to whom, and what is lost by it; No has the focus."""

    async def asked(pilot: Any) -> None:
        await pilot.press(view)
        await until(pilot, lambda: app.view and app.view.ready, lambda: app.view)
        for key in keys.split():
            await pilot.press(key)
            if key == "c":
                await until(pilot, lambda: isinstance(app.screen, Form), lambda: app.screen)
                await pilot.pause()
        await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)

    assert snap_compare(app, terminal_size=size, run_before=after(asked))
