"""What is remembered of one instance's use."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from swarmd.core.idle.heartbeat import Beat
from swarmd.messages.activity import LastActivity

A_BROWSER = "a browser"
A_COMMAND = "a command"
ITS_START = "its start"
FIRST_SEEN = "swarmd began to watch it"
LEFT_RUNNING = "a command that ran when swarmd ended"


class Moment(NamedTuple):
    """One moment on two clocks.

    Args:
        at: The wall clock's time, UTC: for people and for leases.
        clock: Monotonic seconds of this boot: what is counted with.
    """

    at: datetime
    clock: float


class Activity:
    """The memory of one instance's use. It belongs to one monitor and is changed in place.

    Attributes:
        last: When it was used last.
        by: By what.
        life: When it was started, as its record says.
        born: When that start was first seen here, in monotonic seconds.
        hears: Whether its server tells of its use; None: it has not answered yet in this life.
        heard: When it told that last.
        quiet: When it told first that nobody uses it, since somebody did.
        heartbeat: The last one that it told, in its own milliseconds.
        busy: Whether a command runs in it.
        warned: Whether it was told that its age will end it.
    """

    __slots__ = (
        "_lease",
        "born",
        "busy",
        "by",
        "heard",
        "hears",
        "heartbeat",
        "last",
        "life",
        "quiet",
        "warned",
    )

    def __init__(self, now: Moment, life: datetime | None = None) -> None:
        self.last, self.by = now, FIRST_SEEN
        self.life, self.born = life, now.clock
        self.busy = False
        self._lease: tuple[datetime, float] | None = None
        self.heartbeat: int | None = None
        self._begin()

    def _begin(self) -> None:
        """Nothing was heard of this life yet."""
        self.hears: bool | None = None
        self.heard: float | None = None
        self.quiet: float | None = None
        self.warned = False

    # --- what happens ------------------------------------------------------------------------

    def used(self, by: str, now: Moment) -> None:
        """Somebody uses it."""
        self.last, self.by, self.quiet = now, by, None

    def lives(self, life: datetime | None, now: Moment) -> None:
        """Told of another start it begins a new life; told of the same, nothing happens."""
        if life is None or life == self.life:
            return
        self.life, self.born, self.heartbeat = life, now.clock, None
        self._begin()
        self.used(ITS_START, now)

    def answered(self, beat: Beat | None, now: Moment) -> None:
        """Its server was asked and answered well.

        A heartbeat is use from now on, whatever the server's clock shows: one that has changed
        since the last answer came in between, also while nobody asked.

        Args:
            beat: What it told; None: it tells of no heartbeats.
            now: When it was heard.
        """
        self.hears = beat is not None
        if beat is None:
            return
        self.heard = now.clock
        new = beat.at not in (0, self.heartbeat)
        self.heartbeat = beat.at
        if beat.alive or new:
            self.used(A_BROWSER, now)
        elif self.quiet is None:
            self.quiet = now.clock

    def runs(self, commands: int, now: Moment) -> None:
        """So many commands run in it: that is use until they end."""
        self.busy = commands > 0
        if self.busy:
            self.used(A_COMMAND, now)

    # --- what follows ------------------------------------------------------------------------

    def idle(self, now: Moment) -> float:
        """Seconds since it was used last."""
        return max(0.0, now.clock - self.last.clock)

    def age(self, now: Moment) -> float:
        """Seconds since its start was seen."""
        return max(0.0, now.clock - self.born)

    def lease(self, until: datetime | None, now: Moment) -> float:
        """Seconds for which it is to be kept still; 0 without a lease.

        A wall clock that is set forward does not shorten it.

        Args:
            until: When the lease ends, as the record says.
            now: The time.
        """
        if until is None:
            self._lease = None
            return 0.0
        left = (until - now.at).total_seconds()
        if self._lease is None or self._lease[0] != until:
            self._lease = (until, now.clock + left)
        return max(0.0, left, self._lease[1] - now.clock)

    # --- over a restart of the daemon --------------------------------------------------------

    def to_keep(self, boot: str) -> LastActivity:
        """What is kept on disk.

        Args:
            boot: In which life of the host the monotonic seconds count.
        """
        return LastActivity(
            at=self.last.at,
            by=self.by,
            clock=self.last.clock,
            boot=boot,
            life=self.life,
            born=self.born,
            heartbeat=self.heartbeat,
            busy=self.busy,
            warned=self.warned,
        )

    def restore(self, kept: LastActivity, boot: str, now: Moment) -> None:
        """Take up what was kept of this life; what was kept of another one says nothing.

        After another boot of the host the seconds of the last one mean nothing: it is counted
        anew. A command that ran may run on, unseen: it is use until now.
        """
        if kept.life is None or kept.life != self.life:
            return
        self.heartbeat = kept.heartbeat
        if kept.boot != boot or kept.clock > now.clock:
            return
        self.last, self.by = Moment(kept.at, kept.clock), kept.by
        self.born, self.warned = min(kept.born, now.clock), kept.warned
        if kept.busy:
            self.used(LEFT_RUNNING, now)
