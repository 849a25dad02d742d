"""The workspace: managed, a host folder below the configured roots, or cloned from git."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from swarmd.errors import ProviderError, ValidationError
from swarmd.messages.instance import InstanceConfig
from swarmd.ports import Call
from swarmd.providers.local.account import Account
from swarmd.providers.local.data import folders, git
from swarmd.providers.local.data.beneath import open_beneath, real_path
from swarmd.providers.local.data.faults import os_faults, translate
from swarmd.providers.local.data.layout import InstanceDirs, Layout

FIELD, PATH_FIELD = "config.workspace", "config.workspace_path"
_HELPER_TIMEOUT = 10.0
Roots = Sequence[str | Path]


def check(config: InstanceConfig, roots: Roots, account: Account | None = None) -> None:
    """Refuse a workspace that cannot work here. Changes nothing.

    Args:
        config: What is asked for.
        roots: Host folders below which a workspace may lie.
        account: Who must be able to write there; None: not looked at.

    Raises:
        ValidationError: With ``field`` and what to do instead.
    """
    _check_subfolder(config.workspace_path)
    wanted = config.workspace
    if wanted is None or wanted in ("", "managed"):
        return
    if git.is_url(wanted):
        _check_remote(git.parse(wanted), roots)
        return
    _host_folder(wanted, roots, account)


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
    _check_subfolder(config.workspace_path)
    wanted = config.workspace
    folder = dirs.workspace
    if wanted is not None and wanted not in ("", "managed"):
        if git.is_url(wanted):
            remote = _check_remote(git.parse(wanted), roots)
            _clone_once(_Clone(remote, dirs, account, home or dirs.home, dict(env or {})), call)
        else:
            folder = _host_folder(wanted, roots, account)
    if not config.workspace_path:
        return folder
    return _subfolder(folder, config.workspace_path, account)


# --- host folders ----------------------------------------------------------------------------


def _host_folder(wanted: str, roots: Roots, account: Account | None) -> Path:
    """Open a host folder beneath its root and say where it really is."""
    if "\0" in wanted or not wanted.startswith("/"):
        raise ValidationError(
            f"the workspace {wanted!r} is neither an absolute path nor a git URL",
            field=FIELD,
            next_step="Give an absolute path, a git URL, or leave it out for a managed one.",
        )
    if ".." in PurePosixPath(wanted).parts:
        raise ValidationError(
            f"the workspace {wanted!r} has .. in it",
            field=FIELD,
            next_step="Give the path without it.",
        )
    root, rest = _root_of(wanted, roots)
    folder = _open_folder(wanted, root, rest)
    try:
        found = real_path(folder)
    finally:
        os.close(folder)
    if account is not None and not _usable_by(found, account):
        raise ValidationError(
            f"{account.name} cannot write to the workspace {wanted}",
            field=FIELD,
            next_step=f"Let {account.name} read, write and enter it (chown or setfacl).",
        )
    return found


def _root_of(wanted: str, roots: Roots) -> tuple[Path, str]:
    path = PurePosixPath(wanted)
    for given in roots:
        for root in (Path(given), Path(given).resolve()):
            if path.is_relative_to(root):
                return root, str(path.relative_to(root))
    listed = ", ".join(str(root) for root in roots)
    raise ValidationError(
        f"the workspace {wanted} lies outside the configured roots",
        field=FIELD,
        next_step=f"Choose a folder below {listed}."
        if roots
        else "Leave it out for a managed one; host folders need roots in the provider's options.",
        details={"roots": [str(root) for root in roots]},
    )


def _open_folder(wanted: str, root: Path, rest: str) -> int:
    try:
        top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return open_beneath(top, rest, os.O_PATH | os.O_DIRECTORY, links=True)
        finally:
            os.close(top)
    except OSError as error:
        raise _not_opened(wanted, root, error) from error


def _not_opened(wanted: str, root: Path, error: OSError) -> Exception:
    known = {
        errno.ENOENT: (f"the workspace {wanted} does not exist", "Create the folder first."),
        errno.ENOTDIR: (f"the workspace {wanted} is no folder", "Give the path of a folder."),
        errno.EXDEV: (
            f"the workspace {wanted} leads out of {root} by a link",
            f"Choose a folder that lies below {root} itself.",
        ),
        errno.ELOOP: (
            f"the workspace {wanted} goes over a link that cannot be followed",
            "Give the path without the link.",
        ),
        errno.EACCES: (
            f"the daemon cannot reach the workspace {wanted}",
            "Let the daemon's user enter the folders above it.",
        ),
        errno.ENAMETOOLONG: ("the workspace's path is too long", "Choose a shorter path."),
    }
    if error.errno not in known:
        return translate(error, f"opening the workspace {wanted}", field=FIELD)
    message, next_step = known[error.errno]
    return ValidationError(message, field=FIELD, next_step=next_step, details={"cause": str(error)})


def _usable_by(folder: Path, account: Account) -> bool:
    """Whether the account can read, write and enter a folder, access lists and all."""
    if not account.foreign:
        return os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True)
    argv = ["test", "-r", str(folder), "-a", "-w", str(folder), "-a", "-x", str(folder)]
    with os_faults(f"asking whether {account.name} can use {folder}"):
        try:
            ended = subprocess.run(
                argv,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env={"PATH": os.defpath},
                cwd="/",
                timeout=_HELPER_TIMEOUT,
                **account.popen,
            )
        except subprocess.TimeoutExpired as error:
            raise ProviderError(
                f"the folder {folder} does not answer",
                field=FIELD,
                next_step="Look at the filesystem that it lies on.",
                details={"cause": str(error)},
            ) from error
    return ended.returncode == 0


# --- git -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Clone:
    remote: git.Remote
    dirs: InstanceDirs
    account: Account
    home: Path
    env: Mapping[str, str]

    @property
    def stamp(self) -> Path:
        """Says that the clone was completed, also if the user empties the folder later."""
        return self.dirs.private / "cloned"


def _check_remote(remote: git.Remote, roots: Roots) -> git.Remote:
    """A repository on this host must lie below the roots, like a host folder."""
    if remote.protocol != "file":
        return remote
    found = _host_folder(remote.url.removeprefix("file://"), roots, None)
    return git.Remote(f"file://{found}", "file")


def _clone_once(job: _Clone, call: Call) -> None:
    with os_faults("looking at the workspace"):
        with folders.opened(job.dirs.workspace) as workspace:
            filled = bool(_names(workspace))
        if job.stamp.exists() or filled:  # it arrives by one rename: something there = all there
            return
    call.progress(f"cloning {git.shown(job.remote.url)}", None)
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
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(job.stamp, flags, 0o600))


# --- the folder that VS Code opens -----------------------------------------------------------


def _check_subfolder(wanted: str | None) -> None:
    if not wanted:
        return
    path = PurePosixPath(wanted)
    if path.is_absolute():
        why, next_step = "is absolute", "Give a path relative to the workspace."
    elif ".." in path.parts:
        why, next_step = "has .. in it", "Give a path below the workspace."
    elif "\0" in wanted:
        why, next_step = "has a zero byte in it", "Give the path without it."
    else:
        return
    raise ValidationError(
        f"the workspace_path {wanted!r} {why}", field=PATH_FIELD, next_step=next_step
    )


def _subfolder(workspace: Path, wanted: str, account: Account) -> Path:
    """Open the folder below the workspace, making what is missing; no link leads out of it."""
    try:
        top = os.open(workspace, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            folder = _make_below(top, PurePosixPath(wanted).parts, account)
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


def _make_below(top: int, parts: Sequence[str], account: Account) -> int:
    flags = os.O_PATH | os.O_DIRECTORY
    here = open_beneath(top, ".", flags)
    for depth in range(1, len(parts) + 1):
        path = "/".join(parts[:depth])
        try:
            below = open_beneath(top, path, flags, links=True)
        except FileNotFoundError:
            try:
                below = _make_one(here, parts[depth - 1], account)
            except BaseException:
                os.close(here)
                raise
        except BaseException:
            os.close(here)
            raise
        os.close(here)
        here = below
    return here


def _make_one(parent: int, name: str, account: Account) -> int:
    """Make a folder and hand it over; what someone swaps in meanwhile is not handed over."""
    os.mkdir(name, 0o755, dir_fd=parent)
    made = os.open(name, folders.FOLDER, dir_fd=parent)
    try:
        found = os.fstat(made)
        with os.scandir(made) as entries:
            empty = next(entries, None) is None
        if not (stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and empty):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        if account.foreign:
            os.fchown(made, account.uid, account.gid)
    except BaseException:
        os.close(made)
        raise
    return made
