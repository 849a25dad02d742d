"""What stands around every view: where one is, how it goes, and where one types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from swarmd.messages.enums import HealthStatus, InstanceStatus
from tui.model.snapshot import Link, LinkState, Snapshot
from tui.model.text import Line, clean, clean_lines, plain
from tui.navigation import Path
from tui.widgets.rich_text import rich

_DOT = {
    LinkState.ONLINE: ("●", "good"),
    LinkState.CONNECTING: ("○", "warn"),
    LinkState.LOST: ("●", "warn"),
    LinkState.ABSENT: ("●", "bad"),
    LinkState.REFUSED: ("●", "bad"),
    LinkState.MISMATCH: ("●", "bad"),
}


class TitleBar(Static):
    """One line: the path, how the view is narrowed, the counts, the connection."""

    _again: Callable[[], None] | None = None

    def show(self, path: Path, snapshot: Snapshot, narrowed: str = "", *, read_only: bool) -> None:
        """Draw it anew; what there is no room for is left out, the least important first."""
        self._again = partial(self._draw, path, snapshot, narrowed, read_only=read_only)
        self._again()

    def on_resize(self, _event: events.Resize) -> None:
        """It is as wide as the terminal, be it behind a question too."""
        if self._again is not None:
            self._again()

    def _draw(self, path: Path, snapshot: Snapshot, narrowed: str, *, read_only: bool) -> None:
        places = [clean(place.title or place.view) for place in path.places]
        state, tone = _DOT[snapshot.link.state]
        link = ((f"{state} ", tone), (f"{snapshot.link.state} ", ""))
        here, counts = " > ".join(places), (*_counts(snapshot), ("  ", ""))
        choices = [(here, (*counts, *link)), (here, link), (places[-1], link), (places[-1], ())]
        for where, right in choices:
            left = _left(where, narrowed, read_only=read_only)
            space = self.size.width - cell_len(plain(left)) - cell_len(plain(right))
            if space > 0:
                break
        text = rich(self.app, [(*left, (" " * max(1, space), ""), *right)])
        text.no_wrap, text.overflow = True, "ellipsis"
        self.update(text)


def _left(where: str, narrowed: str, *, read_only: bool) -> Line:
    pieces = [(" swarmd ", "brand"), (" ", ""), (where, "strong")]
    if read_only:
        pieces.append(("  read-only", "warn"))
    if narrowed:
        pieces.append((f"  {narrowed}", "title"))
    return tuple(pieces)


def _counts(snapshot: Snapshot) -> Line:
    if snapshot.status is None:
        return ()  # nothing was told yet: no figure would be true
    rows = snapshot.instances.values()
    running = sum(row.status is InstanceStatus.RUNNING for row in rows)
    ill = sum(row.health is HealthStatus.UNHEALTHY for row in rows)
    counts = ((f"{running}/{len(rows)} running", ""),)
    return (*counts, (f" · {ill} unhealthy", "bad")) if ill else counts


class Banner(Static):
    """Why what is shown may not be what is, and what to do about it."""

    def show(self, link: Link) -> None:
        """Shown unless all is well, or is only about to be."""
        shown = link.state not in (LinkState.ONLINE, LinkState.CONNECTING)
        self.set_class(shown, "-shown")
        self.set_class(link.state is LinkState.LOST, "-calm")
        if shown:
            self.update(_words(link))


_HEADS = {
    LinkState.LOST: "Connection lost; what you see is how it was. ",
    LinkState.MISMATCH: "The daemon and this app are of different versions. ",
}


def _words(link: Link) -> Text:
    pause = f"{link.retry_seconds:.0f} s (attempt {link.attempt})"
    again = f"Trying again in {pause}; ctrl+r tries now."
    said = clean_lines(link.message[:1].upper() + link.message[1:])
    head = _HEADS.get(link.state, "")
    return Text.assemble((f"{head}{said}. ", "bold"), f"{clean_lines(link.next_step)} {again}")


class Prompt(Input):
    """The line in which one types a filter or a command."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Without ids: a keymap that names one binding of a key takes the others of it away.
        Binding("enter", "submit('/')", "Filter"),
        Binding("enter", "submit(':')", "Do it"),
        Binding("tab", "complete(':')", "Complete"),
        Binding("tab", "complete('/')", "Complete", show=False),
        Binding("escape", "leave", "Leave", id="prompt.leave"),
    ]

    class Typed(Message):
        """The text is another one."""

        def __init__(self, kind: str, text: str) -> None:
            super().__init__()
            self.kind = kind
            self.text = text

    class Entered(Message):
        """It was ended: ``text`` is None if it was left."""

        def __init__(self, kind: str, text: str | None) -> None:
            super().__init__()
            self.kind = kind
            self.text = text

    def __init__(self) -> None:
        super().__init__(id="prompt", compact=True, select_on_focus=False)
        self.kind = ""
        self._known: tuple[str, ...] = ()
        self._typed = ""
        self._completed: str | None = None

    def open(self, kind: str, known: Iterable[str] = (), text: str = "") -> None:
        """Ask for a filter (``/``) or a command (``:``).

        Args:
            kind: Which of the two.
            known: What is completed as one types.
            text: What stands there to be edited.
        """
        self.kind = kind
        self._known, self._typed, self._completed = tuple(known), text, None
        self.suggester = SuggestFromList(self._known) if self._known else None
        self.placeholder = (
            "filter: some letters of what you look for"
            if kind == "/"
            else ("a view or an action; tab completes")
        )
        self.value = text
        self.cursor_position = len(text)
        self.add_class("-shown")
        self.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell it as it is typed."""
        event.stop()
        if self.has_class("-shown"):
            self.post_message(self.Typed(self.kind, self.value))

    def on_blur(self) -> None:
        """One went elsewhere: it ends, and what was filtered by stays."""
        if self.app.app_focus and self.screen.focused is not self:
            self.remove_class("-shown")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enter is called what it does; what is completed are commands."""
        return parameters == (self.kind,) if action in ("submit", "complete") else True

    async def action_submit(self, _kind: str = "") -> None:
        """Enter."""
        self._end(self.value)

    def action_complete(self, _kind: str) -> None:
        """What stands dim behind the cursor is taken; again: the next that was begun likewise."""
        if self.value != self._completed:
            self._typed = self.value
        fitting = [each for each in self._known if each.startswith(self._typed)]
        if not fitting:
            return
        at = fitting.index(self.value) + 1 if self.value in fitting else 0
        self._completed = self.value = fitting[at % len(fitting)]
        self.cursor_position = len(self.value)

    def action_leave(self) -> None:
        """Escape."""
        self._end(None)

    def _end(self, text: str | None) -> None:
        self.remove_class("-shown")
        self.post_message(self.Entered(self.kind, text))
