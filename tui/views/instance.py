"""One instance: everything of it, each part under a key; what is wrong stands first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static

from swarmd.errors import InstanceNotFound, SwarmError
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderInfo
from tui import tools
from tui.model.checkup import checkup
from tui.model.configuration import toml_lines
from tui.model.heading import header
from tui.model.nothing import narrowed, why_nothing
from tui.model.overview import overview
from tui.model.rows import Row
from tui.model.snapshot import Changed, Snapshot
from tui.model.telling import story, use
from tui.model.text import Line, line
from tui.model.words import told
from tui.navigation import Place
from tui.views.followed import Followed
from tui.views.logtab import LogTab
from tui.views.view import INSTANCE_KEYS, View
from tui.widgets.operations import operations_table
from tui.widgets.pane import Pane
from tui.widgets.rich_text import rich

TABS: Final[tuple[tuple[str, str, str], ...]] = (
    ("overview", "Overview", "O"),
    ("config", "Config", "C"),
    ("health", "Health", "H"),
    ("logs", "Logs", "L"),
    ("story", "Why", "W"),
    ("operations", "Operations", "P"),
    ("use", "Use", "U"),
)
"""Name, title, and the key, which is a letter of the title."""

NEEDS: Final[dict[str, frozenset[str]]] = {
    "overview": frozenset({"record", "health"}),
    "config": frozenset({"record"}),
    "health": frozenset({"health"}),
    "logs": frozenset(),
    "story": frozenset({"story"}),
    "operations": frozenset({"operations"}),
    "use": frozenset({"use"}),
}
"""What is asked for a part; the record always is, for the line above."""


class InstanceView(View):
    """See the module's docstring.

    Args:
        place: Its target is the instance's id.
    """

    FILTERS: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *INSTANCE_KEYS,
        *(
            Binding(key, f"tab('{name}')", title, show=False, id=f"detail.{name}",
                    tooltip=f"Show this part: {title}.")
            for name, title, key in TABS
        ),
        Binding("tab,right_square_bracket", "step(1)", "Next part", show=False, id="detail.next"),
        Binding("shift+tab,left_square_bracket", "step(-1)", "Part before", show=False,
                id="detail.previous"),
        Binding("a", "again", "Again", show=False, id="detail.again",
                tooltip="Ask and measure again."),
    ]  # fmt: skip
    DEFAULT_CSS = """
    InstanceView #head { height: auto; padding: 0 1; background: $surface; }
    InstanceView #tabs { height: 1; padding: 0 1; background: $surface; }
    InstanceView #notice { height: auto; display: none; padding: 0 1; color: $text-error; }
    InstanceView #notice.-shown { display: block; }
    InstanceView ContentSwitcher { height: 1fr; }
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.target = place.target or ""
        self.operations = operations_table(self.now, of_one=True, id="operations")

    def compose(self) -> ComposeResult:
        """Who it is, the parts, and one of them."""
        yield Static("", id="head", markup=False)
        yield Static("", id="tabs", markup=False)
        yield Static("", id="notice", markup=False)
        with ContentSwitcher(initial=self.place.part or TABS[0][0]):
            yield Pane(id="overview")
            yield Pane(id="config")
            yield Pane(id="health")
            yield LogTab(self.target)
            yield Pane(id="story", end=True)
            yield self.operations
            yield Pane(id="use")

    def on_mount(self) -> None:
        """Begin to read, and to keep up with what happens; what is known is shown after this."""
        self.known = Followed(self.target, self.swarmd.link, self._draw)
        for name in self.known.names:
            self.run_worker(self.known.keep(name), group=f"keep-{name}", exit_on_error=False)

    def _need(self, *names: str) -> None:
        self.known.need({"record", *(names or NEEDS[self.part])})

    # --- what is different -------------------------------------------------------------------

    def show(self, snapshot: Snapshot, changed: Changed) -> None:
        """Ask again for what an event says is different; show what is known already."""
        touched = changed.everything or self.target in changed.instances
        if touched and snapshot.link.online:
            self._need()
            self.query_one(LogTab).resume()
        mine = {key for key in changed.operations if self._is_mine(snapshot.operations.get(key))}
        if mine or changed.everything or changed.link or changed.providers:
            self._draw()
        elif self.target in changed.instances:
            self._draw_head()

    def _is_mine(self, operation: Operation | None) -> bool:
        return operation is not None and operation.target == self.target

    def tick(self) -> None:
        """Time has passed."""
        self._draw_head()
        self.operations.tick()
        if self.part not in ("operations", "logs"):
            self._pane().tick()

    # --- drawing -----------------------------------------------------------------------------

    @property
    def part(self) -> str:
        """The part that is shown."""
        return self.query_one(ContentSwitcher).current or "overview"

    def _draw(self) -> None:
        if not self.is_attached:
            return
        self._draw_head()
        self._draw_notice()
        part = self.part
        if part == "operations":
            self.operations.show(self._operations())
            self._explain()
        elif part != "logs":
            self._pane().show(self._lines)

    def _lines(self, width: int, height: int) -> Iterable[Line]:
        """The lines of the part that is shown; a part that is not is drawn when it is."""
        record, part = self.known.record, self.part
        if part == "overview" and record is not None:
            return overview(record, self.known.health, self._under_way(), self._provider(),
                            now=self.now(), width=width)  # fmt: skip
        if part == "config" and record is not None:
            return toml_lines(record.config)
        if part == "health" and self.known.health is not None:
            return checkup(self.known.health, now=self.now(), width=width, height=height)
        if part == "story" and self.known.story:
            return story(self.known.story, width=width)
        if part == "use" and "use" not in self.known.failures:
            cores = None if record is None else record.config.resources.cpu
            return use(self.known.samples, cores)
        return (line("reading", "dim"),) if not self.known.failures else ()

    def _operations(self) -> dict[str, Operation]:
        """Those that were asked for, and over them those that events told of."""
        told = self.snapshot.operations.items()
        return self.known.operations | {
            key: each for key, each in told if each.target == self.target
        }

    def _under_way(self) -> Sequence[Operation]:
        return [each for _, each in sorted(self._operations().items()) if not each.state.ended]

    def _provider(self) -> ProviderInfo | None:
        return (
            None
            if self.known.record is None
            else self.snapshot.providers.get(self.known.record.provider)
        )

    def _draw_head(self) -> None:
        row = self.snapshot.instances.get(self.target)
        shown = header(
            row, self.known.record, self._under_way(), now=self.now(), title=self.place.title
        )
        head = rich(self.app, shown)
        head.no_wrap, head.overflow = True, "ellipsis"
        self.query_one("#head", Static).update(head)
        self.query_one("#tabs", Static).update(self._tabs())

    def _tabs(self) -> Text:
        text = Text(no_wrap=True)
        for name, title, key in TABS:
            at = title.lower().index(key.lower())
            style = "reverse bold" if name == self.part else ""
            text.append(" " + title[:at], style)
            text.append(title[at], f"{style} underline bold".strip())
            text.append(title[at + 1 :] + " ", style)
        return text

    def _draw_notice(self) -> None:
        """What could not be read, and what to do about it."""
        wanted = {"record", *NEEDS[self.part]}
        failed = [error for name, error in self.known.failures.items() if name in wanted]
        notice = self.query_one("#notice", Static)
        notice.set_class(bool(failed), "-shown")
        if failed:
            notice.update(self._words(failed[0]))

    def _words(self, error: SwarmError) -> str:
        if isinstance(error, InstanceNotFound):
            return "It is gone: deleted, or not yours to see. Escape goes back."
        return told(error, ". ") + ("" if error.next_step else ". a asks again.")

    # --- keys --------------------------------------------------------------------------------

    def action_tab(self, name: str) -> None:
        """Show this part."""
        self.query_one(ContentSwitcher).current = name
        self._need(*NEEDS[name])
        self._draw()
        self.focus_first()
        self.post_message(self.Narrowed())

    def action_step(self, way: int) -> None:
        """The next part, or the one before."""
        names = [name for name, _, _ in TABS]
        self.action_tab(names[(names.index(self.part) + way) % len(names)])

    def action_again(self) -> None:
        """Ask and measure again."""
        self._need()
        self.query_one(LogTab).resume()

    def action_use(self, name: str) -> None:
        """As everywhere; among its operations the one under the cursor is cancelled."""
        chosen = [each for each in self._chosen() if not each.state.ended]
        if name == "logs":
            self.action_tab("logs")
        elif name == "cancel" and chosen and self.swarmd.refusal() is None:
            tools.cancel(self.swarmd, chosen)
        else:
            super().action_use(name)

    def _chosen(self) -> Iterator[Operation]:
        if self.part == "operations":
            known = self._operations()
            yield from (known[key] for key in self.operations.chosen if key in known)

    def rows(self) -> Sequence[Row]:
        """The one instance."""
        row = self.snapshot.instances.get(self.target)
        return () if row is None else (row,)

    def focus_first(self) -> None:
        """The part that is shown takes the keys."""
        shown = self.query_one(f"#{self.part}", Widget)
        target: Any = shown.pane if isinstance(shown, LogTab) else shown
        target.focus()

    def filter(self, text: str) -> None:
        """Search in what is shown."""
        shown = self.query_one(f"#{self.part}", Widget)
        if isinstance(shown, LogTab | Pane):
            shown.seek(text)
        else:
            self.operations.filter(text)
            self._explain()
        self.post_message(self.Narrowed())

    def _explain(self) -> None:
        table, none = self.operations, "Nothing was done to it yet."
        table.empty = why_nothing(self.snapshot, "operation", table.filtered, none)

    @property
    def filtered(self) -> str:
        """What is sought in the part that is shown, or what its table is filtered by."""
        return self.operations.filtered if self.part == "operations" else self._pane().sought

    @property
    def narrowed(self) -> str:
        """Of the part that is shown."""
        if self.part == "operations":
            return narrowed(self.filtered, self.operations.marks)
        return narrowed(self.filtered, found=self._pane().found)

    def escape(self) -> bool:
        """Marks first, then what is sought or filtered."""
        if self.part == "operations" and self.operations.marked:
            return self.operations.unmark()
        sought = bool(self.filtered)
        if sought:
            self.filter("")
        return sought

    def _pane(self) -> Pane:
        """What scrolls in the part that is shown."""
        shown = self.query_one(f"#{self.part}", Widget)
        return shown.pane if isinstance(shown, LogTab) else self.query_one(f"#{self.part}", Pane)

    def on_click(self, event: events.Click) -> None:
        """A part's title shows it."""
        if event.widget is None or event.widget.id != "tabs":
            return
        left = 1
        for name, title, _ in TABS:
            if left <= event.x < left + len(title) + 2:
                self.action_tab(name)
            left += len(title) + 2
