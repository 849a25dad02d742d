"""What one types after ``:``: a view or an action by its name, a theme, a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.commands import commands_of, named, names
from tui.themes import THEMES

if TYPE_CHECKING:
    from tui.app import SwarmdApp


def known(app: SwarmdApp) -> list[str]:
    """What is completed as one types."""
    return [*names(commands_of(app)), *(f"theme {each}" for each in app.available_themes)]


def carry_out(app: SwarmdApp, text: str) -> None:
    """A view or an action by its name; ``theme NAME`` and ``filter TEXT`` as well.

    Args:
        app: Where.
        text: What was typed.
    """
    word, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if word == "theme" and rest in app.available_themes:
        app.theme = rest
    elif word == "theme":
        what = f"There is no theme {rest!r}" if rest else f"The theme is {app.theme!r}"
        ours = ", ".join(sorted(each.name for each in THEMES))
        app.warn(f"{what}. There are {ours}, and Textual's own: tab completes.")
    elif word == "filter" and app.view is not None:
        app.view.filter(rest)
        app.retitle()
    elif (found := named(commands_of(app), word)) is not None and found.enabled:
        app.run_worker(found.run(), exit_on_error=False)
    elif word:
        why = app.refusal() if found is not None else None
        app.warn(why or f"There is no command {text.strip()!r} here. ctrl+p lists them all.")
