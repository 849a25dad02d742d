"""``swarmctl create --dry-run``: where it would be made, and why not elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from swarmd.cli import bulk
from swarmd.cli.app import App
from swarmd.cli.commands.layouts import PLACEMENT, placement_rows
from swarmd.cli.grid import render
from swarmd.cli.text import safe

_ASKED = ("config", "owner", "at_provider")


def show_placements(app: App, wanted: Sequence[dict[str, Any]]) -> int:
    """Ask for each; the exit code is that of a create which is refused.

    Args:
        app: The invocation.
        wanted: Params of ``instance.create``, right as such.
    """
    show = _table if len(wanted) == 1 else _line

    def ask(params: dict[str, Any]) -> dict[str, Any]:
        asked = {key: params[key] for key in _ASKED if key in params}
        placement = app.call("provider.placement", asked)
        return {"instance": params["config"]["name"], **placement}

    named = [(each["config"]["name"], each) for each in wanted]
    return bulk.run(app, named, ask, lambda found: show(app, found), "would be placed")


def _table(app: App, found: dict[str, Any]) -> None:
    rows = list(placement_rows(found))
    wide = app.output.format == "wide"
    colour = app.output.colour
    app.output.lines(render(PLACEMENT, rows, width=app.output.width, wide=wide, colour=colour))
    app.output.note(
        f"{safe(found['instance'])} would be made at {safe(found['chosen'])}"
        f" (strategy {safe(found['strategy'])}). Nothing was made."
    )


def _line(app: App, found: dict[str, Any]) -> None:
    first = found["ranked"][0]
    app.output.line(f"{safe(found['instance'])}  {safe(found['chosen'])}  {first['score']:.4g}")
