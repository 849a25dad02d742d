"""Making, putting aside, restoring and removing the folders of an instance.

Each change of place is one rename, so that a daemon killed at any moment finds a folder either
here or there. What is made is made in ``.incoming``, where only the daemon can reach, and
handed over complete; what is removed is renamed to ``.doomed`` first.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from swarmd.errors import Conflict, ProviderError
from swarmd.providers.local.data import children
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.local.data.removal import remove_children
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.archive import PARTS
from swarmd.providers.shared.faults import os_faults

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _go_on() -> None:
    """Nothing ends this removal early."""


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A descriptor of a folder that is not a link."""
    descriptor = os.open(folder, FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def make(dirs: InstanceDirs, account: Account) -> None:
    """Make an instance's folders, or those that are missing; the others stay as they are.

    Args:
        dirs: Its places; ``Layout.prepare`` has made what lies around them.
        account: Whose they are.

    Raises:
        ResourceLimitError: The disk is full; nothing half-made is left.
        ProviderError: Something that is no folder lies in a folder's place.
    """
    with os_faults(f"making the folders of {dirs.id}"):
        for folder in (dirs.private, dirs.log):
            folder.mkdir(mode=0o700, exist_ok=True)
        if not os.path.lexists(dirs.root):
            _make_whole(dirs, account)
            return
        with opened(dirs.root) as root:
            for part in PARTS:
                _make_missing(dirs, root, part, account)


def fresh(layout: Layout, instance_id: str, account: Account) -> Path:
    """A complete set of empty folders in ``.incoming``, to be filled and then renamed."""
    target = layout.incoming / f"{instance_id}.{secrets.token_hex(6)}"
    target.mkdir(mode=0o700)
    try:
        for part in PARTS:
            (target / part).mkdir(mode=0o700)
            _give(target / part, account)
        _give(target, account)
    except OSError:
        discard(layout, target, instance_id)
        raise
    return target


def loose(layout: Layout, instance_id: str, account: Account) -> Path:
    """One empty folder of the account's in ``.incoming``, to be renamed where it is needed."""
    target = layout.incoming / f"{instance_id}.{secrets.token_hex(6)}"
    target.mkdir(mode=0o700)
    _give(target, account)
    return target


def discard(layout: Layout, folder: Path, instance_id: str) -> None:
    """Remove a folder that was never completed. Not there: return."""
    doom(layout, folder, instance_id)
    _remove_doomed(layout, instance_id, _go_on)


def place(layout: Layout, made: Path, dirs: InstanceDirs) -> None:
    """Put a folder from ``fresh`` in its place, and what was there before aside for removal."""
    with os_faults(f"putting the folder of {dirs.id} in place"):
        if os.path.lexists(dirs.root):
            dirs.root.rename(_doomed_name(layout, dirs.id))
        made.rename(dirs.root)
        sync_folder(layout.root)


def trash(layout: Layout, instance_id: str) -> None:
    """Put an instance's folder into the trash. In the trash already: return.

    Raises:
        Conflict: It is in both places (someone made it anew).
    """
    here, aside = layout.instance(instance_id).root, layout.trash_of(instance_id).root
    _move(here, aside, f"putting {instance_id} into the trash", layout)


def restore(layout: Layout, instance_id: str) -> None:
    """Take an instance's folder out of the trash. In its place already: return.

    Raises:
        Conflict: It is in both places (someone made it anew).
    """
    here, aside = layout.instance(instance_id).root, layout.trash_of(instance_id).root
    _move(aside, here, f"taking {instance_id} out of the trash", layout)


def purge(layout: Layout, instance_id: str, check: Callable[[], None] = _go_on) -> None:
    """Remove everything of an instance, wherever it lies. Nothing there: return.

    The private part goes last: while any data is left, the instance is still known. Helpers
    (a clone, an installation) that a killed daemon left running are ended first.

    Args:
        layout: The DATA folder.
        instance_id: Which one.
        check: Called before each entry; what it raises ends the removal, to be repeated.

    Raises:
        ProviderError: It cannot be removed: a mounted filesystem, a running writer.
    """
    here, aside = layout.instance(instance_id), layout.trash_of(instance_id)
    with os_faults(f"removing {instance_id}"):
        children.end_marked(instance_id)
        for folder in (here.root, aside.root, *_of(layout.incoming, instance_id)):
            doom(layout, folder, instance_id)
        _remove_doomed(layout, instance_id, check)
        doom(layout, here.private, instance_id)
        _remove_doomed(layout, instance_id, check)


def _make_whole(dirs: InstanceDirs, account: Account) -> None:
    layout = Layout(dirs.root.parent)
    made = fresh(layout, dirs.id, account)
    try:
        made.rename(dirs.root)
    except OSError:
        discard(layout, made, dirs.id)
        raise
    sync_folder(layout.root)


def _make_missing(dirs: InstanceDirs, root: int, part: str, account: Account) -> None:
    try:
        found = os.stat(part, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        made = loose(Layout(dirs.root.parent), dirs.id, account)
        os.rename(made, part, dst_dir_fd=root)
        return
    if not stat.S_ISDIR(found.st_mode):
        raise ProviderError(
            f"{dirs.root / part} is no folder any more",
            next_step="Move it away; a new folder is then made in its place.",
            details={"cause": os.strerror(errno.ENOTDIR)},
        )


def _give(folder: Path, account: Account) -> None:
    """Hand a folder that only the daemon can reach to the account."""
    if (account.uid, account.gid) != (os.geteuid(), os.getegid()):
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)


def _move(source: Path, target: Path, doing: str, layout: Layout) -> None:
    if not os.path.lexists(source):
        return
    if os.path.lexists(target):
        raise Conflict(
            f"{doing} failed: {target} is there already",
            next_step="Look which of the two folders is wanted, and move the other away.",
            details={"cause": os.strerror(errno.EEXIST)},
        )
    with os_faults(doing):
        source.rename(target)
        sync_folder(layout.root)
        sync_folder(layout.trash)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    with opened(folder) as descriptor:
        os.fsync(descriptor)


def _doomed_name(layout: Layout, instance_id: str) -> Path:
    return layout.doomed / f"{instance_id}.{secrets.token_hex(6)}"


def doom(layout: Layout, folder: Path, instance_id: str) -> None:
    """Rename a folder to where it is removed. Not there: return. Raises ``OSError``."""
    try:
        folder.rename(_doomed_name(layout, instance_id))
    except FileNotFoundError:
        return


def _remove_doomed(layout: Layout, instance_id: str, check: Callable[[], None]) -> None:
    names = [folder.name for folder in _of(layout.doomed, instance_id)]
    with opened(layout.doomed) as doomed:
        remove_children(doomed, names, check, label=instance_id)


def _of(folder: Path, instance_id: str) -> list[Path]:
    return [entry for entry in entries(folder) if entry.name.startswith(f"{instance_id}.")]


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name. Raises ``OSError``."""
    return sorted(folder.iterdir())
