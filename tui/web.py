"""The same app in a browser: ``swarmctl web``, by textual-serve, for one person on this machine.

It listens on the loopback interface, and everything that it serves is below a path that is random:
only who has the URL that is printed gets anything. There is no cookie on purpose. A browser sends
those to every port of a host, and what an instance serves is another port of this one.
Every other origin is refused, so that no page that is open in the same browser can connect.
"""

from __future__ import annotations

import hmac
import secrets
import shlex
import socket as sockets
import sys
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from textual_serve.server import Server

from swarmd.errors import ResourceLimitError

_HEADERS: Final = {
    # Nothing is fetched from anywhere else: the page of textual-serve would ask for a font.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; frame-ancestors 'none'"
    ),
    # The path is the key: it is told to nobody, and kept nowhere.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guarded(Server):
    """The server, and who gets past it.

    Args:
        command: What is run for each page.
        listener: A bound socket of 127.0.0.1.
        token: The first part of every path that is served.
    """

    def __init__(self, command: str, listener: sockets.socket, token: str) -> None:
        port: int = listener.getsockname()[1]
        super().__init__(command, host="127.0.0.1", port=port, title="swarmd")
        self._listener = listener
        self._token = token
        self._host = f"127.0.0.1:{port}"

    @property
    def url(self) -> str:
        """What one opens."""
        return f"{self.public_url}/{self._token}/"

    def serve(self, debug: bool = False) -> None:
        """Until it is interrupted, on the socket that it was given: nobody can take it before."""
        self.debug = debug
        web.run_app(self._make_app(), sock=self._listener, print=None)

    async def _make_app(self) -> web.Application:
        """The library's app below the token's path, the guard before it."""
        outer = web.Application(middlewares=[self._guard()])
        outer.router.add_get(f"/{self._token}", self._with_slash)
        outer.add_subapp(f"/{self._token}", await super()._make_app())
        outer.on_response_prepare.append(_harden)
        return outer

    async def _with_slash(self, _: web.Request) -> web.StreamResponse:
        """Who lost the last character of the URL meant the same."""
        raise web.HTTPFound(f"/{self._token}/")

    async def on_startup(self, app: web.Application) -> None:  # the library's
        """Say nothing: ``serve`` has said where it is."""

    def _guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._check(request)
            return await handler(request)

        return guard

    def _check(self, request: web.Request) -> None:
        """Raise the refusal."""
        if not self._is_own(request):
            raise web.HTTPForbidden(text="Not from here.\n")
        given = request.path.lstrip("/").partition("/")[0]
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            raise web.HTTPForbidden(text="Open the URL that swarmctl web printed.\n")

    def _is_own(self, request: web.Request) -> bool:
        """Whether it was asked by this name, and by a page of its own if by one at all."""
        origin = request.headers.get("Origin")
        own = (None, f"http://{self._host}")
        return request.headers.get("Host") == self._host and origin in own


async def _harden(_: web.Request, response: web.StreamResponse) -> None:
    """Every answer has these headers, the refusals too."""
    response.headers.update(_HEADERS)


def _on_a_terminal(words: str) -> None:
    """For people: what reads the URL from standard output is not disturbed."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{words}\n")
        sys.stderr.flush()


def serve(
    *,
    socket: str | None = None,
    config: str | None = None,
    read_only: bool = False,
    port: int = 0,
    tell: Callable[[str], None] = print,
    hint: Callable[[str], None] = _on_a_terminal,
) -> int:
    """Serve the app until it is interrupted.

    Args:
        socket: Where the daemon listens; None: as every client finds it.
        config: The configuration file; None: as the daemon finds it.
        read_only: Refuse everything that changes something.
        port: Where to listen, at 127.0.0.1; 0: any that is free.
        tell: Is told the URL, once.
        hint: Is told how to end it, once.

    Raises:
        ResourceLimitError: The port is taken.
    """
    command = [sys.executable, "-m", "tui"]
    command += ["--socket", socket] if socket else []
    command += ["--config", config] if config else []
    command += ["--read-only"] if read_only else []
    with _listen(port) as listener:
        server = Guarded(shlex.join(command), listener, secrets.token_urlsafe(32))
        tell(server.url)
        hint("Open it in a browser on this machine. Ctrl+C ends it.")
        server.serve()
    return 0


def _listen(port: int) -> sockets.socket:
    """A socket bound to this port.

    Raises:
        ResourceLimitError: Somebody has it.
    """
    listener = sockets.socket()
    listener.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise ResourceLimitError(
            f"port {port} of 127.0.0.1 cannot be listened on: {error.strerror}",
            field="port",
            next_step="Choose another with --port, or leave it out for any that is free.",
        ) from error
    return listener
