"""Where files go that cannot be read: kept, with the reason beside each."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence

from swarmd.store.files import Files, explained, place, read_file, sync_folder

log = logging.getLogger(__name__)
_WHY = ".why"


class Quarantine:
    """The folder ``quarantine/``.

    Args:
        files: The disk.
        root: The state directory.
        stamp: The time now, fit for a file name.
    """

    def __init__(self, files: Files, root: str, stamp: Callable[[], str]) -> None:
        self._files = files
        self._root = root
        self._folder = f"{root}/quarantine"
        self._stamp = stamp
        self._lock = threading.Lock()
        self.count = 0
        """How many files are here: since the last look, and what came meanwhile."""

    def take(self, path: str, why: str) -> str:
        """Move a file here. The line that tells of it."""
        name = self._free_name(os.path.relpath(path, self._root).replace("/", "-"))
        with explained("set aside", path), self._lock:
            # The reason first: a file here without one would be a riddle.
            place(self._files, f"{self._folder}/{name}{_WHY}", why.encode())
            self._files.rename(path, f"{self._folder}/{name}")
            self.count += 1
            sync_folder(self._files, self._folder)
        return self._told(name, why)

    def keep(self, name: str, data: bytes, why: str) -> str:
        """Keep bytes that were cut from a file. The line that tells of it."""
        name = self._free_name(name)
        with explained("keep", f"{self._folder}/{name}"), self._lock:
            place(self._files, f"{self._folder}/{name}{_WHY}", why.encode())
            place(self._files, f"{self._folder}/{name}", data)
            self.count += 1
            sync_folder(self._files, self._folder)
        return self._told(name, why)

    def lines(self) -> Sequence[str]:
        """One line for each file here, oldest first."""
        return tuple(f"quarantine/{name}: {self._why(name)}" for name in self.look())

    def look(self) -> Sequence[str]:
        """The names of the files here, oldest first; people may have taken some away."""
        with explained("read", self._folder), self._lock, os.scandir(self._folder) as entries:
            names = [each.name for each in entries if not each.name.endswith((_WHY, ".tmp"))]
            self.count = len(names)
        return sorted(names)

    def _why(self, name: str) -> str:
        try:
            return read_file(f"{self._folder}/{name}{_WHY}").decode("utf-8", "replace")
        except OSError:
            return "set aside; the reason was not kept"

    def _free_name(self, name: str) -> str:
        stem = f"{self._stamp()}-{name}"
        taken, number = stem, 1
        while os.path.lexists(f"{self._folder}/{taken}"):
            number += 1
            taken = f"{stem}.{number}"
        return taken

    def _told(self, name: str, why: str) -> str:
        line = f"quarantine/{name}: {why}"
        log.warning("set aside: %s", line)
        return line
