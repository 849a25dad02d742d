"""What a message tells to do can be done: every command and option in the core exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import swarmd.core
from swarmd.cli.groups import LazyGroup
from swarmd.cli.root import root

CORE = Path(swarmd.core.__path__[0])
COMMAND = re.compile(r"swarmctl((?: (?!swarmctl)[a-z-]+| --[a-z-]+| \{[^}]*\}| [A-Z]+)+)")


def told() -> list[str]:
    """Everything after ``swarmctl`` in the sources, joined over their line breaks."""
    found: set[str] = set()
    for path in CORE.glob("*.py"):
        text = re.sub(r'"\s*\n\s*f?"', "", path.read_text())
        found |= {match.strip() for match in COMMAND.findall(text)}
    return sorted(found)


def test_there_is_something_to_look_at() -> None:
    assert len(told()) > 20
    assert any("--no-protect" in each for each in told())


@pytest.mark.parametrize("words", told())
def test_it_exists(words: str) -> None:
    command: click.Command = root
    context = click.Context(command)
    parts = words.split()
    while parts and isinstance(command, LazyGroup) and parts[0] in command.places:
        found = command.get_command(context, parts.pop(0))
        assert found is not None
        command = found
    assert command is not root, f"there is no swarmctl {words}"
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    for option in (part for part in parts if part.startswith("--")):
        assert option in known, f"swarmctl {words}: no {option}"
