"""Running commands in an instance: a line for the command, and what it writes as it writes it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from swarmd.errors import SwarmError
from swarmd.messages.requests import ExecInstance
from tui.model.lines import Splitter
from tui.model.rows import Row
from tui.model.words import told
from tui.widgets.logpane import LogPane

if TYPE_CHECKING:
    from tui.app import SwarmdApp

_KEPT = 200


class Run(ModalScreen[None]):
    """See the module's docstring.

    Args:
        row: In which instance.
        history: What was run before, oldest first; what is run now is added.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "end", "End it", priority=True, id="run.end"),
        Binding("escape", "leave", "Leave", id="run.leave"),
        Binding("up", "before(-1)", "Before", show=False, id="run.before"),
        Binding("down", "before(1)", "After", show=False, id="run.after"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="run.page_up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="run.page_down"),
    ]
    DEFAULT_CSS = """
    Run { background: $background; }
    Run > Vertical { height: 1fr; border: round $primary; padding: 0 1; }
    Run LogPane { padding: 0; }
    Run #state { height: 1; color: $dim; }
    Run Input { background: $surface; }
    Run #keys { height: 1; color: $dim; }
    """

    def __init__(self, row: Row, history: list[str]) -> None:
        super().__init__()
        self._row = row
        self._history = history
        self._at = len(history)
        self.running = False

    @property
    def swarmd(self) -> SwarmdApp:
        """The app that it belongs to."""
        return cast("SwarmdApp", self.app)

    def compose(self) -> ComposeResult:
        """What it wrote, how it is, and the line."""
        with Vertical() as box:
            box.border_title = f"Run in {self._row.ref}".replace("[", "\\[")
            pane = LogPane()
            pane.can_focus = False
            yield pane
            yield Static("", id="state", markup=False)
            command = Input(placeholder="git status", compact=True)
            command.cursor_blink = False
            yield command
            yield Static(
                "↵ run · ctrl+c end · ↑↓ before · no shell: sh -c 'a | b' · esc leave", id="keys"
            )

    def on_mount(self) -> None:
        """One can type at once."""
        self.query_one(Input).focus()

    @property
    def pane(self) -> LogPane:
        """What was written."""
        return self.query_one(LogPane)

    def say(self, text: str) -> None:
        """How the command does."""
        self.query_one("#state", Static).update(text)

    # --- running -----------------------------------------------------------------------------

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if not text or self.running:
            return
        try:
            command = tuple(shlex.split(text))
        except ValueError as error:
            self.say(f"The command is not whole: {error}.")
            return
        if refused := self.swarmd.refusal():
            self.say(refused)
            return
        if self._history[-1:] != [text]:
            self._history.append(text)
            del self._history[:-_KEPT]
        self._at = len(self._history)
        event.input.value = ""
        self.pane.append([f"$ {text}"])
        self._run(command)

    @work(exclusive=True, group="exec", exit_on_error=False)
    async def _run(self, command: tuple[str, ...]) -> None:
        self.running = True
        self.say("running; ctrl+c ends it")
        code = None
        try:
            code = await self._stream(command)
        except SwarmError as error:
            self.say(told(error, ". "))
        else:
            self.say(f"exit code {code}")
        finally:
            self.running = False

    async def _stream(self, command: tuple[str, ...]) -> int | None:
        stream = await self.swarmd.link.stream(ExecInstance(id=self._row.id, command=command))
        parts = {"stdout": Splitter(), "stderr": Splitter()}
        try:
            async for chunk in stream:
                splitter = parts.setdefault(chunk.channel or "stdout", Splitter())
                self.pane.append(splitter.feed(chunk.bytes))
            for splitter in parts.values():
                self.pane.append(splitter.feed(b"", end=True))
        finally:
            await stream.close()
        code: int | None = stream.exit_code
        return code

    def action_end(self) -> None:
        """End what runs; where nothing runs, leave."""
        if self.running:
            self.workers.cancel_group(self, "exec")
            self.say("ended by ctrl+c")
        else:
            self.dismiss(None)

    def action_leave(self) -> None:
        """Leave; a command that runs is ended."""
        self.workers.cancel_group(self, "exec")
        self.dismiss(None)

    # --- what was run before -----------------------------------------------------------------

    def action_before(self, way: int) -> None:
        """An earlier command into the line, or a later one."""
        self._at = max(0, min(len(self._history), self._at + way))
        line = self.query_one(Input)
        line.value = self._history[self._at] if self._at < len(self._history) else ""
        line.cursor_position = len(line.value)

    def action_page(self, way: int) -> None:
        """Scroll what was written."""
        if way < 0:
            self.pane.action_page_up()
        else:
            self.pane.action_page_down()
