"""Carrying one wish out on many: side by side, with one summary at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from swarmd.errors import SwarmError
from swarmd.messages.requests import Request
from tui.link import DaemonLink
from tui.model.words import told

if TYPE_CHECKING:
    from tui.app import SwarmdApp

AT_ONCE: Final = 8
_NAMED: Final = 5
_READ_SECONDS: Final = 15.0


async def answers_of(
    link: DaemonLink, pairs: Sequence[tuple[str, Request]]
) -> tuple[dict[str, Any], dict[str, SwarmError]]:
    """Ask for all of them, so many at a time.

    Args:
        link: The connection.
        pairs: Whom it is for, and what is asked.

    Returns:
        The answers; and those that failed, and why. Both in the order of ``pairs``.
    """
    turn = asyncio.Semaphore(AT_ONCE)

    async def ask(request: Request) -> Any:
        async with turn:
            try:
                return await link.ask(request)
            except SwarmError as error:
                return error

    answers = await asyncio.gather(*(ask(request) for _, request in pairs))
    named = list(zip((name for name, _ in pairs), answers, strict=True))
    failed = {name: answer for name, answer in named if isinstance(answer, SwarmError)}
    return {name: answer for name, answer in named if name not in failed}, failed


async def each_of(link: DaemonLink, pairs: Sequence[tuple[str, Request]]) -> dict[str, SwarmError]:
    """Ask for all of them, as ``answers_of``; what failed is all that matters."""
    return (await answers_of(link, pairs))[1]


def summary(
    app: SwarmdApp, done: str, names: Sequence[str], failed: Mapping[str, SwarmError]
) -> None:
    """Say once how it went: with one its name, with many how many, each failure with its reason.

    Args:
        app: Says it.
        done: What has happened to them: "stopped".
        names: For whom it was asked.
        failed: Those for whom it failed.
    """
    if not failed:
        text = f"{names[0]}: {done}" if len(names) == 1 else f"{len(names)} {done}"
        app.notify(text, markup=False, timeout=3)
        return
    if len(names) == 1:
        title, text = names[0], told(failed[names[0]])
    else:
        title = f"{len(names) - len(failed)} of {len(names)} {done}, {len(failed)} not"
        shown = list(failed.items())[:_NAMED]
        text = "\n".join(f"{name}: {told(error)}" for name, error in shown)
        if len(failed) > _NAMED:
            text += f"\nand {len(failed) - _NAMED} more; what each has to say is in its story."
    app.notify(text, title=title, severity="error", markup=False, timeout=_READ_SECONDS)
