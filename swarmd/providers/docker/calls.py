"""What every part of the engine's API is made of: reads, posts, streams."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from swarmd.providers.docker.channel import Channel
from swarmd.providers.docker.link import Link
from swarmd.providers.docker.wire import Answer

if TYPE_CHECKING:
    from docker import APIClient

T = TypeVar("T")
SAFE = "/:@"
"""What stands unquoted in a path: names of images have them."""
POLL_SECONDS = 0.02


class Calls:
    """Calls of one engine, through its link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def _do(self, doing: str, within: float, act: Callable[[APIClient], object]) -> None:
        self._link.do(doing, within, act)

    def _read(self, kind: type[T], doing: str, within: float, act: Callable[[APIClient], Any]) -> T:
        return self._link.do(doing, within, lambda api: checked(kind, act(api)), again=True)

    def _get(
        self, kind: type[T], doing: str, path: str, query: Mapping[str, str], within: float
    ) -> T:
        from swarmd.providers.docker.sdk import call

        return self._read(kind, doing, within, lambda api: call(api, "GET", path, query))

    def _post(
        self, doing: str, path: str, body: Mapping[str, Any], within: float, name: str = ""
    ) -> dict[str, Any]:
        from swarmd.providers.docker.sdk import call

        query = {"name": name} if name else {}
        return self._link.do(
            doing, within, lambda api: checked(dict, call(api, "POST", path, query, dict(body)))
        )

    def _pieces(self, answer: Answer, doing: str) -> Generator[bytes]:
        """The body, begun already: so that closing the generator closes the connection."""
        pieces = self._body(answer, doing)
        next(pieces)
        return pieces

    def _body(self, answer: Answer, doing: str) -> Generator[bytes]:
        try:
            yield b""
            yield from answer.body()
        except (OSError, http.client.HTTPException) as error:
            raise self._link.lost(error, doing) from error
        finally:
            answer.sock.close()


def channel_of(answer: Answer) -> Channel:
    """The stream that an answer has begun; the deadline is over for it."""
    answer.sock.release()
    return Channel(answer.sock, multiplexed=True, chunked=answer.chunked, rest=answer.rest)


def left(deadline: float) -> float:
    """Seconds until then, at least 0."""
    return max(0.0, deadline - time.monotonic())


def checked(kind: type[T], value: Any) -> T:
    """What the engine answered, if it is of this kind.

    Raises:
        TypeError: It is not; no engine answers so.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected, not {type(value).__name__}")
    return value
