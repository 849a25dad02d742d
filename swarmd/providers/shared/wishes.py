"""What of a configuration is wrong wherever the instance runs."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from swarmd.errors import ValidationError
from swarmd.messages.instance import InstanceConfig

PATH_FIELD = "config.workspace_path"
EXTENSIONS_FIELD = "config.extensions"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\.[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9.+-]+)?")


def check_subfolder(wanted: str | None) -> None:
    """Refuse a ``workspace_path`` that is not below the workspace.

    Raises:
        ValidationError: It is absolute, or leads out.
    """
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


def check_extensions(config: InstanceConfig) -> None:
    """Refuse what is neither a marketplace id nor an absolute path of a .vsix file.

    A file is read by the installing command, and so with the rights of the account that the
    instance runs as: it discloses nothing that a terminal in the instance would not.

    Raises:
        ValidationError: With the entry in ``field``.
    """
    for index, wanted in enumerate(config.extensions):
        if not is_file(wanted):
            if _ID.fullmatch(wanted) is None:
                raise refused(
                    index, f"{wanted!r} is no extension", "Give publisher.name or a .vsix file."
                )
            continue
        path = PurePosixPath(wanted)
        if not path.is_absolute() or ".." in path.parts or "\0" in wanted:
            raise refused(
                index,
                f"the extension file {wanted!r} is not an absolute path without ..",
                "Give the file's absolute path on the host of the daemon.",
            )


def is_file(wanted: str) -> bool:
    """Whether an extension is named by its file."""
    return wanted.lower().endswith(".vsix") or "/" in wanted


def refused(index: int, message: str, next_step: str) -> ValidationError:
    """The error that blames one of the extensions."""
    return ValidationError(message, field=f"{EXTENSIONS_FIELD}[{index}]", next_step=next_step)
