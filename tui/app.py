"""The app: one frame, one path of views, one link to the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePath
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.containers import Container
from textual.dom import DOMNode
from textual.theme import Theme
from textual.widgets import Footer

from swarmd.errors import SwarmError
from swarmd.messages.config import TuiConfig
from swarmd.messages.requests import Request
from tui import actions, command_line, tools
from tui.commands import Palette, commands_of
from tui.doing import each_of, summary
from tui.harmless import Harmless
from tui.link import Client, DaemonLink
from tui.model.rows import Row
from tui.model.snapshot import EVERYTHING, Changed, Snapshot
from tui.navigation import Path, Place
from tui.screens.confirm import Confirm
from tui.screens.help import Help
from tui.themes import DARK, THEMES
from tui.views.table_of_views import HOME, VIEWS
from tui.views.view import Left, View
from tui.widgets.frame import Banner, Prompt, TitleBar
from tui.widgets.table import Table

_TICK_SECONDS = 5.0


class SwarmdApp(Harmless):
    """See the module's docstring.

    Args:
        connect: Makes a client.
        settings: The section ``[tui]``.
        clock: The time, UTC.
        notice: What is to be told at the start, such as settings that could not be read.
        gone: Whether there is nobody to show anything to any more; asked now and then.
    """

    TITLE = "swarmd"
    CSS_PATH: ClassVar[str | PurePath] = "app.tcss"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {Palette}
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
        Binding("question_mark", "help", "Help", key_display="?", id="app.help"),
        Binding("q", "quit", "Quit", id="app.quit"),
    ]

    def __init__(
        self,
        connect: Callable[[], Client],
        settings: TuiConfig | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        notice: str = "",
        gone: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self._gone = gone
        self.settings = settings or TuiConfig()
        self.link = DaemonLink(connect, self._told, rate=self.settings.refresh)
        self.now = clock
        self._notice = notice
        self.path = Path((Place(HOME.name, title=HOME.title),))
        self.commands: list[str] = []
        """What was run in instances, oldest first."""
        self._views: dict[str, View] = {}
        self._left: dict[str, Left] = {}
        self._second: events.Key | None = None
        self._walking = asyncio.Lock()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """What the style sheet uses and not every theme names."""
        return {"dim": "#8a8a8a"}

    @property
    def read_only(self) -> bool:
        """Whether everything that changes something is refused."""
        return self.settings.read_only

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
        self._settle()
        await self._arrive()
        self._live()
        self.set_interval(_TICK_SECONDS, self._tick)
        self.theme_changed_signal.subscribe(self, self._recolour)

    def _settle(self) -> None:
        """Take the settings up; what is wrong in them is told, and the rest holds."""
        for theme in THEMES:
            self.register_theme(theme)
        if self.settings.theme in self.available_themes:
            self.theme = self.settings.theme
        else:
            self.theme = DARK
            known = ", ".join(sorted(self.available_themes))
            self.warn(f"tui.theme: there is no theme {self.settings.theme!r}. Known: {known}.")
        self.set_keymap(dict(self.settings.keymap))
        if self._notice:
            self.warn(self._notice)

    def _recolour(self, _theme: Theme) -> None:
        """What was drawn in the colours of the theme before is drawn anew."""
        self.retitle()
        if self.view is not None and self.view.ready:
            self._show(self.view, self.snapshot, EVERYTHING)

    def handle_bindings_clash(self, clashed_bindings: set[Binding], node: DOMNode) -> None:
        """A key of the settings takes one that is in use: both cannot have it."""
        taken = ", ".join(sorted(each.id or each.description for each in clashed_bindings))
        self.warn(f"tui.keymap: its keys were taken from {taken} of {node.css_identifier}.")

    # What the daemon refuses and a lost connection are handled there: what gets out is a fault of
    # the app, and better seen than a screen that stands still.
    @work(exclusive=True, group="link")
    async def _live(self) -> None:
        await self.link.run()

    def _told(self, snapshot: Snapshot, changed: Changed) -> None:
        """The link has news; only the view that is shown looks at them."""
        if not self.is_running:
            return
        self.retitle()
        if changed.link or changed.everything:
            self.screen_stack[0].query_one(Banner).show(snapshot.link)
            self.refresh_bindings()
        if self.view is not None and self.view.ready and self.view.is_attached:
            self._show(self.view, snapshot, changed)

    def _show(self, view: View, snapshot: Snapshot, changed: Changed) -> None:
        self._draw(partial(view.show, snapshot, changed))

    def _draw(self, draw: Callable[[], None]) -> None:
        """What a view cannot draw is a fault of its own: the link goes on, and that is told."""
        try:
            draw()
        except Exception as error:  # noqa: BLE001  # whatever it is: it must not end the link
            self.warn(
                f"This view cannot show what has come ({type(error).__name__}: {error}). The others"
                " work; go there and back, and report it."
            )

    @on(Table.Asked)
    @on(View.Narrowed)
    def retitle(self) -> None:
        """Where one is, how that is narrowed, and how the daemon does."""
        if not self.is_running:
            return  # it is on its way out, and the title may have gone before
        title, view = self.screen_stack[0].query_one(TitleBar), self.view
        narrowed = view.narrowed if view is not None and view.ready else ""
        title.show(self.path, self.snapshot, narrowed, read_only=self.read_only)

    def _tick(self) -> None:
        if self._gone():
            self.exit(return_code=1)
            return
        if self.view is not None and self.view.ready:
            self._draw(self.view.tick)

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
        self._set_out()

    @work(group="walk")
    async def _set_out(self) -> None:
        await self._arrive()

    async def _arrive(self) -> None:
        """Show the view of this place; those that are not on the path any more are let go.

        One after the other: cut off while a view comes or goes it would leave half of one.
        """
        async with self._walking:
            if self.is_running:
                await self._show_here()

    async def _show_here(self) -> None:
        body, here = self.screen_stack[0].query_one("#body"), self.path.here
        kept = {place.key for place in self.path.places}
        for key in [key for key in self._views if key not in kept]:
            gone = self._views.pop(key)
            if gone.ready and (left := gone.leave()) is not None:
                self._left[key] = left
            await gone.remove()
        new = here.key not in self._views
        if new:
            found = next(view for view in VIEWS if view.name == here.view)
            self._views[here.key] = found.make(here)
            self._views[here.key].found = self._left.get(here.key)
            await body.mount(self._views[here.key])
        for key, view in self._views.items():
            view.set_class(key == here.key, "-here")
        shown = self._views[here.key]
        if not new:
            shown.show(self.snapshot, EVERYTHING)
        # Only what the style sheet shows already can have the focus: that comes with a refresh.
        shown.take_focus()
        self.call_after_refresh(self._focus)
        self.retitle()
        self.refresh_bindings()

    def _focus(self) -> bool:
        """Where nothing has the focus, have the view that is shown take it; whether it is to."""
        if len(self.screen_stack) > 1 or self.focused is not None or self.view is None:
            return False
        self.view.take_focus()
        return True

    def on_key(self, event: events.Key) -> None:
        """A key that comes while a view is on its way is for that view: it is not lost.

        A key that is grey in the footer says why: Textual itself drops it without a word.
        """
        if event is not self._second and self._focus():
            event.stop()
            # The focus comes with one of the next messages, and the key after it; once.
            self._second = events.Key(event.key, event.character)
            self.call_after_refresh(self.post_message, self._second)
            return
        if (refused := self.refusal()) is not None:
            meant = self.screen.active_bindings.get(event.key)
            if meant is not None and not meant.enabled:
                self.warn(refused)

    # --- typing ------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The footer has no key for what a view cannot do."""
        if action == "prompt" and isinstance(self.focused, Prompt):
            return False  # these are letters there
        if action == "prompt" and parameters == ("/",):
            return self.view is not None and self.view.FILTERS
        return super().check_action(action, parameters)

    def action_prompt(self, kind: str) -> None:
        """Open the line in which one types."""
        known = command_line.known(self) if kind == ":" else ()
        text = self.view.filtered if kind == "/" and self.view is not None else ""
        self.screen_stack[0].query_one(Prompt).open(kind, known, text)

    def action_command_palette(self) -> None:
        """What one types in ends first: the palette is about the view."""
        if isinstance(self.focused, Prompt) and self.view is not None:
            self.view.take_focus()
        super().action_command_palette()

    @on(Prompt.Typed)
    def _typed(self, event: Prompt.Typed) -> None:
        if event.kind == "/" and self.view is not None:
            self.view.filter(event.text)
            self.retitle()

    @on(Prompt.Entered)
    def _entered(self, event: Prompt.Entered) -> None:
        if self.view is None:
            return
        self.view.take_focus()
        if event.kind == "/" and event.text is None:
            self.view.filter("")
            self.retitle()
        elif event.kind == ":" and event.text:
            # Only once the view has the focus again are its commands there.
            self.call_after_refresh(command_line.carry_out, self, event.text)

    def action_help(self) -> None:
        """Which keys there are."""
        commands = commands_of(self)
        self.push_screen(Help(commands, self.path.here.title or self.path.here.view))

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
        actions.do(self, name, rows)

    def change(
        self, requests: Sequence[tuple[Request, str]], done: str, *, verb: str = "", loses: str = ""
    ) -> None:
        """Have the daemon change something, after one question if something is lost by it.

        Args:
            requests: What is asked for, and what of.
            done: What has happened to it then: "cordoned".
            verb: What the question asks: "Drain".
            loses: What will be lost; empty: nothing is asked.
        """
        if (refused := self.refusal()) is not None or not requests:
            self.warn(refused or "Choose something first.")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.do_all(done, [(what, request) for request, what in requests])

        if loses:
            self.push_screen(Confirm(verb, [what for _, what in requests], loses), answered)
        else:
            answered(True)

    def use(self, name: str, rows: Sequence[Row]) -> None:
        """Do something else with these: what asks first itself, copies, or has a screen."""
        tools.use(self, name, rows)

    @work(group="do", exit_on_error=False)
    async def do_all(self, done: str, pairs: Sequence[tuple[str, Request]]) -> None:
        """Ask for all of these, and say once how it went.

        Args:
            done: What has happened to them then: "stopped".
            pairs: For whom, and what is asked.
        """
        failed = await each_of(self.link, pairs)
        summary(self, done, [name for name, _ in pairs], failed)

    def failed(self, error: SwarmError, what: str) -> None:
        """Say that something failed, and what to do about it."""
        summary(self, "", [what], {what: error})
