"""Events as they come; and back through the journal, to the table as it was."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from swarmd.errors import SwarmError
from swarmd.messages.events import Event, PastRow
from swarmd.messages.requests import HistoryEvents
from tui.model import happenings
from tui.model.happenings import Entry, entries
from tui.model.reel import Reel
from tui.model.scrubbing import live_line, past_line
from tui.model.snapshot import Changed, Snapshot
from tui.model.text import Line
from tui.model.words import told
from tui.navigation import Place
from tui.rewinding import read_reel
from tui.screens.ask_moment import AskMoment
from tui.screens.details import Details
from tui.views.event_columns import EVENT_COLUMNS, PAST_COLUMNS
from tui.views.table_view import TableView
from tui.widgets.rich_text import rich
from tui.widgets.table import Table

_KEPT = 2000
_BEFORE = 500


class EventsView(TableView):
    """See the module's docstring."""

    WHAT: ClassVar[str] = "event"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "moment", "Back to…", id="events.moment",
                tooltip="Go to a moment of the past, and see the table as it was."),
        Binding("left", "step(-1)", "Back", key_display="←", priority=True, id="events.back",
                tooltip="One event back: the table as it was before."),
        Binding("right", "step(1)", "On", key_display="→", priority=True, id="events.on",
                tooltip="One event on."),
        Binding("home", "now", "Now", priority=True, id="events.now",
                tooltip="Back to what happens now."),
        Binding("y", "narrow('type')", "This type", show=False, id="events.type",
                tooltip="Only events of this type, or all again."),
        Binding("i", "narrow('target')", "This one", show=False, id="events.target",
                tooltip="Only events of this instance or provider, or all again."),
    ]  # fmt: skip
    DEFAULT_CSS = """
    EventsView #line { height: auto; padding: 0 1; }
    EventsView #past { display: none; border-top: solid $primary; }
    EventsView.-past #events { height: 2fr; }
    EventsView.-past #past { display: block; height: 3fr; }
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._live: tuple[Event, ...] = ()
        self._journal: str | None = None
        self._follows = True
        self._has_history = False
        self.new = 0
        self.reel: Reel | None = None
        self.table: Table[Entry] = Table(
            EVENT_COLUMNS, fits=happenings.fits, marks=False, id="events"
        )
        self.past: Table[PastRow] = Table(
            PAST_COLUMNS, sort="name", empty="There was no instance then.", marks=False, id="past"
        )

    def compose(self) -> ComposeResult:
        """What is shown, the events, and the table as it was."""
        yield Static(id="line")
        yield self.table
        yield self.past

    # --- as they come ------------------------------------------------------------------------

    def show(self, snapshot: Snapshot, changed: Changed) -> None:
        """What is new."""
        self.explain()
        if not (changed.everything or changed.events or changed.link):
            return
        if snapshot.journal != self._journal:
            self._journal, self._live = snapshot.journal, ()
        last = self._live[-1].seq if self._live else 0
        new = [event for event in snapshot.events if event.seq > last]
        self._live = (*self._live, *new)[-_KEPT:]
        self.new = 0 if self._is_followed else self.new + len(new)
        if self.reel is None and (new or changed.everything):
            self._list()
        if changed.everything and snapshot.link.online and not self._has_history:
            self._read_back()  # what happened before one came here, once
        self._say()

    def none(self) -> str:
        """What would be told here."""
        return "Nothing has happened yet. Press 2, then c to create an instance."

    def _list(self) -> None:
        """The list as it is now, at its end unless one has scrolled up."""
        follows = self._is_followed
        self.table.show(entries(self._live))
        if follows:
            self.table.action_edge(1)
            # Before it is laid out it cannot be scrolled so far.
            self.call_after_refresh(self.table.reveal)

    @property
    def _is_followed(self) -> bool:
        """Whether what comes is shown at once: neither keys nor the wheel have led away."""
        return self._follows and self.reel is None and self.table.shows_cursor

    @work(exclusive=True, group="history", exit_on_error=False)
    async def _read_back(self) -> None:
        seq = self.snapshot.seq
        try:
            page = await self.swarmd.link.ask(
                HistoryEvents(since=max(0, seq - _BEFORE), limit=_BEFORE)
            )
        except SwarmError as error:
            self._tell(error)
            return
        self._has_history = True
        known = {event.seq: event for event in (*page.items, *self._live)}
        self._live = tuple(known[seq] for seq in sorted(known))[-_KEPT:]
        if self.reel is None:
            self._list()
            self._say()

    def leave(self) -> None:
        """Whoever comes again wants what happens now."""

    def _tell(self, error: SwarmError) -> None:
        self.notify(told(error), severity="error", markup=False)

    def _say(self) -> None:
        line: Iterable[Line] = ()  # as long as nothing was told
        if self.reel is not None:
            line = past_line(self.reel, self.now(), self.new)
        elif self.snapshot.status is not None:
            online, narrowed = self.snapshot.link.online, self.table.filtered
            line = live_line(len(self._live), self.new, narrowed, online=online)
        self.query_one("#line", Static).update(rich(self.app, line))

    @on(Table.Moved, "#events")
    def _moved(self, event: Table.Moved) -> None:
        if event.key != self.table.key:
            return  # it has moved on since
        if self.reel is not None:
            entry = self._entry(event.key)
            found = self.reel.to(entry.seq) if entry is not None and entry.event else None
            if found is not None and found.at != self.reel.at:
                self._stand(found)
            return
        self._follows = event.key is None or event.key == self.table.keys[-1]
        if self._follows:
            self.new = 0
        self._say()

    def _entry(self, key: str | None) -> Entry | None:
        events = self._live if self.reel is None else self.reel.events
        found = next((each for each in events if str(each.seq) == key), None)
        return None if found is None else Entry(found.seq, found)

    # --- filters -----------------------------------------------------------------------------

    def filter(self, text: str) -> None:
        """By letters, ``type:``, ``target:`` and ``not:``."""
        super().filter(text)
        if self._follows and self.reel is None:
            self.table.action_edge(1)
        self._say()

    def action_narrow(self, by: str) -> None:
        """Only what is like the event under the cursor in this; again: everything."""
        words = self.table.filtered.split()
        rest = [word for word in words if not word.startswith(f"{by}:")]
        entry = self._entry(self.table.key)
        if rest == words and entry is not None and entry.event is not None:
            event = entry.event
            value = str(event.type) if by == "type" else (event.ref or event.target or "")
            rest = [*rest, f"{by}:{value}"] if value else rest
        here = self.table.key
        self.filter(" ".join(rest))
        if here is not None:
            self.table.choose(here)

    def escape(self) -> bool:
        """The past first, then the filter."""
        if self.reel is not None:
            self.action_now()
            return True
        return super().escape()

    # --- back --------------------------------------------------------------------------------

    def action_moment(self) -> None:
        """Ask for a moment, and go there."""

        def answered(moment: datetime | None) -> None:
            if moment is not None:
                self._go_back(time=moment)

        self.app.push_screen(AskMoment(self.now), answered)

    def action_step(self, by: int) -> None:
        """One event back or on; in the list of now, back to the event under the cursor."""
        reel = self.reel
        if reel is None:
            entry = self._entry(self.table.key)
            if entry is not None:
                self._go_back(seq=entry.seq)
            return
        if (found := reel.step(by)) is not None:
            self._stand(found)
        elif by > 0 and reel.is_last:
            self.action_now()
        elif by < 0 and reel.is_first:
            self.notify("Nothing older is kept.", timeout=3)
        else:
            self._go_back(seq=max(0, reel.seq + by))

    def action_now(self) -> None:
        """What happens now, at the end."""
        self.reel, self._follows, self.new = None, True, 0
        self.remove_class("-past")
        self._list()
        self._say()
        self.table.focus()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is a way to now only from the past, and on only there."""
        if action == "now" or (action == "step" and parameters == (1,)):
            return self.reel is not None
        return super().check_action(action, parameters)

    @work(exclusive=True, group="past", exit_on_error=False)
    async def _go_back(self, *, seq: int | None = None, time: datetime | None = None) -> None:
        try:
            reel = await read_reel(self.swarmd.link.ask, seq, time)
        except SwarmError as error:
            self._tell(error)
            return
        self.add_class("-past")
        self._stand(reel)
        self.refresh_bindings()

    def _stand(self, reel: Reel) -> None:
        """Show the table as it was there."""
        again = self.reel is None or self.reel.events is not reel.events
        self.reel = reel
        if again:
            self.table.show(entries(reel.events, gap_before=reel.oldest))
        self.table.choose(str(reel.seq))
        self.past.show(reel.moment.rows)
        self._say()

    # --- one of them -------------------------------------------------------------------------

    @on(Table.Opened, "#events")
    def _open(self, event: Table.Opened) -> None:
        entry = self._entry(event.key)
        if entry is None or entry.event is None:
            return
        told = entry.event
        row = self.snapshot.instances.get(told.target or "")
        place = Place("instance", row.id, row.ref) if row is not None else None

        def answered(to: Place | None) -> None:
            if to is not None:
                self.swarmd.go(to)

        layout = lambda width, _height: happenings.details(told, width)  # noqa: E731
        title = f"{told.type}  {told.ref or told.target or ''}"
        self.app.push_screen(Details(title, layout, place), answered)

    @on(Table.Opened, "#past")
    def _open_past(self, event: Table.Opened) -> None:
        row = self.snapshot.instances.get(event.key)
        if row is None:
            self.notify("It is not there any more.", timeout=3)
        else:
            self.swarmd.go(Place("instance", row.id, row.ref))

    def tick(self) -> None:
        """How long ago it was is different."""
        self._say()
