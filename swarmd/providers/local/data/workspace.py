"""The workspace: managed, a host folder below the configured roots, or cloned from git."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from swarmd.errors import ValidationError
from swarmd.messages.instance import InstanceConfig
from swarmd.ports import Call
from swarmd.providers.local.data import folders, git
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.shared import giturl
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.beneath import open_beneath, real_path
from swarmd.providers.shared.faults import os_faults, translate
from swarmd.providers.shared.hostfolder import Roots, host_folder, locate
from swarmd.providers.shared.rights import as_account
from swarmd.providers.shared.wishes import PATH_FIELD, check_subfolder


def check(config: InstanceConfig, roots: Roots, account: Account | None = None) -> None:
    """Refuse a workspace that cannot work here. Changes nothing.

    Args:
        config: What is asked for.
        roots: Host folders below which a workspace may lie.
        account: Who must be able to write there; None: not looked at.

    Raises:
        ValidationError: With ``field`` and what to do instead.
    """
    check_subfolder(config.workspace_path)
    wanted = config.workspace
    if wanted is None or wanted in ("", "managed"):
        return
    if giturl.is_url(wanted):
        _check_remote(giturl.parse(wanted), roots, account)
        return
    host_folder(wanted, roots, account)


def prepare(
    config: InstanceConfig,
    dirs: InstanceDirs,
    roots: Roots,
    account: Account,
    call: Call,
    *,
    home: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Path:
    """Make the workspace ready and return the folder that VS Code opens.

    A clone happens once; asked again, it returns at once, or redoes one that was cut off.

    Args:
        config: What is asked for.
        dirs: The instance's places, made by ``folders.make``.
        roots: Host folders below which a workspace may lie.
        account: Whom the instance runs as.
        call: Deadline, cancellation, progress.
        home: HOME for git; default: the instance's.
        env: Further environment for git.

    Raises:
        ValidationError: The path or URL is refused.
        ProviderError: The clone failed.
        ResourceLimitError: The disk is full; nothing half-made is left.
    """
    check_subfolder(config.workspace_path)
    wanted = config.workspace
    folder = dirs.workspace
    if wanted is not None and wanted not in ("", "managed"):
        if giturl.is_url(wanted):
            remote = _check_remote(giturl.parse(wanted), roots, account)
            _clone_once(_Clone(remote, dirs, account, home or dirs.home, dict(env or {})), call)
        else:
            folder = host_folder(wanted, roots, account)
    if not config.workspace_path:
        return folder
    return _subfolder(folder, config.workspace_path, account)


# --- git -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Clone:
    remote: giturl.Remote
    dirs: InstanceDirs
    account: Account
    home: Path
    env: Mapping[str, str]


def _check_remote(remote: giturl.Remote, roots: Roots, account: Account | None) -> giturl.Remote:
    """A repository on this host must lie below the roots, like a host folder."""
    if remote.protocol != "file":
        return remote
    found = locate(remote.url.removeprefix("file://"), roots, account)
    return giturl.Remote(f"file://{found}", "file")


def _clone_once(job: _Clone, call: Call) -> None:
    with os_faults("looking at the workspace"):
        with folders.opened(job.dirs.workspace) as workspace:
            filled = bool(_names(workspace))
        if (
            _stamp(job.dirs).exists() or filled
        ):  # it arrives by one rename: something there = all there
            return
    call.progress(f"cloning {giturl.shown(job.remote.url)}", None)
    layout = Layout(job.dirs.root.parent)
    with os_faults("preparing the clone"):
        parent = _make_parent(job)
    try:
        tree = git.clone(
            job.remote,
            parent,
            home=job.home,
            account=job.account,
            mark=job.dirs.id,
            call=call,
            env=job.env,
        )
        _put_in_place(tree, job)
    finally:
        with os_faults("removing what the clone left"):
            folders.discard(layout, parent, job.dirs.id)


def _make_parent(job: _Clone) -> Path:
    """A folder of the account's inside the instance's: git, run as it, must reach the path."""
    with folders.opened(job.dirs.root) as root:
        for name in _names(root):
            if name.startswith(".clone."):  # a clone that was cut off
                folders.discard(Layout(job.dirs.root.parent), job.dirs.root / name, job.dirs.id)
    made = folders.loose(Layout(job.dirs.root.parent), job.dirs.id, job.account)
    target = job.dirs.root / f".clone.{secrets.token_hex(6)}"
    made.rename(target)
    return target


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _put_in_place(tree: Path, job: _Clone) -> None:
    with os_faults("putting the clone in place"):
        with folders.opened(job.dirs.root) as root, folders.opened(tree.parent) as parent:
            os.rename(tree.name, "workspace", src_dir_fd=parent, dst_dir_fd=root)
            os.fsync(root)
        note_cloned(job.dirs)


def note_cloned(dirs: InstanceDirs) -> None:
    """Remember that the clone was completed, also if the user empties the folder later.

    Raises:
        OSError: The note cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    stamp = os.open(_stamp(dirs), flags, 0o600)
    try:
        os.fsync(stamp)
    finally:
        os.close(stamp)
    folders.sync_folder(dirs.private)


def _stamp(dirs: InstanceDirs) -> Path:
    return dirs.private / "cloned"


# --- the folder that VS Code opens -----------------------------------------------------------


def _subfolder(workspace: Path, wanted: str, account: Account) -> Path:
    """Open the folder below the workspace, making what is missing; no link leads out of it.

    All as the account: it may swap any part of the path while this looks, and then gets what
    it could have made itself.
    """
    try:
        with as_account(account):
            top = os.open(workspace, os.O_PATH | folders.FOLDER)
            try:
                folder = _make_below(top, PurePosixPath(wanted).parts)
            finally:
                os.close(top)
        try:
            return real_path(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise ValidationError(
                f"the workspace_path {wanted!r} is no folder inside the workspace",
                field=PATH_FIELD,
                next_step="Choose a folder below the workspace, not behind a link out of it.",
                details={"cause": str(error)},
            ) from error
        raise translate(error, f"making {wanted} in the workspace", field=PATH_FIELD) from error


def _make_below(top: int, parts: Sequence[str]) -> int:
    flags = os.O_PATH | os.O_DIRECTORY
    here = open_beneath(top, ".", flags)
    for depth in range(1, len(parts) + 1):
        path = "/".join(parts[:depth])
        try:
            below = open_beneath(top, path, flags, links=True)
        except FileNotFoundError:
            try:
                os.mkdir(parts[depth - 1], 0o755, dir_fd=here)
                below = open_beneath(here, parts[depth - 1], flags)
            except BaseException:
                os.close(here)
                raise
        except BaseException:
            os.close(here)
            raise
        os.close(here)
        here = below
    return here
