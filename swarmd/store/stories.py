"""Stories: the bounded ledger of reasons of each instance, one file each (DESIGN 2)."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from swarmd.messages import codec
from swarmd.messages.instance import Reason
from swarmd.store.files import UNREADABLE, Files, place, read_file, remove
from swarmd.store.layout import Layout

log = logging.getLogger(__name__)
_reason = codec.decoder(Reason)


class Stories:
    """One thread appends; any thread reads.

    A line is in the file when ``append`` returns, so that a killed daemon loses none; it is
    on disk after the next ``sync``, so that a power cut may lose the last seconds.

    Args:
        files: The disk.
        layout: Where the stories are.
        length: Reasons kept of each instance. A file grows to twice that and is then cut.
    """

    def __init__(self, files: Files, layout: Layout, length: int) -> None:
        self._files = files
        self._layout = layout
        self._length = length
        self._counts: dict[str, int] = {}
        self._unsynced: set[str] = set()

    def configure(self, length: int) -> None:
        """Keep so many reasons of each instance from now on."""
        self._length = length

    def append(self, instance_id: str, reasons: Sequence[Reason]) -> None:
        """Add lines to one story. Raises ``OSError``."""
        path = self._layout.story(instance_id)
        data = b"".join(codec.encode(reason) + b"\n" for reason in reasons)
        count = self._counts.get(instance_id)
        if count is None:
            count, torn = self._look(path)
            data = b"\n" + data if torn else data
        # Forgotten until it succeeds: after a failure the file is looked at again.
        self._counts.pop(instance_id, None)
        fd = self._files.append_to(path)
        try:
            self._files.write(fd, data)
        finally:
            os.close(fd)
        self._unsynced.add(instance_id)
        count += len(reasons)
        if count >= 2 * self._length:
            count = self._shorten(path)
        self._counts[instance_id] = count

    def _look(self, path: str) -> tuple[int, bool]:
        """How many lines there are, and whether the last one is cut off."""
        try:
            data = read_file(path)
        except FileNotFoundError:
            return 0, False
        return data.count(b"\n"), bool(data) and not data.endswith(b"\n")

    def _shorten(self, path: str) -> int:
        kept = read_file(path).splitlines(keepends=True)[-self._length :]
        place(self._files, path, b"".join(kept), durable=False)
        return len(kept)

    def read(self, instance_id: str) -> Sequence[Reason]:
        """The last reasons of one instance, oldest first. Raises ``OSError``."""
        try:
            data = read_file(self._layout.story(instance_id))
        except FileNotFoundError:
            return ()
        newest: list[Reason] = []
        for line in reversed(data.splitlines()):
            if len(newest) == self._length:
                break
            try:
                newest.append(_reason.decode(line))
            except UNREADABLE:  # a line that a kill cut off
                continue
        return tuple(reversed(newest))

    def drop(self, instance_id: str) -> bool:
        """Remove one story; True if there was one. Raises ``OSError``."""
        self._counts.pop(instance_id, None)
        self._unsynced.discard(instance_id)
        return remove(self._files, self._layout.story(instance_id))

    def sync(self) -> None:
        """Wait until every line is on disk. What fails is told to the log: it is a help."""
        for instance_id in sorted(self._unsynced):
            path = self._layout.story(instance_id)
            try:
                fd = self._files.append_to(path)
                try:
                    self._files.sync(fd)
                finally:
                    os.close(fd)
            except OSError as error:
                log.warning("could not sync %s: %s", path, error)
        self._unsynced.clear()
