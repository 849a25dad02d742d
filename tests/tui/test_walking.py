"""Going about faster than views come and go."""

from __future__ import annotations

import asyncio

import pytest

from swarmd.messages.enums import EventType
from tests.tui import scene
from tests.tui.driving import online, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.views.table_of_views import VIEWS


@pytest.mark.anyio
async def test_no_view_is_left_half_made(app: SwarmdApp, daemon: FakeDaemon) -> None:
    """Each of these is cut off by the next, and events come meanwhile."""
    names = [view.name for view in VIEWS if view.key]
    async with app.run_test() as pilot:
        await online(pilot)
        for turn in range(1, 25):
            app.action_view(names[turn * 3 % len(names)])
            daemon.put(scene.a_class()[0], type=EventType.INSTANCE_UPDATED)
            for _ in range(turn % 5):
                await asyncio.sleep(0)
        await until(
            pilot,
            lambda: app.view is not None and app.view.ready and app.snapshot.seq == daemon.seq,
            lambda: (app.view, app.snapshot.seq, daemon.seq),
        )
        assert len(app.query("#body > View")) <= 2
