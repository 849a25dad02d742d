"""Ending one direction of a TLS connection while the other goes on, which ``ssl`` cannot do."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl

from swarmd.providers.shared.faults import os_faults


def drain(sock: ssl.SSLSocket) -> bytes:
    """What TLS has decrypted already: at most one record."""
    found = b""
    while sock.pending():
        found += sock.recv(sock.pending())
    return found


def close_notify(sock: ssl.SSLSocket) -> tuple[bytes, bool]:
    """TLS's end of our direction, as bytes to be sent, and whether the other one has ended too.

    ``unwrap`` sends them and then waits for the other side's, and takes whatever else comes
    for a fatal error: it cannot be used while output is still on its way. So, meanwhile, the
    socket's descriptor leads to a pair of sockets where nothing comes.
    """
    with os_faults("ending the input of a stream"), contextlib.ExitStack() as cleanup:
        near, far = socket.socketpair()
        cleanup.callback(near.close)
        cleanup.callback(far.close)
        near.setblocking(False)
        far.setblocking(False)
        real = os.dup(sock.fileno())
        cleanup.callback(os.close, real)
        os.dup2(near.fileno(), sock.fileno(), inheritable=False)
        try:
            over = _unwrap(sock)
        finally:
            os.dup2(real, sock.fileno(), inheritable=False)
        told, shut = _collect(far)
        if shut:  # someone ended the connection right then and met the pair instead
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        return told, over


def _unwrap(sock: ssl.SSLSocket) -> bool:
    try:
        sock.unwrap()
    except ssl.SSLWantReadError:
        return False
    except (ssl.SSLError, OSError):
        return True
    return True


def _collect(far: socket.socket) -> tuple[bytes, bool]:
    """Everything that was sent there, and whether its sender was shut down."""
    found = b""
    while True:
        try:
            data = far.recv(4096)
        except BlockingIOError:
            return found, False
        if not data:
            return found, True
        found += data
