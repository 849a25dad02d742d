"""Every action and view by name: what palette, command line and help are made of.

They are read from the bindings that hold where one is, so that a key, its line in the help and
its command can never say different things.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from textual.command import DiscoveryHit, Hit, Hits, Provider

if TYPE_CHECKING:
    from textual.app import App
    from textual.dom import DOMNode
    from textual.screen import Screen

GROUPS: Final[dict[str, str]] = {
    "view": "Views",
    "instance": "The chosen instances",
    "app": "Everywhere",
    "table": "In a table",
}
"""Groups of the help, by the first part of a binding's id; others are of the view at hand."""

_OF_KEYS: Final = frozenset({"table", "pane", "troubles", "prompt"})
"""What is for keys alone, such as moving about: it has no command."""

_FIRST: Final = ("view", "instance", "app")
"""Where several are called the same, the first of these groups is meant, then others."""


@dataclass(frozen=True, slots=True)
class Command:
    """Something that can be done here and now.

    Args:
        name: What one types: the last part of the binding's id.
        title: What the footer calls it.
        what: One sentence.
        keys: How it is done by key, as it is written.
        group: The first part of the binding's id.
        enabled: Whether it can be done now.
        action: What Textual calls it.
        node: Whose it is.
    """

    name: str
    title: str
    what: str
    keys: str
    group: str
    enabled: bool
    action: str
    node: DOMNode

    @property
    def full(self) -> str:
        """Its name with its group's: ``view.operations``."""
        return f"{self.group}.{self.name}"

    async def run(self) -> None:
        """Do it."""
        await self.node.app.run_action(self.action, self.node)


def commands_of(app: App[Any], screen: Screen[Any] | None = None) -> tuple[Command, ...]:
    """All that can be done on a screen; each once, with all its keys.

    Args:
        app: The app.
        screen: Where; the one that is shown if none is given.
    """
    found: dict[str, Command] = {}
    for active in (screen or app.screen).active_bindings.values():
        binding = active.binding
        if not binding.id or not binding.description:
            continue
        group, _, name = binding.id.partition(".")
        before = found.get(binding.id)
        key = app.get_key_display(binding)
        found[binding.id] = Command(
            name=name.replace("_", "-"),
            title=binding.description,
            what=active.tooltip or binding.tooltip,
            keys=f"{before.keys} {key}" if before else key,
            group=group,
            enabled=active.enabled,
            action=binding.action,
            node=active.node,
        )
    return tuple(found.values())


def named(commands: Iterable[Command], text: str) -> Command | None:
    """The command of this name, ``group.name`` or title; else the only name that begins so."""
    known = typed(commands)
    exact = [each for each in known if text in (each.name, each.full)]
    exact = exact or [each for each in known if text == each.title.lower()]
    if exact:
        return exact[0]
    begun = [each for each in known if text and each.name.startswith(text)]
    return begun[0] if len({each.name for each in begun}) == 1 else None


def typed(commands: Iterable[Command]) -> Sequence[Command]:
    """Those that one can type; of those that are called the same the one that is meant first."""

    def rank(each: Command) -> tuple[int, str]:
        place = _FIRST.index(each.group) if each.group in _FIRST else len(_FIRST)
        return place, each.name

    return sorted((each for each in commands if each.group not in _OF_KEYS), key=rank)


def names(commands: Iterable[Command]) -> Sequence[str]:
    """What one can type; where several are called the same, those behind the first in full."""
    found: dict[str, None] = {}
    for each in typed(commands):
        found.setdefault(each.full if each.name in found else each.name)
    return tuple(found)


class Palette(Provider):
    """Every command to the command palette of Textual (ctrl+p)."""

    def _commands(self) -> Iterable[Command]:
        shown = commands_of(self.app, self.screen)
        return (each for each in shown if each.enabled and each.group not in _OF_KEYS)

    async def discover(self) -> Hits:
        """All, before anything is typed."""
        for each in self._commands():
            yield DiscoveryHit(_title(each), partial(self._run, each), help=each.what)

    async def search(self, query: str) -> Hits:
        """Those that fit."""
        matcher = self.matcher(query)
        for each in self._commands():
            title = _title(each)
            if (score := matcher.match(title)) > 0:
                yield Hit(score, matcher.highlight(title), partial(self._run, each), help=each.what)

    def _run(self, command: Command) -> None:
        self.app.run_worker(command.run(), exit_on_error=False)


def _title(command: Command) -> str:
    where = f"{GROUPS['view'][:-1]}: " if command.group == "view" else ""
    return f"{where}{command.title}"


def help_on(commands: Iterable[Command], here: str) -> list[tuple[str, list[Command]]]:
    """The commands by group, in the order in which one looks for them.

    Args:
        commands: All of them.
        here: What the view at hand is called.
    """
    groups: dict[str, list[Command]] = {here: [], **{title: [] for title in GROUPS.values()}}
    for each in commands:
        groups[GROUPS.get(each.group, here)].append(each)
    return [(title, found) for title, found in groups.items() if found]
