"""What else can be done with instances: what asks first, copies, opens, or has a screen of its own.

As ``actions``, one table from which keys, palette, footer and help derive.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from swarmd.errors import SwarmError, Unavailable
from swarmd.messages.enums import InstanceStatus, RecoveryAction
from swarmd.messages.operation import Operation
from swarmd.messages.requests import (
    CancelOperation,
    CredentialsInstance,
    GetInstance,
    KeepInstance,
    RecoverInstance,
)
from swarmd.messages.units import Duration
from tui.doing import answers_of, summary
from tui.model.doing import cancelled
from tui.model.rows import Row
from tui.model.snapshot import Snapshot
from tui.navigation import Place

if TYPE_CHECKING:
    from tui.app import SwarmdApp

Use = Callable[["SwarmdApp", Sequence[Row]], None]

_OPENED: Final = 5


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing that can be done with the chosen instances.

    Args:
        name: What it is called in settings, palette and tests.
        title: What the footer calls it.
        keys: The keys that do it, unless the settings say others.
        what: One sentence, for help and palette.
        use: Does it.
        changes: Whether it changes something: then ``--read-only`` refuses it.
        alone: Whether it needs no instance.
        shown: Whether the footer has it.
    """

    name: str
    title: str
    keys: str
    what: str
    use: Use
    changes: bool = False
    alone: bool = False
    shown: bool = True


def use(app: SwarmdApp, name: str, rows: Sequence[Row]) -> None:
    """Do it, or say why not."""
    tool = BY_NAME[name]
    refused = app.refusal() if tool.changes else None
    if refused is None and not rows and not tool.alone:
        refused = "Choose an instance first."
    if refused is not None:
        app.notify(refused, severity="warning")
        return
    tool.use(app, rows)


# --- going to it -----------------------------------------------------------------------------


def _create(app: SwarmdApp, _rows: Sequence[Row]) -> None:
    from tui.screens.create import CreateForm

    app.push_screen(CreateForm(app.snapshot.providers))


def _open(app: SwarmdApp, rows: Sequence[Row]) -> None:
    """In the browser here; where that would not reach it, say how one reaches it."""
    from swarmd.client.browser import start_browser

    with_url = [row for row in rows if row.url]
    if not with_url:
        app.warn(f"{_named([row.ref for row in rows])}: {_NONE['URL']}")
        return
    for row in with_url[:_OPENED]:
        if (lines := tunnel_lines(app.snapshot, row)) is not None:
            _tell(app, row, lines)
            return
    try:
        for row in with_url[:_OPENED]:
            start_browser(row.url or "")
    except Unavailable as error:
        row = with_url[0]
        _tell(app, row, [f"{error.message.capitalize()}. {error.next_step}"])
    else:
        app.notify(opened(rows), markup=False, timeout=3 if len(rows) <= _OPENED else 10)


def opened(rows: Sequence[Row]) -> str:
    """Which of these were opened, and which not and why."""
    with_url = [row.ref for row in rows if row.url]
    text = f"Opened {', '.join(with_url[:_OPENED])}"
    if more := len(with_url[_OPENED:]):
        text += f"; {more} more not: no more than {_OPENED} at once"
    if without := [row.ref for row in rows if not row.url]:
        text += f"; {_named(without)}: {_NONE['URL']}"
    return text


def tunnel_lines(snapshot: Snapshot, row: Row) -> list[str] | None:
    """How to reach an instance that the browser of this machine does not; None: it does."""
    from swarmd.core.addresses import login_tunnel, provider_tunnel

    provider, url = snapshot.providers.get(row.provider), row.url or ""
    capabilities = provider.capabilities if provider is not None else None
    there = provider_tunnel(url, capabilities.tunnel if capabilities is not None else None)
    if there is not None:
        return [f"It answers on {there.host} alone. A tunnel:", there.command]
    here = login_tunnel(url, os.environ, socket.gethostname())
    return None if here is None else ["From your own machine:", here]


def _tell(app: SwarmdApp, row: Row, lines: Sequence[str]) -> None:
    from tui.screens.tell import Tell

    command = next((line for line in lines if line.startswith("ssh ")), row.url or "")
    shown = [*lines, "", "Then open:" if command != row.url else "Its URL:", row.url or ""]
    app.push_screen(Tell(row.ref, shown, command))


