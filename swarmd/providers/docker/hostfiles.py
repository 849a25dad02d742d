"""Files and folders outside the containers: below the configured roots, and nowhere else.

The engine does as root what it is told, so what a user names is looked at first: for an engine
on this host with all links resolved, for another host only as it is spelled.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from swarmd.errors import ValidationError
from swarmd.messages.instance import InstanceConfig
from swarmd.providers.docker.options import DockerOptions
from swarmd.providers.shared.beneath import open_beneath
from swarmd.providers.shared.faults import translate
from swarmd.providers.shared.hostfolder import FIELD, locate

_EXTENSION_MOST = 512 << 20


def workspace_folder(config: InstanceConfig, options: DockerOptions) -> str:
    """The folder of the engine's host that an instance's workspace is.

    Raises:
        ValidationError: It is not below ``roots``, or not there.
    """
    wanted = str(config.workspace)
    if options.engine_host is None:
        return str(locate(wanted, options.roots, None))
    path = PurePosixPath(wanted)
    roots = [PurePosixPath(root) for root in options.roots]
    inside = any(path.is_relative_to(root) for root in roots)
    if not path.is_absolute() or ".." in path.parts or not inside:
        raise ValidationError(
            f"the workspace {wanted} is not below the roots of that engine's host",
            field=FIELD,
            next_step=f"Choose a folder below {', '.join(options.roots)}."
            if options.roots
            else "Leave workspace out, or set roots in the provider's options.",
        )
    return str(path)


def check_usable(folder: str, uid: int, gid: int) -> None:
    """Refuse a folder that the instance's user could not work in.

    Only the folder itself counts: what lies above it is not there in the container. Where it
    has an access list, that decides, and is not looked into.

    Raises:
        ValidationError: That user cannot read, write and enter it.
    """
    found = Path(folder).stat()
    shift = 6 if found.st_uid == uid else 3 if found.st_gid == gid else 0
    if uid == 0 or (found.st_mode >> shift) & 0o7 == 0o7:
        return
    if "system.posix_acl_access" in os.listxattr(folder):
        return
    raise ValidationError(
        f"the image's user (uid {uid}) cannot write to the workspace {folder}",
        field=FIELD,
        next_step=f"Let uid {uid} read, write and enter it (chown or setfacl).",
    )


def read_below(wanted: str, roots: Sequence[str], field: str) -> bytes:
    """A file of this host, read if it lies below the roots.

    Args:
        wanted: Its absolute path.
        roots: Folders below which it may lie.
        field: The input to blame.

    Raises:
        ValidationError: It is elsewhere, no plain file, or too large.
    """
    for root in roots:
        if not PurePosixPath(wanted).is_relative_to(root):
            continue
        try:
            return _read(Path(root), str(PurePosixPath(wanted).relative_to(root)), field)
        except OSError as error:
            raise translate(error, f"reading {wanted}", field=field) from error
    raise ValidationError(
        f"the file {wanted} is not below the provider's roots",
        field=field,
        next_step="Put it below one of roots in the provider's options.",
    )


def _read(root: Path, name: str, field: str) -> bytes:
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        file = open_beneath(top, name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(top)
    with open(file, "rb") as stream:  # noqa: PTH123 - a descriptor, no path
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > _EXTENSION_MOST:
            raise ValidationError(
                f"{root / name} is no plain file of at most {_EXTENSION_MOST >> 20} MiB",
                field=field,
                next_step="Name the .vsix file itself.",
            )
        return stream.read()
