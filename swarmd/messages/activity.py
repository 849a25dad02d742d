"""Whether somebody uses an instance: what is kept of it, and what is shown."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class LastActivity(Struct, frozen=True, kw_only=True):
    """What is kept of an instance's use over a restart of the daemon.

    Args:
        at: When it was used last, by the wall clock: for people.
        by: By what: a browser, a command, a user's operation, its start.
        clock: The same moment in monotonic seconds of ``boot``: what is counted from.
        boot: In which life of the daemon's host.
        life: When the instance was started, as its record says.
        born: When that start was first seen, in monotonic seconds of ``boot``.
        heartbeat: The server's last heartbeat, in its own milliseconds; None: never told.
        busy: Whether a command was running.
        warned: Whether it was told that its age will end it.
    """

    at: datetime
    by: str
    clock: float
    boot: str
    life: datetime | None = None
    born: float = 0.0
    heartbeat: int | None = None
    busy: bool = False
    warned: bool = False


class Idle(Struct, frozen=True, kw_only=True):
    """The use of a running instance, and what follows from it.

    Args:
        last_used: When it was used last, as far as it is known.
        used_by: By what.
        next_step: What will be done about it by itself: ``stop``; None: nothing.
        next_at: When, unless it is used or kept meanwhile.
        why: The same in words.
    """

    last_used: datetime
    used_by: str
    next_step: str | None = None
    next_at: datetime | None = None
    why: str = ""
