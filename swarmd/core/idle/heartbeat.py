"""What a server tells of its use: code-server's answer at ``/healthz``."""

from __future__ import annotations

import re
from typing import NamedTuple

_AT = re.compile(r'"lastHeartbeat"\s*:\s*(\d{1,18})\b')
_ALIVE = re.compile(r'"status"\s*:\s*"alive"')


class Beat(NamedTuple):
    """A heartbeat as the server tells it.

    Args:
        alive: Whether somebody used it within the last minute, by the server's own clock.
        at: The last heartbeat in the server's milliseconds; 0: none since its start.
    """

    alive: bool
    at: int


def beat_of(words: str) -> Beat | None:
    """The heartbeat in a server's words; None if they tell of none (it is no code-server).

    A heartbeat comes with every request but ``/healthz``, and once a minute as long as a browser
    is connected (code-server, ``src/node/heart.ts``). ``expired`` means only that nobody looks.
    """
    found = _AT.search(words)
    if found is None:
        return None
    return Beat(_ALIVE.search(words) is not None, int(found[1]))
