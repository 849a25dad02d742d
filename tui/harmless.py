"""How an app tells something, and that nothing it shows steers the terminal.

Names, messages and logs come from outside. Where they are shown they are cleaned, so that they
look well; what was forgotten there is stopped here, before it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.segment import Segment
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter
from textual.notifications import Notify, SeverityLevel

from tui.model.text import clean, clean_lines

_STEERS: Final = dict.fromkeys((*range(32), *range(127, 160)))


class Uncontrolled(LineFilter):
    """Takes control characters out of what is drawn. They take no cells: nothing moves by that."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """The same segments, those with control characters without them."""
        if all(text.isprintable() for text, _, _ in segments):
            return segments
        return [
            Segment(text.translate(_STEERS), style, control) for text, style, control in segments
        ]


_FILTER: Final = Uncontrolled()


class Harmless(App[None]):
    """See the module's docstring."""

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What is drawn goes through these; the last one is for what came from outside."""
        return [*super().get_line_filters(), _FILTER]

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """As every app does it, without what steers the terminal."""
        super().notify(
            clean_lines(message),
            title=clean(title),
            severity=severity,
            timeout=timeout,
            markup=markup,
        )

    def on_notify(self, event: Notify) -> None:
        """Nothing stands there twice: the newer one takes the place of the older."""
        new = event.notification
        for each in list(self._notifications):
            if (each.message, each.title) == (new.message, new.title):
                self._unnotify(each, refresh=False)

    def warn(self, text: str) -> None:
        """Something that a person should know of."""
        self.notify(text, severity="warning", markup=False, timeout=10)
