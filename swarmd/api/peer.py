"""Who is at the other end of a Unix socket: the kernel's word (``SO_PEERCRED``, unix(7))."""

from __future__ import annotations

import pwd
import select
import socket
import struct
from dataclasses import dataclass

from swarmd.messages.operation import Caller
from swarmd.ports import Clock

_CREDENTIALS = struct.Struct("3i")
_NAME_SECONDS = 300.0
_MAX_NAMES = 1000


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected."""

    name: str
    uid: int
    gid: int
    pid: int

    def caller(self, correlation: str) -> Caller:
        """This peer with the mark of one request."""
        return Caller(
            name=self.name, uid=self.uid, gid=self.gid, pid=self.pid, correlation=correlation
        )


class UserNames:
    """Names of uids, kept for a while: the user database may be a directory server.

    Args:
        clock: Tells how old a name is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[int, tuple[float, str]] = {}

    def of(self, uid: int) -> str:
        """The user's name; a uid without one is called by its number."""
        now = self._clock.monotonic()
        kept = self._known.get(uid)
        if kept is not None and now - kept[0] < _NAME_SECONDS:
            return kept[1]
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = str(uid)
        if len(self._known) >= _MAX_NAMES:
            self._known.clear()
        self._known[uid] = (now, name)
        return name


def read_peer(connection: socket.socket, users: UserNames) -> Peer:
    """The peer as it was when it connected."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    return Peer(name=users.of(uid), uid=uid, gid=gid, pid=pid)


def has_hung_up(fd: int) -> bool:
    """Whether the peer has closed the socket altogether, which reads alone cannot tell."""
    poll = select.poll()
    poll.register(fd, 0)
    return any(event & (select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0))
