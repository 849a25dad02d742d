"""Ports: one for each instance's whole life, and nobody else's for a day after it.

A browser keeps what VS Code stores per origin, that is per port: an instance keeps its port over
stop and start, and a port that becomes free is left alone for a day, so that nobody finds
another's data in the browser, or another's instance behind an old bookmark.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from swarmd.errors import Conflict, ProviderError, ResourceLimitError
from swarmd.providers.shared.reserved import ReservationFile, Reserved

QUARANTINE_SECONDS = 86_400.0


class PortTaken(ProviderError):
    """Somebody else has the port that an instance was given."""


def choose(
    ports: Iterable[int],
    used: Collection[int],
    reserved: Reserved | Mapping[int, float],
    now: float,
    free: Callable[[int], bool],
) -> int | None:
    """The first port that nobody has, that is not reserved, and that the host says is free.

    Args:
        ports: The range, in order.
        used: Ports of other instances, running or not.
        reserved: Ports and the moment until which they are reserved.
        now: The moment, on the same clock.
        free: Asks the host.
    """
    for port in ports:
        if port not in used and reserved.get(port, 0.0) <= now and free(port):
            return port
    return None


class PortBook:
    """Who has which port. Thread-safe.

    Args:
        ports: The range to choose from.
        file: Where reservations are kept.
        now: Seconds since the epoch.
        free: Asks the host whether an address and port can be had.
    """

    def __init__(
        self,
        ports: range,
        file: Path,
        now: Callable[[], float],
        free: Callable[[str, int], bool] | None = None,
    ) -> None:
        self._ports = ports
        self._file = ReservationFile(file)
        self._now = now
        self._free = free or is_free
        self._lock = threading.Lock()
        self._owners: dict[int, str] = {}
        self._until = Reserved(ports, {})

    def load(self, owners: Mapping[int, str]) -> None:
        """Begin with what the records say and what is reserved on disk."""
        with self._lock:
            self._owners = dict(owners)
            self._until = Reserved(self._ports, self._file.read())

    def take(self, instance_id: str, address: str, wanted: int = 0) -> int:
        """Give a port to an instance; it keeps it until ``release``.

        Args:
            instance_id: Whose it becomes.
            address: Where it must be free.
            wanted: This one; 0 for any of the range.

        Raises:
            Conflict: The wanted one is another's.
            ResourceLimitError: The range is used up.
        """
        with self._lock:
            if wanted:
                self._check_wanted(instance_id, wanted)
                port: int | None = wanted
            else:
                port = choose(
                    self._ports,
                    self._owners,
                    self._until,
                    self._now(),
                    lambda port: self._free(address, port),
                )
            if port is None:
                raise self._exhausted()
            self._owners[port] = instance_id
            return port

    def check_wanted(self, instance_id: str, wanted: int) -> None:
        """Raise ``Conflict`` if this port is another instance's."""
        with self._lock:
            self._check_wanted(instance_id, wanted)

    def keep(self, port: int, instance_id: str) -> None:
        """Note that an instance has a port again."""
        with self._lock:
            self._owners[port] = instance_id

    def regain(self, port: int, instance_id: str) -> bool:
        """The same, unless it became another's meanwhile, or is reserved: then False."""
        with self._lock:
            if port not in self._owners and self._until.get(port, 0.0) > self._now():
                return False
            return self._owners.setdefault(port, instance_id) == instance_id

    def owned(self, instance_id: str) -> list[int]:
        """The ports that an instance has."""
        with self._lock:
            return sorted(port for port, owner in self._owners.items() if owner == instance_id)

    def release(self, port: int, instance_id: str) -> None:
        """Take a port from an instance, and reserve it for a day. Durable when this returns."""
        with self._lock:
            if self._owners.get(port) != instance_id:
                return
            until = self._now() + QUARANTINE_SECONDS
            self._until.set(port, until)
            self._file.add(port, until, self._until.items)
            del self._owners[port]

    def give_back(self, port: int, instance_id: str) -> None:
        """Take back a port that was never used: nobody knows it, so it may go to anyone."""
        with self._lock:
            if self._owners.get(port) == instance_id:
                del self._owners[port]

    def give_back_all(self, instance_id: str) -> None:
        """The same, where no record tells which port it was."""
        with self._lock:
            for port in [port for port, owner in self._owners.items() if owner == instance_id]:
                del self._owners[port]

    def forget_expired(self) -> None:
        """Drop reservations that are over."""
        with self._lock:
            if self._until.forget(self._now()):
                self._file.write(self._until.items())

    def _check_wanted(self, instance_id: str, port: int) -> None:
        owner = self._owners.get(port)
        if owner == instance_id:
            return
        if owner is not None:
            raise _refused(f"port {port} belongs to another instance")
        if self._until.get(port, 0.0) > self._now():
            raise _refused(f"port {port} belonged to an instance that was deleted today")

    def _exhausted(self) -> ResourceLimitError:
        waiting = sum(1 for port in self._ports if self._until.get(port, 0.0) > self._now())
        first, last = self._ports[0], self._ports[-1]
        return ResourceLimitError(
            f"no port is left in {first}-{last}: {waiting} of {len(self._ports)} wait for a day "
            "after their instance was deleted, the others are in use",
            field="port_range",
            next_step="Widen port_range in the provider's options, or delete instances.",
        )


def _refused(message: str) -> Conflict:
    return Conflict(
        message,
        field="config.network.ports",
        next_step="Choose another host_port, or 0 for any free one.",
    )


# --- sockets ---------------------------------------------------------------------------------


def is_free(address: str, port: int) -> bool:
    """Whether the port can be had right now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with bind(family, address, port) as bound:
            bound.listen(1)
    except OSError:
        return False
    return True


def bind(family: int, address: str, port: int) -> socket.socket:
    """A socket bound to an address and port. Raises ``OSError``."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    return listener
