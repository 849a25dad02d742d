"""Lines with tones as Rich text, for widgets that are not drawn line by line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.text import Text
from textual.app import App

from tui.model.text import Line, clean

_VARIABLES = {
    "good": "text-success",
    "warn": "text-warning",
    "bad": "text-error",
    "busy": "text-primary",
    "title": "text-accent",
    "dim": "dim",
}
"""The theme's colour of each tone."""

_STYLES = {"bad": "bold", "title": "bold", "strong": "bold", "brand": "bold reverse"}


def rich(app: App[Any], lines: Iterable[Line]) -> Text:
    """The lines, coloured as the theme has it."""
    made = Text()
    for number, line in enumerate(lines):
        if number:
            made.append("\n")
        for text, tone in line:
            made.append(clean(text.replace("\n", " ")), _style(app, tone))
    return made


def _style(app: App[Any], tone: str) -> str:
    colour = app.theme_variables.get(_VARIABLES.get(tone, ""), "")
    # "auto 87%" is a contrast that only the style sheet can work out.
    plain = colour if colour.startswith("#") else ""
    return f"{_STYLES.get(tone, '')} {plain}".strip()
