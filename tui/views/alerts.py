"""Alerts: what goes on, what somebody has taken over, what ended lately."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from swarmd.errors import SwarmError
from swarmd.messages.alert import Alert
from swarmd.messages.enums import AlertState
from swarmd.messages.requests import AcknowledgeAlert, ListAlerts
from tui.model import alarms
from tui.model.snapshot import Changed, Snapshot
from tui.model.text import Line
from tui.model.words import told
from tui.navigation import Place
from tui.views.table_view import TableView
from tui.widgets.columns import Cell, Column
from tui.widgets.pane import Pane
from tui.widgets.rich_text import rich
from tui.widgets.table import Table

_RESOLVED = 200


class AlertsView(TableView):
    """See the module's docstring."""

    WHAT: ClassVar[str] = "alert"
    CHANGES: ClassVar[frozenset[str]] = frozenset({"acknowledge"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "acknowledge", "Acknowledge", id="alert.acknowledge",
                tooltip="Take it over, or those that are marked: nobody is told of it again."),
    ]  # fmt: skip
    DEFAULT_CSS = """
    AlertsView #counts { height: auto; padding: 0 1; }
    AlertsView Table { height: 3fr; }
    AlertsView Pane { height: 2fr; border-top: solid $primary; }
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._resolved: dict[str, Alert] | None = None
        self.pane = Pane()
        self.table: Table[Alert] = Table(
            self._columns(),
            fits=alarms.fits,
            sort="state",
        )

    def compose(self) -> ComposeResult:
        """The counts, the table, and the one under the cursor."""
        yield Static(id="counts")
        yield self.table
        yield self.pane

    def _columns(self) -> Sequence[Column[Alert]]:
        return (
            Column("state", "STATE", 12, lambda a: Cell(str(a.state), alarms.tone_of(a)),
                   order=alarms.urgency),
            Column("lasts", "FOR", 7, lambda a: alarms.lasts(a, self.now()), right=True),
            Column("about", "ABOUT", 14, lambda a: a.subject, order=lambda a: a.subject, grow=1),
            Column("what", "WHAT", 24, lambda a: a.message, grow=4),
            Column("severity", "SEVERITY", 8, lambda a: str(a.severity),
                   order=lambda a: str(a.severity), least=100),
            Column("by", "TAKEN BY", 10, lambda a: a.acknowledged_by or "-", least=100),
        )  # fmt: skip

    def show(self, snapshot: Snapshot, changed: Changed) -> None:
        """What goes on is told; what ended is asked for when something has changed."""
        if not (changed.everything or changed.alerts):
            self.explain()  # the link may be another one
            return
        self._draw()
        if snapshot.link.online and not snapshot.alerts_off:
            self._ask_resolved()

    def none(self) -> str:
        """That all is well, unless nobody looks."""
        if self.snapshot.alerts_off:
            return "Nobody looks for what is wrong: the line above says what switches that on."
        return "No alerts: nothing is wrong that the daemon looks for."

    def _known(self) -> dict[str, Alert]:
        return {**(self._resolved or {}), **self.snapshot.alerts}

    def _draw(self) -> None:
        known, off = self._known(), self.snapshot.alerts_off
        self.table.show(known)
        self.explain()
        past = self._resolved is not None
        line: Line = ((off, "warn"),) if off else ()
        if not off and self.snapshot.status is not None:
            line = alarms.counts(known, past=past)
        self.query_one("#counts", Static).update(rich(self.app, [line]))
        self.pane.show(self._details)

    @work(exclusive=True, group="resolved", exit_on_error=False)
    async def _ask_resolved(self) -> None:
        try:
            found = await self.swarmd.link.ask(
                ListAlerts(state=(AlertState.RESOLVED,), limit=_RESOLVED)
            )
        except SwarmError as error:
            self.notify(told(error), severity="warning", markup=False)
            return
        self._resolved = {each.id: each for each in found.items}
        self._draw()

    def _details(self, width: int, _height: int) -> Iterable[Line]:
        alert = self._known().get(self.table.key or "")
        return () if alert is None else alarms.details(alert, self.now(), width)

    @on(Table.Moved)
    def _moved(self) -> None:
        self.pane.show(self._details)

    def tick(self) -> None:
        """They go on."""
        self.table.tick()
        self.pane.show(self._details)

    def action_acknowledge(self) -> None:
        """The marked ones that nobody has taken over, or the one under the cursor."""
        known = self._known()
        chosen = [known[key] for key in self.table.chosen if key in known]
        active = [each for each in chosen if each.state is AlertState.ACTIVE]
        if chosen and not active:
            self.notify(f"It is {chosen[0].state} already.", severity="warning")
            return
        self.swarmd.change(
            [(AcknowledgeAlert(id=each.id), f"{each.type} {each.subject}") for each in active],
            "acknowledged",
        )

    @on(Table.Opened)
    def _open(self, event: Table.Opened) -> None:
        alert = self._known().get(event.key)
        if alert is None:
            return
        row = self.snapshot.instances.get(alert.target)
        if row is not None:
            self.swarmd.go(Place("instance", row.id, row.ref))
        elif alert.target in self.snapshot.providers:
            self.swarmd.go(Place("provider", alert.target, alert.target))
