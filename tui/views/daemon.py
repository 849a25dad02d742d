"""The daemon itself: its state, its actors, its store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from swarmd.errors import SwarmError
from swarmd.messages.replies import ActorInfo, Finding
from swarmd.messages.requests import (
    DaemonActors,
    DaemonDoctor,
    DaemonReload,
    DaemonShutdown,
    Request,
)
from tui.model.inside import about, disks_of, findings, reloaded
from tui.model.snapshot import Changed, Snapshot
from tui.model.text import Line
from tui.model.words import span, told
from tui.navigation import Place
from tui.screens.details import Details
from tui.views.view import View
from tui.widgets.columns import Cell, Column
from tui.widgets.pane import Pane
from tui.widgets.table import Table

_STOPS = "Nobody can reach or watch instances until it is started again. They keep running."
_TONES = {"running": "good", "failed": "bad", "hung": "bad", "gone": "dim"}


class DaemonView(View):
    """See the module's docstring."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "doctor", "Doctor", id="daemon.doctor",
                tooltip="Look for strays, files in quarantine, full disks."),
        Binding("L", "reload", "Reload", id="daemon.reload",
                tooltip="Read the configuration again."),
        Binding("X", "shutdown", "Shut down", id="daemon.shutdown",
                tooltip="Stop the daemon; instances keep running."),
    ]  # fmt: skip
    DEFAULT_CSS = """
    DaemonView Pane { height: auto; max-height: 60%; padding: 0 1 1 1; }
    DaemonView Table { height: 1fr; }
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._disks: tuple[Finding, ...] = ()
        self.pane = Pane()
        self.table: Table[ActorInfo] = Table(
            _COLUMNS, empty="The daemon tells of its actors once it answers.", marks=False
        )

    def compose(self) -> ComposeResult:
        """What it is, above its actors."""
        yield self.pane
        yield self.table

    def focus_first(self) -> None:
        """Its actors."""
        self.table.focus()

    def show(self, snapshot: Snapshot, changed: Changed) -> None:
        """Its state; its actors when it is read anew."""
        if changed.everything or changed.status or changed.link:
            self._draw()
        if changed.everything and snapshot.link.online:
            self._ask_actors()
        if (changed.everything or changed.alerts) and snapshot.link.online:
            self._ask_disks()

    def on_resize(self) -> None:
        """Other widths take other heights."""
        self._draw()

    def _draw(self) -> None:
        self.pane.show(self._about)
        width = max(20, self.size.width - 3)
        self.pane.styles.height = len(list(self._about(width, 0))) + 1

    def _about(self, width: int, _height: int) -> Iterable[Line]:
        snapshot = self.snapshot
        where = self.swarmd.link.socket
        return about(
            snapshot.status, snapshot.link, where, self._disks, now=self.now(), width=width
        )

    def tick(self) -> None:
        """Mailboxes fill and empty without an event: they are asked for while one looks."""
        self._draw()
        if self.snapshot.link.online:
            self._ask_status()
            self._ask_actors()

    @work(exclusive=True, group="status", exit_on_error=False)
    async def _ask_status(self) -> None:
        with suppress(SwarmError):  # the line at the top says what is the matter
            await self.swarmd.link.renew_status()

    @work(exclusive=True, group="actors", exit_on_error=False)
    async def _ask_actors(self) -> None:
        try:
            found = await self.swarmd.link.ask(DaemonActors())
        except SwarmError:
            return  # the line at the top says what is the matter; what is shown stays
        self.table.show({each.name: each for each in found.items})

    @work(exclusive=True, group="disks", exit_on_error=False)
    async def _ask_disks(self) -> None:
        """The doctor knows, and asks no provider for it."""
        try:
            found = await self.swarmd.link.ask(DaemonDoctor())
        except SwarmError:
            return
        self._disks = disks_of(found)
        self._draw()

    # --- doing -------------------------------------------------------------------------------

    def action_doctor(self) -> None:
        """What the doctor finds."""
        self._look(DaemonDoctor(), "What the doctor found", findings)

    def action_reload(self) -> None:
        """Read the configuration again, and tell what changed."""
        if (refused := self.swarmd.refusal()) is not None:
            self.notify(refused, severity="warning")
            return
        self._look(DaemonReload(), "The configuration was read again", reloaded)

    @work(exclusive=True, group="look", exit_on_error=False)
    async def _look(
        self, request: Request, title: str, lines: Callable[[Any, int], Iterable[Line]]
    ) -> None:
        try:
            found = await self.swarmd.link.ask(request)
        except SwarmError as error:
            self.notify(told(error), severity="error", markup=False)
            return
        self.app.push_screen(Details(title, lambda width, _height: lines(found, width)))

    def action_shutdown(self) -> None:
        """Stop it, after one question."""
        self.swarmd.change(
            [(DaemonShutdown(), "the daemon")], "shutting down", verb="Shut down", loses=_STOPS
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What cannot be done now is grey in the footer."""
        if action in ("reload", "shutdown") and self.swarmd.refusal() is not None:
            return None
        return super().check_action(action, parameters)


def _ago(seconds: float | None) -> str:
    return "-" if seconds is None else f"{span(seconds)} ago"


_COLUMNS: Sequence[Column[ActorInfo]] = (
    Column("name", "ACTOR", 18, lambda a: a.name, order=lambda a: a.name, grow=1),
    Column("state", "STATE", 8, lambda a: Cell(a.state, _TONES.get(a.state, "busy")),
           order=lambda a: a.state),
    Column("mailbox", "MAILBOX", 7,
           lambda a: Cell(str(a.mailbox), "warn" if a.mailbox > 100 else ""),
           order=lambda a: -a.mailbox, right=True),
    Column("restarts", "RESTARTS", 8,
           lambda a: Cell(str(a.restarts), "warn" if a.restarts else ""),
           order=lambda a: -a.restarts, right=True),
    Column("answered", "ANSWERED", 9, lambda a: _ago(a.last_pong_seconds), right=True),
    Column("failure", "LAST FAILURE", 12, lambda a: a.last_failure or "-", grow=3),
)  # fmt: skip
