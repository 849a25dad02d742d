"""How much disk a tree takes that nobody vouches for: bounded in depth, memory and time."""

from __future__ import annotations

import os
import stat

from swarmd.providers.local.data import folders
from swarmd.providers.local.data.layout import InstanceDirs
from swarmd.providers.shared.beneath import open_beneath

ENTRIES_MOST = 5_000_000
_WAITING_MOST = 64 << 20  # bytes of the paths of folders that are still to be looked at
_LINKS_MOST = 200_000  # files with several names that are remembered
_FOLDER = os.O_RDONLY | os.O_DIRECTORY


def disk_usage(dirs: InstanceDirs, *, entries: int = ENTRIES_MOST) -> int:
    """Bytes on the disk that an instance's folder takes; hard links are counted once.

    Folders that vanish, cannot be entered or lie deeper than a path can name are passed over.

    Args:
        dirs: The instance's places.
        entries: After so many, what was counted so far is the answer.
    """
    try:
        with folders.opened(dirs.root) as top:
            return _Count(top, entries).all()
    except FileNotFoundError:
        return 0


class _Count:
    """Depth first without recursion, one folder open at a time."""

    def __init__(self, top: int, entries: int) -> None:
        self._top = top
        self._entries = entries
        self._seen: set[tuple[int, int]] = set()
        self._waiting = [b"."]
        self._waiting_size = 0
        self._total = 0

    def all(self) -> int:
        while self._waiting and self._entries > 0:
            path = self._waiting.pop()
            self._waiting_size -= len(path)
            try:
                folder = open_beneath(self._top, path, _FOLDER)
            except OSError:  # vanished, closed to us, or too deep
                continue
            try:
                self._add(os.fstat(folder))
                self._folder(folder, path)
            except OSError:  # vanished while it was read
                continue
            finally:
                os.close(folder)
        return self._total

    def _folder(self, folder: int, path: bytes) -> None:
        with os.scandir(folder) as found:
            for entry in found:
                self._entries -= 1
                if self._entries <= 0:
                    return
                self._entry(folder, os.fsencode(entry.name), path)

    def _entry(self, folder: int, name: bytes, path: bytes) -> None:
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:  # gone meanwhile
            return
        if not stat.S_ISDIR(found.st_mode):
            self._add(found)
            return
        below = path + b"/" + name
        if self._waiting_size + len(below) <= _WAITING_MOST:
            self._waiting.append(below)
            self._waiting_size += len(below)

    def _add(self, found: os.stat_result) -> None:
        size = found.st_blocks * 512
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            key = (found.st_dev, found.st_ino)
            if key in self._seen:
                return
            if len(self._seen) < _LINKS_MOST:
                self._seen.add(key)
            else:
                size //= found.st_nlink
        self._total += size
