"""Ports that nobody may have before a moment, in memory and on disk.

A daemon that makes and deletes all day long neither grows by it nor writes more each time: a
port of the range costs eight bytes, whether it is reserved or not, and a reservation one line.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from swarmd.providers.shared.durable import write_durably

_NEWEST = 1


class Reservation(Struct, frozen=True, kw_only=True):
    """One line: a port that nobody may have before a moment (seconds since the epoch)."""

    port: int
    until: float
    version: int = _NEWEST


_decoder = msgspec.json.Decoder(Reservation)


class Reserved:
    """Ports and the moments until which nobody may have them.

    Args:
        ports: The range.
        until: Those that are reserved: seconds since the epoch.
    """

    def __init__(self, ports: range, until: Mapping[int, float]) -> None:
        self._ports = ports
        self._inside = array("d", bytes(8 * len(ports)))
        self._outside: dict[int, float] = {}
        for port, moment in until.items():
            self.set(port, moment)

    def get(self, port: int, default: float = 0.0) -> float:
        """Until when a port is reserved."""
        if port in self._ports:
            return self._inside[self._ports.index(port)]
        return self._outside.get(port, default)

    def set(self, port: int, until: float) -> None:
        """Reserve a port."""
        if port in self._ports:
            self._inside[self._ports.index(port)] = until
        else:
            self._outside[port] = until

    def forget(self, now: float) -> bool:
        """Drop what is over; whether there was any."""
        over = [index for index, until in enumerate(self._inside) if 0.0 < until <= now]
        for index in over:
            self._inside[index] = 0.0
        gone = [port for port, until in self._outside.items() if until <= now]
        for port in gone:
            del self._outside[port]
        return bool(over or gone)

    def items(self) -> Iterator[tuple[int, float]]:
        """All that are reserved."""
        for port, until in zip(self._ports, self._inside, strict=True):
            if until:
                yield port, until
        yield from self._outside.items()


class ReservationFile:
    """One line for each reservation; of a port that has several the last one counts.

    A line that was cut off costs that port a day's politeness, nothing else.

    Args:
        file: In a folder that only the daemon can write to.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._is_whole = False
        """Whether it ends with a whole line, so that another one may follow."""

    def read(self) -> dict[int, float]:
        """What it tells; nothing if there is none. Raises ``OSError``."""
        try:
            data = self._file.read_bytes()
        except FileNotFoundError:
            return {}
        self._is_whole = data.endswith(b"\n")
        until = {}
        for line in data.splitlines():
            try:
                found = _decoder.decode(line)
            except msgspec.MsgspecError:
                continue
            if found.version <= _NEWEST:
                until[found.port] = found.until
        return until

    def add(
        self, port: int, until: float, every: Callable[[], Iterator[tuple[int, float]]]
    ) -> None:
        """Write one more down. Durable when this returns.

        Args:
            port: Reserved.
            until: Seconds since the epoch.
            every: All of them, this one too: if nothing can be added to the file as it is.

        Raises:
            OSError: The disk is full, or the folder cannot be written.
        """
        if not (self._is_whole and self._file.exists()):
            self.write(every())
            return
        self._is_whole = False
        with self._file.open("ab") as stream:
            stream.write(_line(port, until))
            stream.flush()
            os.fsync(stream.fileno())
        self._is_whole = True

    def write(self, every: Iterator[tuple[int, float]]) -> None:
        """Write these and no others. Durable when this returns. Raises ``OSError``."""
        self._is_whole = False
        write_durably(self._file, b"".join(_line(port, until) for port, until in every))
        self._is_whole = True


def _line(port: int, until: float) -> bytes:
    return msgspec.json.encode(Reservation(port=port, until=until)) + b"\n"
