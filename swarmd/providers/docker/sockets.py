"""Sockets that keep a deadline, and how one to the engine comes about."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from swarmd.errors import ConfigError, SwarmError
from swarmd.providers.docker.errors import Faults
from swarmd.providers.docker.where import Target, Where

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

T = TypeVar("T")
_SLICE = 0.2
"""Seconds after which a watched wait looks whether it should end."""
_QUEUE_FULL_WAIT = 0.02
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class PatientSocket(socket.socket):
    """A socket whose waits end by a deadline that stands for the call, not for each of them.

    With none of ``deadline``, ``idle`` and ``watch`` it is a socket like any other.
    """

    deadline: float | None = None
    """``time.monotonic()`` value after which every wait raises ``TimeoutError``."""
    idle: float | None = None
    """Seconds that one wait may take."""
    watch: Callable[[], None] | None = None
    """Called a few times a second while it waits; what it raises ends the wait."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """As ``socket.recv``, within the deadline."""
        return self._patiently(lambda: super(PatientSocket, self).recv(bufsize, flags))

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:  # type: ignore[override,unused-ignore]
        """As ``socket.recv_into``, within the deadline."""
        return self._patiently(lambda: super(PatientSocket, self).recv_into(buffer, nbytes, flags))

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """As ``socket.send``, within the deadline.

        Raises:
            BrokenPipeError: Nobody reads any more; an answer may have come all the same.
        """
        try:
            return self._patiently(lambda: super(PatientSocket, self).send(data, flags))
        except (ConnectionResetError, ssl.SSLEOFError) as error:
            raise BrokenPipeError(errno.EPIPE, str(error)) from error

    def sendall(self, data: ReadableBuffer, flags: int = 0, /) -> None:
        """As ``socket.sendall``: it goes on after a wait that was only looked into."""
        with memoryview(data) as view, view.cast("B") as rest:
            sent = 0
            while sent < len(rest):
                sent += self.send(rest[sent:], flags)

    def release(self) -> None:
        """No deadline any more: the connection is a stream from now on."""
        self.deadline = self.idle = self.watch = None
        self.settimeout(None)

    def wake(self) -> None:
        """End every wait on it, from any thread.

        Not by ``SSLSocket.shutdown``: that would let a reader in another thread go on in the clear.
        """
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self, socket.SHUT_RDWR)

    def _patiently(self, act: Callable[[], T]) -> T:
        if self.deadline is None and self.idle is None and self.watch is None:
            return act()
        ends = [] if self.deadline is None else [self.deadline]
        if self.idle is not None:
            ends.append(time.monotonic() + self.idle)
        while True:
            left = min(ends, default=float("inf")) - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer in the time given")
            self.settimeout(left if self.watch is None else min(left, _SLICE))
            try:
                return act()
            except TimeoutError:
                if self.watch is not None:
                    self.watch()


class PatientTLSSocket(PatientSocket, ssl.SSLSocket):  # type: ignore[misc]
    """The same, encrypted."""


class Dialler(Protocol):
    """What connects to the engine's socket."""

    def connect(self, deadline: float) -> PatientSocket:
        """A connection; raises ``SwarmError`` or ``OSError``."""

    def words(self) -> str:
        """What is known about a connection that broke."""

    def close(self) -> None:
        """Let go."""


class Opener:
    """Opens connections to one engine, and can end them all."""

    def __init__(self, dialler: Dialler, faults: Faults) -> None:
        self._dialler = dialler
        self.faults = faults
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[PatientSocket] = weakref.WeakSet()
        self._closed = False

    def open(self, deadline: float) -> PatientSocket:
        """A new connection, whose waits end at the deadline.

        Raises:
            ProviderUnreachable: The engine is not there, or closed to us.
        """
        try:
            sock = self._dialler.connect(deadline)
        except OSError as error:
            raise self.lost(error, "connecting") from error
        sock.deadline = deadline
        with self._lock:
            self._open.add(sock)
            closed = self._closed
        if closed:
            sock.close()
            raise self.faults.closed()
        return sock

    def lost(self, error: BaseException, doing: str) -> SwarmError:
        """The error that a failure on a connection stands for."""
        return (
            self.faults.closed()
            if self._closed
            else self.faults.lost(error, doing, self._dialler.words())
        )

    def close(self) -> None:
        """End every connection; whoever waits on one wakes up. Idempotent."""
        with self._lock:
            self._closed = True
            still_open = list(self._open)
        for sock in still_open:
            sock.wake()
        self._dialler.close()