def _logs(app: SwarmdApp, rows: Sequence[Row]) -> None:
    app.go(Place("instance", rows[0].id, rows[0].ref, part="logs"))


# --- copying ---------------------------------------------------------------------------------


def _copy_url(app: SwarmdApp, rows: Sequence[Row]) -> None:
    _copy(app, "URL", [row.ref for row in rows], {row.ref: row.url for row in rows if row.url})


def _copy_password(app: SwarmdApp, rows: Sequence[Row]) -> None:
    async def copy() -> None:
        pairs = [(row.ref, CredentialsInstance(id=row.id)) for row in rows]
        told, failed = await answers_of(app.link, pairs)
        if failed:
            summary(app, "answered", [row.ref for row in rows], failed)
        if told:
            found = {name: each.password for name, each in told.items() if each.password}
            _copy(app, "password", list(told), found)

    app.run_worker(copy(), group="tool", exit_on_error=False)


def _copy(app: SwarmdApp, noun: str, names: Sequence[str], found: Mapping[str, str]) -> None:
    """Copy what one has as it is, what several have each after its name; tell who has none."""
    if without := [name for name in names if name not in found]:
        app.warn(f"{_named(without)}: {_NONE[noun]}")
    if not found:
        return
    if len(names) == 1:
        text, told = found[names[0]], f"{names[0]}: {noun} copied{_SHOWN[noun]}"
    else:
        text = "\n".join(f"{name} {value}" for name, value in found.items())
        told = f"{len(found)} {noun}s copied, each after its name"
    app.copy_to_clipboard(text)
    app.notify(told, markup=False, timeout=4)


def _named(names: Sequence[str]) -> str:
    more = len(names) - _OPENED
    return ", ".join(names[:_OPENED]) + (f" and {more} more" if more > 0 else "")


def _show_login(app: SwarmdApp, rows: Sequence[Row]) -> None:
    from tui.screens.tell import Tell

    async def show(row: Row) -> None:
        found = await app.link.ask(CredentialsInstance(id=row.id))
        lines = [
            f"URL       {found.url or '-'}",
            f"Password  {found.password or f'none, {_HASHED}'}",
        ]
        app.push_screen(Tell(f"{row.ref}: how to log in", lines, found.password or ""))

    _of_one(app, rows, show)


_HASHED: Final = "or only its hash is known."
_NONE: Final = {
    "URL": "no URL: not running. s starts it.",
    "password": f"no password, {_HASHED}",
}
_SHOWN: Final = {"URL": "", "password": "; ctrl+y shows it"}


def _of_one(app: SwarmdApp, rows: Sequence[Row], do: Callable[[Row], Awaitable[None]]) -> None:
    if len(rows) > 1:
        app.warn("This is for one instance at a time: escape unmarks.")
        return

    async def run() -> None:
        try:
            await do(rows[0])
        except SwarmError as error:
            app.failed(error, rows[0].ref)

    app.run_worker(run(), group="tool", exit_on_error=False)


# --- changing --------------------------------------------------------------------------------


def _update(app: SwarmdApp, rows: Sequence[Row]) -> None:
    from tui.screens.update import UpdateForm

    async def show() -> None:
        pairs = [(row.ref, GetInstance(id=row.id)) for row in rows]
        found, failed = await answers_of(app.link, pairs)
        if failed:
            summary(app, "read", [row.ref for row in rows], failed)
        if found:
            known = [app.snapshot.providers.get(record.provider) for record in found.values()]
            caps = [None if each is None else each.capabilities for each in known]
            some = [row for row in rows if row.ref in found]
            app.push_screen(UpdateForm(some, list(found.values()), caps))

    app.run_worker(show(), group="tool", exclusive=True, exit_on_error=False)


def _exec(app: SwarmdApp, rows: Sequence[Row]) -> None:
    from tui.screens.run import Run

    if len(rows) > 1:
        app.warn(f"A command runs in one instance, and {len(rows)} are marked: escape unmarks.")
    elif rows[0].status is not InstanceStatus.RUNNING:
        app.warn(f"{rows[0].ref} is {rows[0].status}: a command needs one that runs. s starts it.")
    else:
        app.push_screen(Run(rows[0], app.commands))


