"""What else can be done with instances: what asks first, copies, opens, or has a screen of its own.

As ``actions``, one table from which keys, palette, footer and help derive.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from swarmd.errors import SwarmError, Unavailable
from swarmd.messages.enums import InstanceStatus, OperationState, RecoveryAction
from swarmd.messages.operation import Operation
from swarmd.messages.requests import (
    CancelOperation,
    CredentialsInstance,
    GetInstance,
    KeepInstance,
    RecoverInstance,
)
from swarmd.messages.units import Duration
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

    with_url = [row for row in rows if row.url][:_OPENED]
    if not with_url:
        app.notify(f"{rows[0].ref} has no URL: it does not run. s starts it.", severity="warning",
                   markup=False)  # fmt: skip
        return
    for row in with_url:
        if (lines := tunnel_lines(app.snapshot, row)) is not None:
            _tell(app, row, lines)
            return
    try:
        for row in with_url:
            start_browser(row.url or "")
    except Unavailable as error:
        row = with_url[0]
        _tell(app, row, [f"{error.message.capitalize()}. {error.next_step}"])
    else:
        app.notify(f"Opened {', '.join(row.ref for row in with_url)}", markup=False, timeout=3)


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
    urls = [row.url for row in rows if row.url]
    if not urls:
        app.notify(f"{rows[0].ref} has no URL: it does not run.", severity="warning", markup=False)
        return
    app.copy_to_clipboard("\n".join(urls))
    app.notify("URL copied" if len(urls) == 1 else f"{len(urls)} URLs copied", timeout=3)


def _copy_password(app: SwarmdApp, rows: Sequence[Row]) -> None:
    async def copy(row: Row) -> None:
        found = await app.link.ask(CredentialsInstance(id=row.id))
        if found.password is None:
            app.notify(_NO_PASSWORD, title=row.ref, severity="warning", markup=False)
            return
        app.copy_to_clipboard(found.password)
        app.notify("Password copied; ctrl+y shows it.", title=row.ref, markup=False, timeout=4)

    _of_one(app, rows, copy)


def _show_login(app: SwarmdApp, rows: Sequence[Row]) -> None:
    from tui.screens.tell import Tell

    async def show(row: Row) -> None:
        found = await app.link.ask(CredentialsInstance(id=row.id))
        lines = [f"URL       {found.url or '-'}", f"Password  {found.password or _NO_PASSWORD}"]
        app.push_screen(Tell(f"{row.ref}: how to log in", lines, found.password or ""))

    _of_one(app, rows, show)


_NO_PASSWORD: Final = "It has no password, or only its hash is known."


def _of_one(app: SwarmdApp, rows: Sequence[Row], do: Callable[[Row], Awaitable[None]]) -> None:
    if len(rows) > 1:
        app.notify("This is for one instance at a time: escape unmarks.", severity="warning")
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
        try:
            records = [await app.link.ask(GetInstance(id=row.id)) for row in rows]
        except SwarmError as error:
            app.failed(error, rows[0].ref)
            return
        known = [app.snapshot.providers.get(record.provider) for record in records]
        caps = [None if each is None else each.capabilities for each in known]
        app.push_screen(UpdateForm(rows, records, caps))

    app.run_worker(show(), group="tool", exclusive=True, exit_on_error=False)


def _exec(app: SwarmdApp, rows: Sequence[Row]) -> None:
    from tui.screens.run import Run

    if len(rows) > 1:
        app.notify("A command runs in one instance: escape unmarks.", severity="warning")
    elif rows[0].status is not InstanceStatus.RUNNING:
        text = f"{rows[0].ref} is {rows[0].status}: a command needs one that runs. s starts it."
        app.notify(text, severity="warning", markup=False)
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
    """Ask once, then cancel these."""
    from tui.screens.confirm import Confirm

    some = [each for each in operations if not each.state.ended]
    if not some:
        app.notify("Nothing is under way: there is nothing to cancel.", severity="warning")
        return
    names = [f"{each.kind} of {each.target_ref}" for each in some]
    waits = all(each.state is OperationState.PENDING for each in some)
    loses = "It was not begun yet." if waits else (
        "What was done so far stays as it is; the story of the instance tells how far it came."
    )  # fmt: skip

    def answered(yes: bool | None) -> None:
        if yes:
            pairs = [
                (name, CancelOperation(id=each.id)) for name, each in zip(names, some, strict=True)
            ]
            app.do_all("asked to end", pairs)

    app.push_screen(Confirm("Cancel", names, loses), answered)


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
    Tool("copy_url", "Copy URL", "y", "Copy its URL.", _copy_url, shown=False),
    Tool("copy_password", "Copy password", "Y", "Copy its password, unseen.", _copy_password,
         shown=False),
    Tool("show_login", "Show login", "ctrl+y", "Show its URL and password.", _show_login,
         shown=False),
)  # fmt: skip
"""In the order of the footer."""

BY_NAME: Final[dict[str, Tool]] = {tool.name: tool for tool in TOOLS}