class UnixDialler:
    """Connects to a Unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    def connect(self, deadline: float) -> PatientSocket:
        """A connection."""
        return connect_unix(self._path, deadline)

    def words(self) -> str:
        """Nothing is known."""
        return ""

    def close(self) -> None:
        """Nothing is kept."""


class TcpDialler:
    """Connects to a host and port, by TLS if there are certificates.

    They are read for each connection, so that renewed ones are taken up.
    """

    def __init__(self, target: Target, where: Where) -> None:
        self._target = target
        self._where = where

    def connect(self, deadline: float) -> PatientSocket:
        """A connection, its TLS handshake done."""
        context = self._context() if self._where.tls else None
        sock = connect_tcp(self._target.host, self._target.port or 0, deadline)
        if context is None:
            return sock
        try:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            secured = context.wrap_socket(sock, server_hostname=self._target.host)
        except BaseException:
            sock.close()
            raise
        assert isinstance(secured, PatientTLSSocket)
        return secured

    def words(self) -> str:
        """Nothing is known."""
        return ""

    def close(self) -> None:
        """Nothing is kept."""

    def _context(self) -> ssl.SSLContext:
        where = self._where
        with _read("engine_ca", where.ca):
            context = ssl.create_default_context(cafile=where.ca or None)
        context.sslsocket_class = PatientTLSSocket
        if where.cert:
            with _read("engine_cert", where.cert):
                # A passphrase is never asked for at the terminal.
                context.load_cert_chain(where.cert, where.key, password="")
        return context


@contextlib.contextmanager
def _read(field: str, file: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{field}: {file} cannot be used: {error}",
            field=field,
            next_step="Give PEM files that the daemon's user may read; the key has no passphrase.",
            details={"cause": str(error)},
        ) from error


def connect_unix(path: str, deadline: float) -> PatientSocket:
    """Connect to a Unix socket.

    Raises:
        OSError: It cannot be connected to; ``TimeoutError`` at the deadline.
    """
    pause = threading.Event()
    while True:
        sock = PatientSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(_left(deadline))
            sock.connect(path)
        except BlockingIOError:
            # Its queue of connections is full, and for this kind nobody tells when it no more is.
            sock.close()
            pause.wait(_QUEUE_FULL_WAIT)
        except BaseException:
            sock.close()
            raise
        else:
            return sock


def connect_tcp(host: str, port: int, deadline: float) -> PatientSocket:
    """Connect to a host's port, trying its addresses in turn.

    Raises:
        OSError: None answers; ``TimeoutError`` at the deadline.
    """
    failed: OSError | None = None
    for family, address in _addresses(host, port, deadline):
        sock = PatientSocket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(_left(deadline))
            sock.connect(address)
            _keep_alive(sock)
        except OSError as error:
            sock.close()
            failed = error
        else:
            return sock
    raise failed or OSError(f"{host} has no address")


def _addresses(host: str, port: int, deadline: float) -> list[tuple[int, Any]]:
    """The addresses of a host; looked up in a thread, for the system's lookup has no deadline."""
    found: list[tuple[int, Any]] = []
    failed: list[OSError] = []

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            failed.append(error)
        else:
            found.extend((family, address) for family, _, _, _, address in answers)

    thread = threading.Thread(target=look_up, name="engine-lookup", daemon=True)
    thread.start()
    thread.join(_left(deadline))
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError(f"the address of {host} was not found in the time given")
    return found


def _keep_alive(sock: socket.socket) -> None:
    """Let a quiet stream notice within about a minute that the other host is gone."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no connection in the time given")
    return left
