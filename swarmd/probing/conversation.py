"""One question on one socket that never blocks: what is said, and what is waited for.

A generator, so that whoever drives it decides how to wait: it yields what the socket must
become, and is resumed when it has. Plain and TLS are the same but for the handshake.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from swarmd.ports.probe import Question
from swarmd.probing.reply import MOST, Reply

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")

READ, WRITE = 1, 2
"""What a conversation waits for: that something can be read, or written."""

_SAFE = "/?[]@!$&'()*+,;=:%-._~"
"""What stands in a path as it is (RFC 3986); anything else would end the request's line."""

_TLS_WANTS = {"SSLWantReadError": READ, "SSLWantWriteError": WRITE}
"""By name, so that nothing of TLS is loaded for those who do not use it."""

Steps = Generator[int, None, tuple[bool, str]]


class Link:
    """A socket on its way to a host.

    Args:
        host: A numeric address.
        port: 1 to 65535.

    Raises:
        OSError: No socket can be had.
    """

    __slots__ = ("_place", "connected", "socket")

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket: socket.socket = socket.socket(
            family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        )
        self._place = (host, port)
        self.connected = False

    def close(self) -> None:
        """Idempotent."""
        self.socket.close()

    def begin(self) -> None:
        """Set out; whether it arrived shows at the first thing that is done. Raises OSError."""
        _raise_if(self.socket.connect_ex(self._place), but=errno.EINPROGRESS)

    def arrive(self) -> Generator[int, None, None]:
        """Wait until it is connected. Raises OSError."""
        yield WRITE
        _raise_if(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        self.connected = True

    def secure(self) -> Generator[int, None, None]:
        """Shake hands. Whose certificate it is does not matter: the question is if it lives."""
        wrapped = _tls().wrap_socket(self.socket, do_handshake_on_connect=False)
        self.socket = wrapped
        yield from _patiently(wrapped.do_handshake, READ)

    def send(self, data: bytes) -> Generator[int, None, None]:
        """Send all of it; not having arrived yet only means to wait. Raises OSError."""
        rest = memoryview(data)
        while rest:
            sent = yield from _patiently(functools.partial(self.socket.send, rest), WRITE)
            self.connected = True
            rest = rest[sent:]

    def receive(self) -> Generator[int, None, bytes]:
        """Whatever comes next; nothing at the end. Raises OSError."""
        return (yield from _patiently(functools.partial(self.socket.recv, MOST), READ))


def converse(link: Link, question: Question) -> Steps:
    """Ask. Yields ``READ`` or ``WRITE``, returns whether it is well and what it said.

    Raises:
        OSError: The network's words.
        BadReply: The server's.
    """
    link.begin()
    if question.path is None:
        yield from link.arrive()
        return True, "connected"
    if question.address.tls:
        yield from link.arrive()
        yield from link.secure()
    # Else not even the connection is waited for: on loopback it stands by now, and that saves
    # a turn of the loop. Where it does not stand yet, sending waits for it.
    yield from link.send(_request(question.path))
    reply = Reply()
    if not question.address.tls:
        yield READ
    while not reply.feed((yield from link.receive())):
        pass
    return reply.status < question.any_below, reply.words()


def _request(path: str) -> bytes:
    target = quote(path if path.startswith("/") else f"/{path}", safe=_SAFE)
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


@functools.cache
def _tls() -> ssl.SSLContext:
    import ssl  # takes memory that a daemon without TLS need not have

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _patiently(step: Callable[[], T], blocked: int) -> Generator[int, None, T]:
    """Try until it goes through; ``blocked`` is what a plain socket waits for meanwhile."""
    while True:
        try:
            return step()
        except BlockingIOError:
            wanted = blocked
        except OSError as error:
            wanted = _TLS_WANTS.get(type(error).__name__, 0)
            if not wanted:
                raise
        yield wanted


def _raise_if(code: int, but: int = 0) -> None:
    if code not in {0, but}:
        raise OSError(code, os.strerror(code))
