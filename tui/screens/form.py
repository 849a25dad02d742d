"""A form: a line for each field, what is wrong with it below it, and what comes of it beside."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Button, Input, Label, Static

from swarmd.errors import SwarmError
from tui.model.typed import field_of, words_of
from tui.screens.confirm import Confirm
from tui.widgets.choice import Choice, Option
from tui.widgets.pane import Pane

if TYPE_CHECKING:
    from tui.app import SwarmdApp

_PAUSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a form.

    Args:
        name: Its name.
        label: What stands before it.
        hint: What may be typed, as long as nothing is.
        options: What can be chosen; empty: it is typed.
        value: What stands in it first.
        secret: Whether nobody may read over one's shoulder.
    """

    name: str
    label: str
    hint: str = ""
    options: Sequence[Option] = ()
    value: str = ""
    secret: bool = False


class FormField(Vertical):
    """A label, the input, and below it what is wrong."""

    DEFAULT_CSS = """
    FormField { height: auto; }
    FormField Horizontal { height: 1; }
    FormField Label { width: 13; color: $dim; }
    FormField Input { width: 1fr; }
    FormField .problem { display: none; height: auto; padding-left: 13; color: $text-error; }
    FormField.-wrong .problem { display: block; }
    FormField.-wrong Label { color: $text-error; text-style: bold; }
    """

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(id=f"field-{spec.name}")
        self.spec = spec
        self.touched = False
        self.input: Input | Choice = (
            Choice(spec.options, spec.value or None)
            if spec.options
            else Input(spec.value, spec.hint, password=spec.secret, compact=True)
        )
        if isinstance(self.input, Input):
            self.input.cursor_blink = False

    def compose(self) -> ComposeResult:
        """The two in one line, the problem in the next."""
        with Horizontal():
            yield Label(self.spec.label)
            yield self.input
        yield Static("", classes="problem", markup=False)

    @property
    def value(self) -> str:
        """What stands in it."""
        return self.input.value

    def wrong(self, problem: str | None) -> None:
        """Show what is wrong; None: nothing."""
        self.set_class(problem is not None, "-wrong")
        self.query_one(".problem", Static).update(problem or "")


