"""Driving the app in tests: wait for a fact, and say what was there instead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from textual.pilot import Pilot

from tui.app import SwarmdApp

LIMIT_SECONDS = 20.0
SIZES = ((80, 24), (140, 40))
"""The two terminals that every snapshot is taken of."""

_FOR_EVER = ("link", "log", "exec", "keep-")
"""How the groups of workers begin that follow something."""

Run = Callable[[Pilot[Any]], Coroutine[Any, Any, None]]


async def until(pilot: Pilot[Any], fact: Callable[[], object], saw: Callable[[], object]) -> None:
    """Let the app work until the fact holds.

    Args:
        pilot: Drives the app.
        fact: What is waited for.
        saw: What is told if it never comes.
    """
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not fact():
                await pilot.pause()
    except TimeoutError as error:
        raise AssertionError(f"it did not come to that; seen: {saw()}") from error


async def online(pilot: Pilot[Any]) -> SwarmdApp:
    """Until everything was read, and was drawn."""
    app = pilot.app
    assert isinstance(app, SwarmdApp)
    await until(pilot, lambda: app.snapshot.link.online, lambda: app.snapshot.link)
    await pilot.pause()
    return app


async def settled(pilot: Pilot[Any]) -> None:
    """Until everything that a view has asked for is there; what goes on for ever is not awaited."""

    def busy() -> list[str]:
        workers = [each for each in pilot.app.workers if not each.is_finished]
        return [each.group for each in workers if not each.group.startswith(_FOR_EVER)]

    await until(pilot, lambda: not busy(), busy)
    await pilot.pause()


def after(*steps: Callable[[Pilot[Any]], Awaitable[object]]) -> Run:
    """For ``snap_compare``: be online, then take these steps."""

    async def run(pilot: Pilot[Any]) -> None:
        await online(pilot)
        for step in steps:
            await step(pilot)
        await settled(pilot)

    return run


def press(*keys: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """A step: press these."""

    async def step(pilot: Pilot[Any]) -> None:
        for key in keys:
            await pilot.press(key)
            await _laid_out(pilot)

    return step


async def _laid_out(pilot: Pilot[Any]) -> None:
    """Until the view that a key has led to is there, in its size: the next key is for it."""
    app = pilot.app
    assert isinstance(app, SwarmdApp)

    def done() -> bool:
        view = app.view
        return view is not None and view.ready and view.region.width == app.size.width

    await until(pilot, done, lambda: (app.path, app.view, app.size))
