"""Host folders as workspaces: below the configured roots, and with the account's rights."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from swarmd.errors import ProviderError, ValidationError
from swarmd.messages.instance import InstanceConfig
from swarmd.providers.shared.account import Account, own
from swarmd.providers.shared.beneath import open_beneath, real_path
from swarmd.providers.shared.faults import os_faults, translate
from swarmd.providers.shared.rights import as_account

FIELD = "config.workspace"
_HELPER_TIMEOUT = 10.0
Roots = Sequence[str | Path]


def open_host(config: InstanceConfig, roots: Roots, account: Account) -> int:
    """Open the host folder that is an instance's workspace, with the account's rights.

    Args:
        config: Names it.
        roots: Host folders below which a workspace may lie.
        account: Whose rights.

    Returns:
        A descriptor to read from; the caller closes it.

    Raises:
        ValidationError: It is refused, as in ``check``.
    """
    wanted = config.workspace or ""
    _check_spelling(wanted)
    return _open_folder(wanted, roots, account, os.O_RDONLY)


def host_folder(wanted: str, roots: Roots, account: Account | None) -> Path:
    """Where a host folder really is, having seen that the account can work there.

    Args:
        wanted: Its path.
        roots: Host folders below which it must lie.
        account: Who must be able to read, write and enter it; None: not looked at.

    Raises:
        ValidationError: It is refused.
    """
    found = locate(wanted, roots, account)
    if account is not None and not _usable_by(found, account):
        raise ValidationError(
            f"{account.name} cannot write to the workspace {wanted}",
            field=FIELD,
            next_step=f"Let {account.name} read, write and enter it (chown or setfacl).",
        )
    return found


def locate(wanted: str, roots: Roots, account: Account | None) -> Path:
    """Where a folder below the roots really is. Raises ``ValidationError``."""
    _check_spelling(wanted)
    folder = _open_folder(wanted, roots, account, os.O_PATH)
    try:
        return real_path(folder)
    finally:
        os.close(folder)


def _check_spelling(wanted: str) -> None:
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
        else "Leave it out for a managed one. Host folders must lie below roots: list some in the "
        "provider's options (README, Configuration), then swarmctl reload.",
        details={"roots": [str(root) for root in roots]},
    )


def _open_folder(wanted: str, roots: Roots, account: Account | None, how: int) -> int:
    """Open it as the account, if one is given: whatever lies on the way is its affair."""
    root, rest = _root_of(wanted, roots)
    account = account or own()
    try:
        with as_account(account):
            top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                return open_beneath(top, rest, how | os.O_DIRECTORY, links=True)
            finally:
                os.close(top)
    except OSError as error:
        raise _not_opened(wanted, root, account, error) from error


def _not_opened(wanted: str, root: Path, account: Account, error: OSError) -> Exception:
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
            f"{account.name} cannot reach the workspace {wanted}",
            f"Let {account.name} enter the folders above it, and read it.",
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
