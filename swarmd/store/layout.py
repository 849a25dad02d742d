"""The state directory itself: its folders and modes, its lock, what a crash left in it."""

from __future__ import annotations

import fcntl
import os
import stat
from dataclasses import dataclass

from swarmd.errors import StateError
from swarmd.store.files import Files, explained, remove, sync_folder

FOLDERS = ("instances", "operations", "stories", "health", "journal", "quarantine")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is, as text."""

    root: str

    def folder(self, name: str) -> str:
        """One of ``FOLDERS``."""
        return f"{self.root}/{name}"

    def record(self, folder: str, record_id: str) -> str:
        """The file of one record."""
        return f"{self.root}/{folder}/{record_id}.json"

    def story(self, instance_id: str) -> str:
        """The file of one story."""
        return f"{self.root}/stories/{instance_id}.jsonl"

    @property
    def node(self) -> str:
        """Who this daemon is."""
        return f"{self.root}/node.json"

    @property
    def providers(self) -> str:
        """What was enabled, cordoned or registered at run time."""
        return f"{self.root}/providers.json"

    @property
    def alerts(self) -> str:
        """What is wrong, who knows of it, and who is still to be told."""
        return f"{self.root}/alerts.json"

    @property
    def status(self) -> str:
        """The daemon's status as it last wrote it, for people and scripts."""
        return f"{self.root}/swarm-state.json"

    @property
    def metrics(self) -> str:
        """The folder of the samples; it is there once there is one."""
        return f"{self.root}/metrics"

    @property
    def ballast(self) -> str:
        """The space kept for ending a group on a full disk."""
        return f"{self.root}/ballast"


def prepare_root(files: Files, layout: Layout) -> None:
    """Make the state directory, or see that it is ours alone.

    Raises:
        StateError: It belongs to another user, others may write to it, or it is no folder.
    """
    root = layout.root
    with explained("make", root):
        os.makedirs(os.path.dirname(root), exist_ok=True)  # noqa: PTH103, PTH120
        if not os.path.lexists(root):
            files.make_folder(root)
            sync_folder(files, os.path.dirname(root))  # noqa: PTH120
    _check_owner(root)


def prepare_folders(files: Files, layout: Layout) -> None:
    """Make the folders that are missing. Only under the lock."""
    with explained("make", layout.root):
        missing = [name for name in FOLDERS if not os.path.isdir(layout.folder(name))]  # noqa: PTH112
        for name in missing:
            files.make_folder(layout.folder(name))
        if missing:
            sync_folder(files, layout.root)


def _check_owner(root: str) -> None:
    with explained("look at", root):
        found = os.stat(root)  # noqa: PTH116
    if not stat.S_ISDIR(found.st_mode):
        raise _unusable(root, "it is not a folder", "Name a folder as daemon.state_dir.")
    if found.st_uid != os.geteuid():
        raise _unusable(
            root,
            f"it belongs to user {found.st_uid}, and this daemon is user {os.geteuid()}",
            "Start swarmd as the user it belongs to, or name another daemon.state_dir.",
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _unusable(
            root,
            f"others may write to it (mode {stat.S_IMODE(found.st_mode):04o})",
            f"See that nobody changed anything in it, then: chmod 0700 {root}",
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        with explained("close to others", root):
            os.chmod(root, 0o700)  # noqa: PTH101


def _unusable(root: str, why: str, next_step: str) -> StateError:
    return StateError(
        f"the state directory {root} cannot be used: {why}",
        field="daemon.state_dir",
        next_step=next_step,
        details={"path": root},
    )


class Lock:
    """One daemon per state directory. The kernel lets go when the process ends, however."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._path = f"{root}/lock"
        self._fd = -1

    def acquire(self) -> None:
        """Take it at once or not at all. Raises ``StateError`` naming the holder."""
        with explained("open", self._path):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(self._path, flags, 0o600)
        try:
            with explained("lock", self._path):
                os.fchmod(fd, 0o600)
                self._take(fd)
                os.ftruncate(fd, 0)
                os.write(fd, f"{os.getpid()}\n".encode())
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def _take(self, fd: int) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
            raise StateError(
                f"another swarmd (pid {holder}) uses the state directory {self._root}",
                field="daemon.state_dir",
                next_step="Talk to that daemon with swarmctl, stop it, or start this one with "
                "another daemon.state_dir.",
                details={"pid": holder, "path": self._root, "cause": str(error)},
            ) from error

    def release(self) -> None:
        """Let go. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def sweep_temporaries(files: Files, layout: Layout) -> None:
    """Remove the ``*.tmp`` that a crash left. Only under the lock."""
    for folder in (layout.root, *(layout.folder(name) for name in FOLDERS)):
        with explained("sweep", folder):
            with os.scandir(folder) as entries:
                left = [entry.path for entry in entries if entry.name.endswith(".tmp")]
            for path in left:
                remove(files, path)


def set_aside(files: Files, layout: Layout, stamp: str) -> str | None:
    """Move all records into a dated folder; its path, or None if there were none."""
    full = [name for name in ("instances", "operations") if os.listdir(layout.folder(name))]  # noqa: PTH208
    if not full:
        return None
    target = f"{layout.root}/aside-{stamp}"
    with explained("set aside", layout.root):
        files.make_folder(target)
        for name in full:
            files.rename(layout.folder(name), f"{target}/{name}")
            files.make_folder(layout.folder(name))
        sync_folder(files, target)
        sync_folder(files, layout.root)
    return target
