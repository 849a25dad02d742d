"""Who is at the other end of a Unix socket: the kernel's word (``SO_PEERCRED``, unix(7))."""

from __future__ import annotations

import pwd
import select
import socket
import struct
from dataclasses import dataclass

from swarmd.messages.operation import Caller

_CREDENTIALS = struct.Struct("3i")


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


def read_peer(connection: socket.socket) -> Peer:
    """The peer as it was when it connected. A uid without a name is called by its number."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Peer(name=name, uid=uid, gid=gid, pid=pid)


def has_hung_up(fd: int) -> bool:
    """Whether the peer has closed the socket altogether, which reads alone cannot tell."""
    poll = select.poll()
    poll.register(fd, 0)
    return any(event & (select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0))
