"""What comes from outside steers no terminal, wherever it is shown."""

from __future__ import annotations

from typing import Any

import pytest
from rich.segment import Segment
from textual.color import Color
from textual.pilot import Pilot

from swarmd.errors import Unavailable
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Failure, replace
from swarmd.messages.requests import DeleteInstance, GetInstance
from tests.tui import detail
from tests.tui.driving import online, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.harmless import Uncontrolled
from tui.model.words import told
from tui.screens.confirm import Confirm
from tui.views.instance import InstanceView
from tui.widgets.rich_text import rich

EVIL = "\x1b[2J\x1b]52;c;cm0gLXJmIH4=\x07\x9b31m\x00"
"""Clears the screen, fills the clipboard, and makes what follows red."""

NAME = f"ev{EVIL}il"


def test_what_went_wrong_is_told_in_words_alone() -> None:
    error = Unavailable(f"it{EVIL} broke", next_step=f"Mend{EVIL} it.")
    assert told(Unavailable("it broke")) == "it broke"
    assert told(error, ". ").replace("�", "").replace("31m", "") == "it broke. Mend it."
    assert told(error).count("\n") == 1


def test_tones_are_of_words_alone(app: SwarmdApp) -> None:
    assert not controls(rich(app, [((f"a{EVIL}\nb", "bad"),)]).plain)


def test_what_was_not_cleaned_is_not_drawn() -> None:
    evil = [Segment("fine "), Segment(NAME)]
    drawn = Uncontrolled().apply(evil, Color.parse("black"))
    assert not controls("".join(each.text for each in drawn))
    assert [each.cell_length for each in drawn] == [each.cell_length for each in evil]


def controls(text: str) -> list[str]:
    """Those in it, but for the ends of lines."""
    return [each for each in text if (ord(each) < 32 and each != "\n") or 127 <= ord(each) < 160]


def drawn(app: SwarmdApp) -> str:
    """What the terminal gets to show."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def harmless(pilot: Pilot[Any], shown: str) -> None:
    """This is shown, and nothing that steers a terminal."""
    app = pilot.app
    assert isinstance(app, SwarmdApp)
    await until(pilot, lambda: shown in drawn(app), lambda: drawn(app))
    assert not controls(drawn(app))


@pytest.mark.anyio
async def test_a_name_and_a_message_that_steer_a_terminal(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    failure = Failure(type="provider_error", message=f"mess{EVIL}age", details={"next_step": EVIL})
    hostile = replace(
        detail.DOCS, name=NAME, status=InstanceStatus.ERROR, last_error=failure, owner=NAME
    )
    daemon.instances = {hostile.id: hostile}
    daemon.answers[GetInstance] = lambda _: Unavailable(f"not{EVIL} now", next_step=f"Wait{EVIL}.")
    daemon.answers[DeleteInstance] = lambda _: Unavailable(f"never{EVIL}", next_step=f"No{EVIL}.")
    async with app.run_test(size=(140, 40), notifications=True) as pilot:
        await online(pilot)
        await harmless(pilot, "is in error: mess")
        app.go(detail.at(hostile))
        await until(pilot, lambda: isinstance(app.view, InstanceView), lambda: app.view)
        await harmless(pilot, "not")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
        await harmless(pilot, "trash")
        await pilot.press("y")
        await harmless(pilot, "never")
        daemon.die(Unavailable(f"gone{EVIL}", next_step=f"Start{EVIL} it."))
        await harmless(pilot, "Gone")
