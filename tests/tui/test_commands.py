"""Commands by name: which is meant where several are called the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from tests.tui.driving import online, until
from tui.app import SwarmdApp
from tui.commands import Command, commands_of, named, names
from tui.navigation import Place


def command(full: str) -> Command:
    group, _, name = full.partition(".")
    return Command(name, name, "", "", group, True, "nothing", cast("Any", None))


ALL = [
    command(each)
    for each in (
        "table.open", "detail.operations", "events.back", "instance.open", "view.operations",
        "app.back", "pane.down", "instance.restart", "instance.recover", "view.providers",
    )
]  # fmt: skip
ALL.append(replace(command("instance.update"), title="Change"))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("open", "instance.open"),
        ("operations", "view.operations"),
        ("detail.operations", "detail.operations"),
        ("oper", "view.operations"),
        ("back", "app.back"),
        ("change", "instance.update"),
        ("events.back", "events.back"),
        ("prov", "view.providers"),
        ("down", None),
        ("table.open", None),
        ("re", None),
        ("", None),
    ],
)
def test_which_is_meant(text: str, meant: str | None) -> None:
    found = named(ALL, text)
    assert (found and found.full) == meant


def test_what_is_completed_can_be_meant() -> None:
    known = names(ALL)
    assert len(known) == len(set(known))
    assert {"open", "operations", "detail.operations", "back", "events.back"} <= set(known)
    assert not {"table.open", "down"} & set(known)
    assert len({named(ALL, each) for each in known}) == len(known)


@pytest.mark.anyio
async def test_names_that_are_there_twice(app: SwarmdApp) -> None:
    """In the table and in one instance, as the bindings are there."""
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2")
        await until(pilot, lambda: named(commands_of(app), "open"), lambda: commands_of(app))
        meant = named(commands_of(app), "open")
        assert meant is not None
        assert meant.full == "instance.open"
        row = next(iter(app.snapshot.instances.values()))
        app.go(Place("instance", row.id, row.ref))

        def known() -> set[str]:
            return {each.full for each in commands_of(app)}

        await until(pilot, lambda: "detail.operations" in known(), known)
        meant = named(commands_of(app), "operations")
        assert meant is not None
        assert meant.full == "view.operations"
