"""A fake daemon for every test of the app; the clock stands still."""

from __future__ import annotations

import time

import pytest

from tests.tui import scene
from tests.tui.driving import SIZES
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the terminal at hand is in a picture, and nothing moves."""
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Every picture is taken of both terminals."""
    found: tuple[int, int] = request.param
    return found


@pytest.fixture
def daemon() -> FakeDaemon:
    """Six instances at two providers."""
    return FakeDaemon(
        instances=scene.a_class(),
        providers=(scene.provider("local"), scene.provider("box1", "docker", instances=2)),
    )


@pytest.fixture
def app(daemon: FakeDaemon) -> SwarmdApp:
    """The app on it."""
    return SwarmdApp(daemon.client, clock=scene.clock)
