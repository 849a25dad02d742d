"""The themes of our own; every one of Textual's may be named in the settings as well."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

DARK: Final = "dark"
LIGHT: Final = "light"
CONTRAST: Final = "contrast"

THEMES: Final[tuple[Theme, ...]] = (
    Theme(
        name=DARK,
        primary="#3d8fd1",
        secondary="#4f7a96",
        accent="#ffa62b",
        warning="#e5a33b",
        error="#d2556b",
        success="#58b87a",
        background="#101316",
        surface="#191e23",
        panel="#222a31",
        foreground="#dfe3e6",
        variables={"dim": "#7f8a93"},
    ),
    Theme(
        name=LIGHT,
        primary="#1767a8",
        secondary="#4f7a96",
        accent="#b35c00",
        warning="#8a5a00",
        error="#b3243f",
        success="#1f7a43",
        background="#fbfbf9",
        surface="#f0f1ee",
        panel="#dfe3e4",
        foreground="#1d2429",
        dark=False,
        variables={"dim": "#68727a"},
    ),
    Theme(
        name=CONTRAST,
        primary="#5fd7ff",
        secondary="#ffffff",
        accent="#ffff00",
        warning="#ffd700",
        error="#ff5f5f",
        success="#5fff5f",
        background="#000000",
        surface="#000000",
        panel="#1c1c1c",
        foreground="#ffffff",
        variables={"dim": "#c6c6c6"},
    ),
)
