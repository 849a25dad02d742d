"""The health of each instance, one file each, written lazily (DESIGN 5)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from swarmd.messages import codec
from swarmd.messages.health import InstanceHealth
from swarmd.store.files import UNREADABLE, Files, place, read_file, remove
from swarmd.store.layout import Layout

log = logging.getLogger(__name__)
_health = codec.decoder(InstanceHealth)


class Healths:
    """Any thread gives and reads; one thread writes.

    What a crash loses is what was given in the last seconds. What cannot be read, or written,
    is told to the log: it is a help, and the next probe begins anew.

    Args:
        files: The disk.
        layout: Where they are.
    """

    def __init__(self, files: Files, layout: Layout) -> None:
        self._files = files
        self._layout = layout
        self._lock = threading.Lock()
        self._given: dict[str, InstanceHealth] = {}

    def give(self, healths: Iterable[InstanceHealth]) -> None:
        """Keep these; of several of one instance the last."""
        with self._lock:
            self._given.update((each.id, each) for each in healths)

    def read(self, instance_id: str) -> InstanceHealth | None:
        """The last that was given, or is on disk."""
        with self._lock:
            given = self._given.get(instance_id)
        if given is not None:
            return given
        path = self._layout.record("health", instance_id)
        try:
            return _health.decode(read_file(path))
        except FileNotFoundError:
            return None
        except (*UNREADABLE, OSError) as error:
            log.warning("could not read %s: %s", path, error)
            return None

    def sync(self) -> None:
        """Write what was given. What the disk does not take is tried again."""
        with self._lock:
            given, self._given = self._given, {}
        for instance_id, health in given.items():
            path = self._layout.record("health", instance_id)
            try:
                place(self._files, path, codec.encode(health), durable=False)
            except OSError as error:
                log.warning("could not write %s: %s", path, error)
                with self._lock:
                    self._given.setdefault(instance_id, health)

    def drop(self, instance_id: str) -> None:
        """Its instance is gone. Raises ``OSError``."""
        with self._lock:
            self._given.pop(instance_id, None)
        remove(self._files, self._layout.record("health", instance_id))
