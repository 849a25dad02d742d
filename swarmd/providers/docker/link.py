"""The connection to one engine: made when first needed, made again when it was lost.

Every call passes here, has a deadline as a whole, and fails in this project's words.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

from swarmd.errors import ProviderUnreachable, SwarmError
from swarmd.providers.docker.errors import Faults, message_of, no_reason, was_closed
from swarmd.providers.docker.sockets import Dialler, Opener, TcpDialler, UnixDialler
from swarmd.providers.docker.tunnel import Tunnel
from swarmd.providers.docker.where import Where, check_where
from swarmd.providers.docker.wire import Answer, exchange

if TYPE_CHECKING:
    from docker import APIClient

T = TypeVar("T")
_WATCHERS = 4
"""Connections kept beyond the parallel calls: status sweeps, probes, stats."""
_REFUSAL_BYTES = 64 << 10


class Link:
    """Calls and streams of one engine; safe in any number of threads.

    Args:
        name: The provider's name.
        where: The engine's place.
        parallel: Calls that usually run at once.

    Raises:
        ConfigError: The place must not, or cannot, be connected to.
    """

    def __init__(self, name: str, where: Where, parallel: int) -> None:
        target = check_where(where)
        self.faults = Faults(name, where.url)
        dialler: Dialler
        if target.scheme == "unix":
            dialler = UnixDialler(target.path)
        elif target.scheme == "tcp":
            dialler = TcpDialler(target, where)
        else:
            dialler = Tunnel(target, where.ssh_options, self.faults)
        self._opener = Opener(dialler, self.faults)
        self._size = parallel + _WATCHERS
        self._lock = threading.Lock()
        self._client: APIClient | None = None
        self._stale = False

    def do(
        self,
        doing: str,
        within: float,
        act: Callable[[APIClient], T],
        *,
        again: bool = False,
        once: bool = False,
    ) -> T:
        """Make a call through the SDK.

        Args:
            doing: In words, for errors: "starting web".
            within: Seconds for all of it.
            act: The call.
            again: Repeat it once if the connection was closed before an answer came: for reads.
            once: Do not even repeat what the engine refused for its version of the API.

        Raises:
            SwarmError: What came of it instead.
        """
        from swarmd.providers.docker.sdk import FAILURES, translate, until

        deadline = time.monotonic() + within
        tries = 1 if once else 2
        while True:
            tries -= 1
            try:
                client = self._ready(deadline, doing)
                with until(deadline):
                    return act(client)
            except ProviderUnreachable:
                self._stale = True
                raise
            except FAILURES as error:
                fault = translate(error, doing, self._opener)
                repeat = self._look_again(fault) or (again and was_closed(error))
                if not (tries and repeat):
                    raise fault from error

    def stream(
        self,
        doing: str,
        method: str,
        path: str,
        within: float,
        *,
        query: Mapping[str, str] | str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        watch: Callable[[], None] | None = None,
    ) -> Answer:
        """Make a call on a connection of its own, and return when the head of its answer is there.

        The connection is the caller's to close, and keeps the deadline until it is released.

        Args:
            doing: In words, for errors.
            method: HTTP's.
            path: Below the version of the API, quoted.
            within: Seconds until the head is there.
            query: Unquoted names and values, or quoted text.
            headers: Further ones.
            body: All of it.
            watch: Called while it waits; what it raises ends it.

        Raises:
            SwarmError: What came of it instead.
        """
        deadline = time.monotonic() + within
        while True:
            version = self._version(deadline, doing)
            text = query if isinstance(query, str) else urlencode(query)
            url = f"/v{version}{path}" + (f"?{text}" if text else "")
            try:
                answer = self._exchange(doing, method, url, headers or {}, body, deadline, watch)
            except SwarmError as fault:
                if self._look_again(fault) and self._version(deadline, doing) != version:
                    continue
                raise
            return answer

    def lost(self, error: BaseException, doing: str) -> SwarmError:
        """The error of a stream that broke."""
        self._stale = True
        return self._opener.lost(error, doing)

    def close(self) -> None:
        """End every connection and the tunnel. Idempotent."""
        self._opener.close()
        client = self._client
        if client is not None:
            client.close()

    def _version(self, deadline: float, doing: str) -> str:
        from swarmd.providers.docker.sdk import FAILURES, translate

        try:
            return self._ready(deadline, doing).api_version
        except FAILURES as error:
            raise translate(error, doing, self._opener) from error

    def _ready(self, deadline: float, doing: str) -> APIClient:
        """The client; after a loss the engine's version is asked for again."""
        from swarmd.providers.docker.sdk import make_client, until

        client = self._client
        if client is not None and not self._stale:
            return client
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise self.faults.silent(doing)
        try:
            if self._client is None or self._stale:
                with until(deadline):
                    self._client = make_client(self._opener, self._size, self._client)
                self._stale = False
            return self._client
        finally:
            self._lock.release()

    def _look_again(self, fault: SwarmError) -> bool:
        """Whether to ask for the engine's version, and whether that may cure a refusal."""
        outdated = "client version" in fault.message and "API version" in fault.message
        if outdated or isinstance(fault, ProviderUnreachable):
            self._stale = True
        return outdated

    def _exchange(
        self,
        doing: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        deadline: float,
        watch: Callable[[], None] | None,
    ) -> Answer:
        sock = self._opener.open(deadline)
        try:
            sock.watch = watch
            answer = exchange(sock, method, url, headers, body)
            if answer.status < 400:
                return answer
            raise self._refusal(answer, doing)
        except (OSError, http.client.HTTPException) as error:
            sock.close()
            raise self.lost(error, doing) from error
        except BaseException:
            sock.close()
            raise

    def _refusal(self, answer: Answer, doing: str) -> SwarmError:
        content = b""
        for piece in answer.body():
            content += piece
            if len(content) > _REFUSAL_BYTES:
                break
        words = message_of(content)
        if words is None:
            return self.faults.alien(no_reason(answer.status, content))
        return self.faults.refused(answer.status, words, doing)


def json_headers(**more: str) -> dict[str, str]:
    """The headers of a request whose body is JSON."""
    return {"Content-Type": "application/json", **more}
