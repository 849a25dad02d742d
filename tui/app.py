"""The app: one frame, one path of views, one link to the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, ClassVar

from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Footer

from swarmd.errors import SwarmError
from swarmd.messages.requests import Request
from tui.actions import BY_NAME, Action
from tui.link import Client, DaemonLink
from tui.model.rows import Row
from tui.model.snapshot import EVERYTHING, Changed, Snapshot
from tui.navigation import Path, Place
from tui.screens.confirm import Confirm
from tui.views.table_of_views import HOME, VIEWS
from tui.views.view import View
from tui.widgets.frame import Banner, Prompt, TitleBar

_TICK_SECONDS = 5.0


class SwarmdApp(App[None]):
    """See the module's docstring.

    Args:
        connect: Makes a client.
        read_only: Whether everything that changes something is refused.
        rate: How often what happens is shown, times a second.
        clock: The time, UTC.
    """

    TITLE = "swarmd"
    CSS_PATH: ClassVar[str | PurePath] = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                view.key, f"view('{view.name}')", view.title, show=False, id=f"view.{view.name}"
            )
            for view in VIEWS
            if view.key
        ),
        Binding("slash", "prompt('/')", "Filter", key_display="/", id="app.filter"),
        Binding("colon", "prompt(':')", "Command", key_display=":", id="app.command"),
        Binding("escape,backspace", "back", "Back", show=False, id="app.back"),
        Binding("ctrl+r", "retry", "Try now", show=False, id="app.retry"),
        Binding("q", "quit", "Quit", id="app.quit"),
    ]

    def __init__(
        self,
        connect: Callable[[], Client],
        *,
        read_only: bool = False,
        rate: float = 10.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__()
        self.link = DaemonLink(connect, self._told, rate=rate)
        self.read_only = read_only
        self.now = clock
        self.path = Path((Place(HOME.name, title=HOME.title),))
        self._views: dict[str, View] = {}
        self._walking = asyncio.Lock()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """What the style sheet uses and not every theme names."""
        return {"dim": "#8a8a8a"}

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""
        return self.link.snapshot

    @property
    def view(self) -> View | None:
        """The view that is shown."""
        return self._views.get(self.path.here.key)

    # --- the frame ---------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """The frame around the views."""
        yield TitleBar()
        yield Banner()
        yield Container(id="body")
        yield Prompt()
        yield Footer(compact=True, show_command_palette=False)

    async def on_mount(self) -> None:
        """Begin."""
        await self._arrive()
        self._live()
        self.set_interval(_TICK_SECONDS, self._tick)

    @work(exclusive=True, group="link", exit_on_error=False)
    async def _live(self) -> None:
        await self.link.run()

    def _told(self, snapshot: Snapshot, changed: Changed) -> None:
        """The link has news; only the view that is shown looks at them."""
        if not self.is_running:
            return
        self._title()
        if changed.link or changed.everything:
            self.screen_stack[0].query_one(Banner).show(snapshot.link)
            self.refresh_bindings()
        if self.view is not None and self.view.ready and self.view.is_attached:
            self.view.show(snapshot, changed)

    def _title(self) -> None:
        title = self.screen_stack[0].query_one(TitleBar)
        title.show(self.path, self.snapshot, read_only=self.read_only)

    def on_resize(self) -> None:
        """The title is as wide as the terminal."""
        self.call_after_refresh(self._title)

    def _tick(self) -> None:
        if self.view is not None:
            self.view.tick()

    # --- going about -------------------------------------------------------------------------

    def go(self, place: Place) -> None:
        """One step deeper."""
        self._walk(self.path.into(place))

    def action_view(self, name: str) -> None:
        """Straight to a view."""
        found = next(view for view in VIEWS if view.name == name)
        self._walk(self.path.jump(Place(found.name, title=found.title)))

    async def action_back(self) -> None:
        """What is marked or filtered first; else one step up."""
        if self.view is not None and self.view.escape():
            return
        self._walk(self.path.back())

    def _walk(self, path: Path) -> None:
        self.path = path
        self.run_worker(self._arrive(), group="walk")

    async def _arrive(self) -> None:
        """Show the view of this place; those that are not on the path any more are let go.

        One after the other: cut off while a view comes or goes it would leave half of one.
        """
        async with self._walking:
            await self._show_here()

    async def _show_here(self) -> None:
        body, here = self.screen_stack[0].query_one("#body"), self.path.here
        kept = {place.key for place in self.path.places}
        for key in [key for key in self._views if key not in kept]:
            await self._views.pop(key).remove()
        new = here.key not in self._views
        if new:
            found = next(view for view in VIEWS if view.name == here.view)
            self._views[here.key] = found.make(here)
            await body.mount(self._views[here.key])
        for key, view in self._views.items():
            view.set_class(key == here.key, "-here")
        shown = self._views[here.key]
        if not new:
            shown.show(self.snapshot, EVERYTHING)
        shown.focus_first()
        self._title()
        self.refresh_bindings()

    # --- typing ------------------------------------------------------------------------------

    def action_prompt(self, kind: str) -> None:
        """Open the line in which one types."""
        if kind == "/" and (self.view is None or not self.view.FILTERS):
            self.notify("There is nothing to filter here.", severity="warning")
            return
        self.screen_stack[0].query_one(Prompt).open(kind)

    @on(Prompt.Typed)
    def _typed(self, event: Prompt.Typed) -> None:
        if event.kind == "/" and self.view is not None:
            self.view.filter(event.text)

    @on(Prompt.Entered)
    def _entered(self, event: Prompt.Entered) -> None:
        if self.view is None:
            return
        self.view.focus_first()
        if event.kind == "/" and event.text is None:
            self.view.filter("")

    def action_retry(self) -> None:
        """Connect now."""
        self.link.retry()

    # --- doing -------------------------------------------------------------------------------

    def refusal(self) -> str | None:
        """Why this cannot be done now, whatever it is; None: it can."""
        if self.read_only:
            return "This app was started with --read-only."
        if not self.snapshot.link.online:
            return "There is no connection to the daemon just now."
        return None

    def do(self, name: str, rows: Sequence[Row]) -> None:
        """Do something to these, after one question if something is lost by it."""
        action = BY_NAME[name]
        refused = self.refusal()
        possible = [row for row in rows if action.refuse(row) is None]
        if refused is not None or not possible:
            why = refused or next((action.refuse(row) for row in rows), None)
            self.notify(why or "Choose an instance first.", severity="warning")
            return
        loses = action.loses(possible)
        if not loses:
            self._carry_out(action, possible)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._carry_out(action, possible)

        names = [row.ref for row in possible]
        self.push_screen(Confirm(action.title, names, loses), answered)

    def change(
        self, requests: Sequence[tuple[Request, str]], done: str, *, verb: str = "", loses: str = ""
    ) -> None:
        """Have the daemon change what is no instance, after one question if something is lost.

        Args:
            requests: What is asked for, and what of.
            done: What has happened to it then: "cordoned".
            verb: What the question asks: "Drain".
            loses: What will be lost; empty: nothing is asked.
        """
        if (refused := self.refusal()) is not None or not requests:
            self.notify(refused or "Choose something first.", severity="warning")
            return

        def answered(yes: bool | None) -> None:
            for request, what in requests if yes else ():
                self._ask_for(request, f"{what}: {done}", what)

        if loses:
            self.push_screen(Confirm(verb, [what for _, what in requests], loses), answered)
        else:
            answered(True)

    def _carry_out(self, action: Action, rows: Iterable[Row]) -> None:
        for row in rows:
            self._ask_for(action.request(row), f"{row.ref}: {action.done}", row.ref)

    @work(group="do", exit_on_error=False)
    async def _ask_for(self, request: Request, done: str, what: str) -> Any:
        try:
            await self.link.ask(request)
        except SwarmError as error:
            step = f"\n{error.next_step}" if error.next_step else ""
            self.notify(f"{error.message}{step}", title=what, severity="error", markup=False)
        else:
            self.notify(done, markup=False, timeout=3)