RECOVERIES: Final = (
    (
        RecoveryAction.RESTART,
        "Restart it by force",
        "All that runs in it is killed: terminals, servers, unsaved editors. Its files stay.",
    ),
    (
        RecoveryAction.RECREATE,
        "Make it anew",
        "The same, and all but its data is made anew: what was installed elsewhere is lost.",
    ),
)
"""What is done and lost. Moving to another provider comes with migrations."""


def _recover(app: SwarmdApp, rows: Sequence[Row]) -> None:
    from tui.screens.choose import Choose

    def answered(way: str | None) -> None:
        if way is not None:
            action = RecoveryAction(way)
            pairs = [(row.ref, RecoverInstance(id=row.id, action=action)) for row in rows]
            app.do_all("recovered", pairs)

    app.push_screen(Choose("Recover", [row.ref for row in rows], RECOVERIES), answered)


KEEPS: Final = (
    ("1h", "For an hour", "Neither idle_timeout nor max_age stops it before that."),
    ("4h", "For four hours", "Likewise, over a stop and a start too."),
    ("1d", "For a day", "Likewise."),
    ("0s", "No longer", "The lease ends; what has been due for long is stopped then."),
)
"""How long a lease may be; `swarmctl keep` takes any other length."""


def _keep(app: SwarmdApp, rows: Sequence[Row]) -> None:
    from tui.screens.choose import Choose

    def answered(way: str | None) -> None:
        if way is not None:
            length = Duration.parse(way)
            pairs = [(row.ref, KeepInstance(id=row.id, duration=length)) for row in rows]
            app.do_all("kept" if length else "kept no longer", pairs)

    app.push_screen(Choose("Keep", [row.ref for row in rows], KEEPS), answered)


def running(snapshot: Snapshot, rows: Sequence[Row]) -> list[Operation]:
    """The operations of these instances that are under way, oldest first."""
    ids = {row.id for row in rows}
    found = [
        each for each in snapshot.operations.values() if each.target in ids and not each.state.ended
    ]
    return sorted(found, key=lambda each: each.id)


def _cancel(app: SwarmdApp, rows: Sequence[Row]) -> None:
    cancel(app, running(app.snapshot, rows))


def cancel(app: SwarmdApp, operations: Sequence[Operation]) -> None:
    """Ask once, then cancel those of these that are under way."""
    some = [each for each in operations if not each.state.ended]
    if not some:
        app.warn(app.refusal() or "Nothing is under way: there is nothing to cancel.")
        return
    app.change(
        [(CancelOperation(id=each.id), f"{each.kind} of {each.target_ref}") for each in some],
        "asked to end",
        verb="Cancel",
        loses=cancelled(some),
    )


TOOLS: Final[tuple[Tool, ...]] = (
    Tool("create", "Create", "c", "Make an instance, or several.", _create, changes=True,
         alone=True),
    Tool("open", "Open", "o", "Open it in the browser, or tell how to reach it.", _open),
    Tool("update", "Change", "u", "Change memory, labels, env and the like.", _update,
         changes=True, shown=False),
    Tool("exec", "Run", "e", "Run a command in it.", _exec, changes=True, shown=False),
    Tool("recover", "Recover", "F", "End all that runs in it by force, and start it again; lets "
         "go of what is held.", _recover, changes=True, shown=False),
    Tool("keep", "Keep", "K", "Keep it from being stopped because nobody uses it.", _keep,
         changes=True, shown=False),
    Tool("logs", "Logs", "l", "Follow its log.", _logs, shown=False),
    Tool("cancel", "Cancel", "X", "Cancel what is being done to it.", _cancel, changes=True,
         shown=False),
    Tool("copy_url", "Copy URL", "y", "Copy its URL; of several, each after its name.", _copy_url,
         shown=False),
    Tool("copy_password", "Copy password", "Y", "Copy its password, unseen; of several, each "
         "after its name.", _copy_password,
         shown=False),
    Tool("show_login", "Show login", "ctrl+y", "Show its URL and password.", _show_login,
         shown=False),
)  # fmt: skip
"""In the order of the footer."""

BY_NAME: Final[dict[str, Tool]] = {tool.name: tool for tool in TOOLS}
