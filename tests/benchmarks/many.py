"""A state directory with thousands of stopped instances, as a daemon would have left it.

One instance is created and stopped by a real daemon; the others are its files again under
other ids and names, so that records and folders are exactly what the daemon writes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ulid import ULID

from tests.daemon import DaemonProcess

ORIGINAL = "n00000"


def fill(daemon: DaemonProcess, count: int) -> None:
    """Have so many stopped instances in a daemon's directories; it does not run afterwards."""
    daemon.start()
    made = daemon.create(ORIGINAL)
    daemon.call("instance.stop", id=ORIGINAL)
    daemon.stop()
    for number in range(1, count):
        copy(daemon, made["id"], str(ULID()).lower(), f"n{number:05}")


def copy(daemon: DaemonProcess, old: str, new: str, name: str) -> None:
    """One more instance like the first."""
    record = daemon.state / "instances" / f"{old}.json"
    record.with_name(f"{new}.json").write_text(renamed(record.read_text(), old, new, name))
    for folder in (daemon.data / old, daemon.data / ".swarmd" / old):
        shutil.copytree(folder, folder.with_name(new), symlinks=True)
    private = daemon.data / ".swarmd" / new
    for file in (path for path in private.rglob("*") if path.is_file()):
        file.write_text(renamed(file.read_text(), old, new, name))


def renamed(text: str, old: str, new: str, name: str) -> str:
    """A file's text for the other instance."""
    return text.replace(old, new).replace(ORIGINAL, name)


def records(daemon: DaemonProcess) -> list[Path]:
    """The files of all instances."""
    return sorted((daemon.state / "instances").glob("*.json"))
