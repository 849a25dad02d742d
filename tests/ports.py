"""Ranges of ports that no two daemons of all the tests on this machine have at once.

A daemon takes the first free port of its range and keeps it over a stop: one that another daemon
took meanwhile is a start that fails.
"""

from __future__ import annotations

import atexit
import random
import socket
from collections import defaultdict, deque

_FIRST = 10_000
_HUNDREDS = 220
"""All are below the ports that the kernel gives to outgoing connections."""
_IN_USE = 6
"""The most daemons and engines that one test has, and a module's beside them."""


class Ports:
    """Some hundred ports.

    A name in the abstract namespace is held for each hundred, and goes with its process.

    Args:
        hundreds: How many hundred.
    """

    def __init__(self, hundreds: int = 1) -> None:
        starts = range(0, _HUNDREDS - hundreds + 1, hundreds)
        for start in random.sample(starts, len(starts)):
            self._held = [socket.socket(socket.AF_UNIX) for _ in range(hundreds)]
            try:
                for number, each in enumerate(self._held, start):
                    each.bind(f"\0swarmd-test-ports-{number}")
            except OSError:
                self.close()
                continue
            first = _FIRST + start * 100
            self.range = f"{first}-{first + hundreds * 100 - 1}"
            return
        raise RuntimeError("every range of ports is taken by a test")

    def close(self) -> None:
        """Let others have them."""
        for each in self._held:
            each.close()


_mine: defaultdict[int, deque[Ports]] = defaultdict(deque)


def port_range(hundreds: int = 2) -> str:
    """A range for who does not say when it is done with it.

    This process keeps it, and gives it out again after some others: its tests have ended by then.
    """
    mine = _mine[hundreds]
    if len(mine) < _IN_USE:
        mine.append(Ports(hundreds))
        atexit.register(mine[-1].close)
    else:
        mine.rotate(-1)
    return mine[-1].range
