"""The engine's events, as they happen."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Any

from swarmd.providers.docker.link import Link
from swarmd.providers.docker.pulling import json_lines
from swarmd.providers.docker.wire import Answer

_DOING = "following its events"


class EventStream:
    """An iterator of the engine's events; each is a dictionary as the engine says it.

    ``close`` ends it, from any thread. If the engine goes away, the iteration raises
    ``ProviderUnreachable``: what happened meanwhile has to be looked up.
    """

    def __init__(self, link: Link, answer: Answer) -> None:
        self._link = link
        self._answer = answer
        self._closed = False
        answer.sock.release()
        self._lines = json_lines(answer.body())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        """The next event. Blocks.

        Raises:
            ProviderUnreachable: The stream broke.
        """
        try:
            event = next(self._lines, None)
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._end(error)
        else:
            if event is not None and not self._closed:
                return event
            self._end(EOFError("the engine ended the stream"))
        raise StopIteration

    def close(self) -> None:
        """End it; a reader in another thread wakes up. Idempotent."""
        self._closed = True
        self._answer.sock.wake()

    def _end(self, error: Exception) -> None:
        """Close the connection, in the thread that read it; raise if nobody wanted it closed."""
        closed, self._closed = self._closed, True
        self._answer.sock.close()
        if not closed:
            raise self._link.lost(error, _DOING) from error

    def __del__(self) -> None:
        self._answer.sock.close()
