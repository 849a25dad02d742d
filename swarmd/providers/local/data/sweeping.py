"""Finishing removals that were cut off, and removing what was never completed.

Putting aside is quick and comes before anything is made; removing may take long, or fail for
one folder (root's files below a daemon without rights, a mount), and is done in the background:
neither may keep the daemon from its instances.
"""

from __future__ import annotations

import os
import threading

from swarmd.errors import SwarmError
from swarmd.providers.local.data import folders
from swarmd.providers.local.data.layout import Layout
from swarmd.providers.local.data.removal import remove_children


class _Closed(Exception):
    """The daemon ends: the rest is left to the next start."""


class Sweeper:
    """Tidies one DATA folder once.

    Args:
        layout: The DATA folder, prepared.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting: list[str] = []
        self.problems: dict[str, str] = {}

    def start(self) -> None:
        """Put aside what was never completed, and begin to remove in the background."""
        self.put_aside()
        if self._waiting and self._thread is None:
            self._thread = threading.Thread(target=self.remove, name="sweep", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the removal at its next entry, and wait for that."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def put_aside(self) -> None:
        """Rename what is half-made to where it is removed. One that cannot be is noted."""
        layout = self._layout
        try:
            made = folders.entries(layout.incoming)
            waiting = [(folder, folder.name.split(".")[0]) for folder in made]
            waiting += [(layout.private / name, name) for name in _unknown(layout)]
        except OSError as error:
            self.problems[str(layout.root)] = str(error)
            return
        for folder, instance_id in waiting:
            try:
                folders.doom(layout, folder, instance_id)
            except OSError as error:
                self.problems[str(folder)] = str(error)
        try:
            self._waiting = [folder.name for folder in folders.entries(layout.doomed)]
        except OSError as error:
            self.problems[str(layout.doomed)] = str(error)

    def remove(self) -> int:
        """Remove what was put aside, and say how many folders went. Raises nothing."""
        gone = 0
        for name in self._waiting:
            if self._closed.is_set():
                break
            try:
                with folders.opened(self._layout.doomed) as doomed:
                    remove_children(doomed, [name], self._check, label=name.split(".")[0])
                gone += 1
            except _Closed:
                break
            except SwarmError as error:
                self.problems[str(self._layout.doomed / name)] = error.message
            except OSError as error:
                self.problems[str(self._layout.doomed / name)] = str(error)
        return gone

    def _check(self) -> None:
        if self._closed.is_set():
            raise _Closed


def sweep(layout: Layout) -> int:
    """All of it at once. Returns how many folders went."""
    sweeper = Sweeper(layout)
    sweeper.put_aside()
    return sweeper.remove()


def _unknown(layout: Layout) -> list[str]:
    """Private folders of which nothing else is there: no record, no data, nothing in the trash."""
    found = []
    private = os.fspath(layout.private)
    for name in os.listdir(private):  # noqa: PTH208 - ten thousand names, and no path for each
        if name.startswith(".") or os.path.lexists(f"{private}/{name}/record.json"):
            continue
        elsewhere = (layout.instance(name).root, layout.trash_of(name).root)
        if not any(map(os.path.lexists, elsewhere)):
            found.append(name)
    return found
