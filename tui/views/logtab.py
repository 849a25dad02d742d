"""The live log of one instance: its stream is open only as long as one looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, cast

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from swarmd.errors import SwarmError, Unavailable
from swarmd.messages.requests import LogsInstance
from tui.model.lines import Resumed, Splitter
from tui.model.text import clean
from tui.model.words import told
from tui.widgets.logpane import LogPane

if TYPE_CHECKING:
    from tui.app import SwarmdApp
    from tui.link import DaemonLink

FIRST: Final = 200
"""Lines that are seen at first."""

AGAIN: Final = 2000
"""Lines that are told again after a break; the place is looked for among them."""

_GIVE_UP_SECONDS: Final = 2.0
_AGAIN_SECONDS: Final = 1.0
_GAP: Final = "--- here lines may be missing ---"


class LogTab(Vertical):
    """See the module's docstring.

    Args:
        target: The instance's id.
    """

    DEFAULT_CSS: ClassVar[str] = """
    LogTab #log-state { height: 1; padding: 0 1; color: $dim; background: $surface; }
    """

    def __init__(self, target: str) -> None:
        super().__init__(id="logs")
        self._target = target
        self._said = ""
        self.live = False

    def compose(self) -> ComposeResult:
        """The log, and how it does."""
        yield LogPane(id="log")
        yield Static("", id="log-state", markup=False)

    @property
    def pane(self) -> LogPane:
        """The log."""
        return self.query_one(LogPane)

    def on_show(self) -> None:
        """One looks at it: read on where it was left."""
        self.resume()

    def on_hide(self) -> None:
        """One looks at something else: the stream is closed.

        From now on there is no reader, though the one that was still has to close its stream:
        who looks again meanwhile gets another.
        """
        self.workers.cancel_group(self, "log")
        self.live = False

    def resume(self) -> None:
        """Read on, unless that is being done."""
        if not self.live and self.is_on_screen:
            self.live = True
            self._follow()

    @work(exclusive=True, group="log", exit_on_error=False)
    async def _follow(self) -> None:
        self.say("reading")
        try:
            await self._read()
        except Unavailable:
            said = "the stream broke; it goes on by itself"
            # Of a lost connection the view hears; of one stream that was cut off nobody does.
            self.set_timer(_AGAIN_SECONDS, self._again)
        except SwarmError as error:
            said = told(error, ". ")
        else:
            said = "ended; goes on with the next start"
        # One that was cancelled does not come here: there may be another already.
        self.live = False
        self.say(said)

    def _again(self) -> None:
        if self._link.snapshot.link.online:
            self.resume()

    @property
    def _link(self) -> DaemonLink:
        return cast("SwarmdApp", self.app).link

    async def _read(self) -> None:
        anchor = self.pane.kept.anchor
        resumed, splitter = Resumed(anchor, AGAIN), Splitter()
        tail = AGAIN if anchor else FIRST
        stream = await self._link.stream(LogsInstance(id=self._target, follow=True, tail=tail))
        self.say("live")
        waits = self.set_timer(_GIVE_UP_SECONDS, lambda: self._give_up(resumed))
        try:
            async for chunk in stream:
                self._take(resumed, splitter.feed(chunk.bytes))
            self._take(resumed, splitter.feed(b"", end=True))
            self._give_up(resumed)
        finally:
            waits.stop()
            await stream.close()

    def _take(self, resumed: Resumed, lines: list[str]) -> None:
        new, gap = resumed.feed(lines)
        self._append(new, gap=gap)

    def _give_up(self, resumed: Resumed) -> None:
        """The place was not found in what is told again: say so, and show what there is."""
        new, gap = resumed.give_up()
        self._append(new, gap=gap and bool(new))

    def _append(self, new: list[str], *, gap: bool) -> None:
        self.pane.append([_GAP, *new] if gap else new)
        self._tell()

    # --- how it does -------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """What the stream does."""
        self._said = text
        self._tell()

    def seek(self, text: str) -> None:
        """Search in it."""
        self.pane.seek(text)
        self._tell()

    @on(LogPane.Changed)
    def _tell(self) -> None:
        pane = self.pane
        facts = [self._said, f"{len(pane.kept.lines)} lines"]
        if pane.kept.dropped:
            facts.append(f"{pane.kept.dropped} older ones let go")
        if pane.paused:
            facts.append(f"paused, {pane.waiting} wait: p goes on")
        if not pane.wrap:
            facts.append("not wrapped")
        if pane.sought:
            how = "n next, N before" if pane.found else "nothing found"
            facts.append(f"/{clean(pane.sought)}: {how}")
        self.query_one("#log-state", Static).update(" · ".join(facts), layout=False)
