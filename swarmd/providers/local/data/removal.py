"""Removing a tree that is hostile, huge, or half gone already."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from swarmd.errors import ProviderError

_DEEPEST = 64  # levels below this are moved to the top first: bounded descriptors
_PASSES = 5  # a process that still has a folder open may put something into it meanwhile
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_children(
    parent: int, names: list[str], check: Callable[[], None], *, label: str
) -> None:
    """Remove entries of a folder that only the daemon can enter, with all that is in them.

    No link is followed and no other mount is entered (a subvolume of the same mount is). Cut
    off at any point, it goes on where it was when it is called again; two at once do not
    disturb each other.

    Args:
        parent: Descriptor of the folder.
        names: The entries; those that are gone already are passed over.
        check: Called before each entry; what it raises ends the removal.
        label: Begins the names of what is moved to the top, so that it is found again.

    Raises:
        ProviderError: A filesystem is mounted inside.
        OSError: As the system says.
    """
    remover = _Remover(parent, check, label)
    pending = list(names)
    while pending:
        remover.remove(parent, os.fsencode(pending.pop()), 0)
        pending.extend(remover.take_lifted())


class _Remover:
    def __init__(self, top: int, check: Callable[[], None], label: str) -> None:
        self._top = top
        self._mount = _mount_of(top)
        self._check = check
        self._label = label
        self._lifted: list[str] = []

    def take_lifted(self) -> list[str]:
        names, self._lifted = self._lifted, []
        return names

    def remove(self, parent: int, name: bytes, depth: int) -> None:
        self._check()
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            self._remove_folder(parent, name, depth)

    def _remove_folder(self, parent: int, name: bytes, depth: int) -> None:
        if depth >= _DEEPEST:
            self._lift(parent, name)
            return
        for _ in range(_PASSES):
            try:
                os.rmdir(name, dir_fd=parent)
                return
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno not in (
                    errno.ENOTEMPTY,
                    errno.EEXIST,
                    errno.EBUSY,
                ):  # EBUSY: mounted
                    raise
            try:
                self._empty(parent, name, depth)
            except FileNotFoundError:
                return  # another removal was quicker
        raise ProviderError(
            f"{os.fsdecode(name)} is being filled while it is removed",
            next_step="End the processes that still write there, then repeat this.",
            details={"cause": os.strerror(errno.ENOTEMPTY)},
        )

    def _empty(self, parent: int, name: bytes, depth: int) -> None:
        folder = _open_folder(parent, name)
        try:
            # Not st_dev: a bind mount shares it, and a btrfs subvolume has its own.
            if _mount_of(folder) != self._mount:
                raise ProviderError(
                    f"a filesystem is mounted at {os.fsdecode(name)}; it is left alone",
                    next_step="Unmount it, then repeat this.",
                    details={"cause": os.strerror(errno.EXDEV)},
                )
            with os.scandir(folder) as entries:
                for entry in entries:
                    self.remove(folder, os.fsencode(entry.name), depth + 1)
        finally:
            os.close(folder)

    def _lift(self, parent: int, name: bytes) -> None:
        """Move a deep folder to the top, where it is removed like any other."""
        target = f"{self._label}.deep{secrets.token_hex(6)}"
        try:
            os.rename(name, target, src_dir_fd=parent, dst_dir_fd=self._top)
        except PermissionError:
            _make_usable(parent, name)
            os.rename(name, target, src_dir_fd=parent, dst_dir_fd=self._top)
        self._lifted.append(target)


def _mount_of(folder: int) -> str:
    """The number of the mount that a folder lies on."""
    text = Path(f"/proc/self/fdinfo/{folder}").read_text()
    return next(line for line in text.splitlines() if line.startswith("mnt_id:"))


def _open_folder(parent: int, name: bytes) -> int:
    try:
        folder = os.open(name, _FOLDER, dir_fd=parent)
    except PermissionError:
        _make_usable(parent, name)
        return os.open(name, _FOLDER, dir_fd=parent)
    if not os.access(f"/proc/self/fd/{folder}", os.W_OK | os.X_OK, effective_ids=True):
        os.fchmod(folder, 0o700)
    return folder


def _make_usable(parent: int, name: bytes) -> None:
    """Give ourselves every right on a folder of ours that its owner locked (mode 000)."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(name, flags, dir_fd=parent)
    try:
        Path(f"/proc/self/fd/{folder}").chmod(0o700)
    finally:
        os.close(folder)