class Form(ModalScreen[str | None]):
    """See the module's docstring.

    Args:
        title: What it is for.
        verb: What Enter does.
        fields: In their order.
    """

    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-narrow"), (110, "-wide")]
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-low"), (22, "-tall")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", id="form.leave"),
        Binding("enter,ctrl+s", "submit", "Do it", id="form.submit"),
        Binding("down", "app.focus_next", "Next field", show=False, id="form.next"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="form.previous"),
    ]
    DEFAULT_CSS = """
    Form { align: center middle; background: $background 60%; }
    Form > Vertical {
        width: 100%; max-width: 132; height: auto; max-height: 100%; padding: 0 1;
        border: round $primary; background: $background;
    }
    Form #title { text-style: bold; width: 1fr; height: 1; }
    Form #parts { height: auto; layout: vertical; }
    Form #fields { height: auto; max-height: 12; scrollbar-size-vertical: 1; }
    Form #result { height: 6; padding: 0; border-top: solid $surface; }
    Form.-wide #parts { layout: horizontal; height: auto; }
    Form.-wide #fields { width: 64; max-height: 30; }
    Form.-wide #result {
        width: 1fr; height: 16; margin: 0 0 0 1; padding: 0 1;
        border-top: none; border-left: solid $surface;
    }
    Form.-low > Vertical { height: 100%; }
    Form.-low #parts { height: 1fr; }
    Form.-low #fields { height: 100%; max-height: 100%; }
    Form.-low #result { display: none; }
    Form.-narrow.-failed #result { display: none; }
    Form #end { height: 1; }
    Form #keys { width: 1fr; color: $dim; }
    Form #failure { height: auto; display: none; color: $text-error; }
    Form #failure.-shown { display: block; }
    """

    def __init__(self, title: str, verb: str, fields: Iterable[FieldSpec]) -> None:
        super().__init__()
        self.heading = title
        self.verb = verb
        self.fields = {spec.name: FormField(spec) for spec in fields}
        self._begun = {spec.spec.name: spec.value for spec in self.fields.values()}
        self._timer: Timer | None = None
        self._over = False
        self.busy = False

    @property
    def swarmd(self) -> SwarmdApp:
        """The app that it belongs to."""
        return cast("SwarmdApp", self.app)

    def compose(self) -> ComposeResult:
        """Title, fields, what comes of them, keys."""
        with Vertical():
            yield Label(self.heading, id="title", markup=False)
            with Vertical(id="parts"):
                with VerticalScroll(id="fields", can_focus=False):
                    yield from self.fields.values()
                result = Pane(id="result")
                result.can_focus = False
                yield result
            yield Static("", id="failure", markup=False)
            with Horizontal(id="end"):
                yield Static(self._keys(), id="keys")
                yield Button(self.verb, id="go", variant="primary", compact=True)

    def _keys(self) -> str:
        if self.busy:
            return "asked for; waiting for the answer · esc leaves, and it goes on"
        return f"↵ {self.verb.lower()} · tab next · esc leave"

    @property
    def result(self) -> Pane:
        """Where it is shown what comes of it."""
        return self.query_one("#result", Pane)

    def on_mount(self) -> None:
        """The first field has the focus."""
        next(iter(self.fields.values())).input.focus()
        self.look()

    # --- what is typed -----------------------------------------------------------------------

    @property
    def values(self) -> dict[str, str]:
        """What stands in it, by the field's name."""
        return {name: field.value for name, field in self.fields.items()}

    @property
    def typed(self) -> bool:
        """Whether anything is different from how it was opened."""
        return self.values != self._begun

    @on(Input.Changed)
    @on(Choice.Changed)
    def _changed(self) -> None:
        for name, field in self.fields.items():
            field.touched = field.touched or field.value != self._begun[name]
        self.mark(self.problems(), all=False)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_PAUSE_SECONDS, self.look)

    def mark(self, problems: Mapping[str, str], *, all: bool) -> None:
        """Show what is wrong at its field.

        Args:
            problems: By the field's name; of one without a field, below all.
            all: Those of fields that nobody has touched yet as well.
        """
        for name, field in self.fields.items():
            field.wrong(problems.get(name) if all or field.touched else None)
        rest = [text for name, text in problems.items() if name not in self.fields]
        self.fail(" ".join(rest))

    def fail(self, text: str) -> None:
        """Say what is wrong with all of it; empty: nothing."""
        failure = self.query_one("#failure", Static)
        failure.update(text)
        failure.set_class(bool(text), "-shown")
        self.set_class(bool(text), "-failed")

    def refused(self, error: SwarmError) -> None:
        """The daemon refused it: said at the field that it names."""
        name = field_of(error.field)
        if name in self.fields:
            self.mark({name: words_of(error)}, all=True)
            self.fields[name].input.focus()
        else:
            self.fail(words_of(error))

    # --- what a form of one kind does --------------------------------------------------------

    def problems(self) -> Mapping[str, str]:
        """What is wrong with what is typed, by the field's name."""
        return {}

    def look(self) -> None:
        """Show what would come of it."""

    def send(self) -> None:
        """Do it; nothing is wrong with it."""

    # --- while it is done --------------------------------------------------------------------

    def carry_out(self, work: Coroutine[Any, Any, None]) -> None:
        """Have the app do it: it goes on if one leaves the form meanwhile.

        Args:
            work: Calls ``answered`` once the daemon has answered.
        """
        self.busy = True
        self.query_one("#keys", Static).update(self._keys())
        self.swarmd.run_worker(work, group="form", exit_on_error=False)

    def answered(self, error: SwarmError | None = None) -> bool:
        """The daemon has answered: with an error the form stays and says so, else it goes.

        Returns:
            Whether the form was still there: if not, the app is to tell how it ended.
        """
        if self not in self.app.screen_stack:
            return False
        self.busy = False
        if error is not None:
            self.query_one("#keys", Static).update(self._keys())
            self.refused(error)
        else:
            self._over = True
            self._end()
        return True

    @on(events.ScreenResume)
    def _end(self) -> None:
        """Go, if it is over. What lies on top is not ours to close: then once that is gone."""
        if self._over and self.is_active:
            self.dismiss(None)

    # --- keys --------------------------------------------------------------------------------

    @on(Input.Submitted)
    @on(Button.Pressed)
    def action_submit(self) -> None:
        """Do it, unless something is wrong: then go there."""
        refused = self.swarmd.refusal()
        if refused is not None:
            self.fail(refused)
            return
        problems = self.problems()
        self.mark(problems, all=True)
        first = next((name for name in self.fields if name in problems), None)
        if first is not None:
            self.fields[first].input.focus()
        elif not problems and not self.busy:
            self.send()

    def action_leave(self) -> None:
        """Leave; asked first if something was typed, unless it is being done already."""
        if self.busy:
            self.swarmd.notify("It goes on; how it ends is told here.", title=self.heading,
                               markup=False)  # fmt: skip
        if self.busy or not self.typed:
            self.dismiss(None)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.dismiss(None)

        question = Confirm("Discard", ["what you typed"], "Nothing has been done yet.")
        self.app.push_screen(question, answered)
