"""The socket in the file system: who may reach it, and whether another daemon has it."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
import stat
from pathlib import Path
from typing import Final

from swarmd.errors import InitializationError

PATH_MAX: Final = 107
"""Bytes that fit ``sun_path`` (unix(7): 108 with the closing zero)."""

_FOLDER_MODE = 0o750
_SOCKET_MODE = 0o660
_BACKLOG = 512
_CONNECT_SECONDS = 2.0


def listen(path: Path, group: str) -> socket.socket:
    """Bind and listen; the socket appears in its place only when its access is right.

    A folder that is missing is made, 0750 and the group's; one that is there is left as it is.

    Args:
        path: Where.
        group: Who may connect beside the daemon's user; empty for nobody.

    Raises:
        InitializationError: Another daemon answers there, the place is taken by something that
            is no socket, the path is too long, the group unknown, or the folder not writable.
    """
    _check_length(path)
    gid = _group_id(group)
    try:
        _make_folder(path.parent, gid)
        _check_free(path)
        return _bind(path, gid)
    except OSError as error:
        raise InitializationError(
            f"cannot listen on {path}: {error.strerror or error}",
            field="daemon.socket",
            next_step="Choose a place that the daemon's user may write, by daemon.socket or "
            "SWARMD_SOCKET.",
            details={"cause": str(error)},
        ) from error


def remove(path: Path) -> None:
    """Take a socket whose listener is closed out of the file system, unless it is another's now.

    It is ours if it refuses connections: whoever has replaced it answers.
    """
    with contextlib.suppress(OSError):
        if _is_socket(path) and not _answers(path):
            path.unlink()


def _check_length(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > PATH_MAX:
        raise InitializationError(
            f"the socket's path has {length} bytes, more than the {PATH_MAX} of a Unix socket: "
            f"{path}",
            field="daemon.socket",
            next_step="Set daemon.socket or SWARMD_SOCKET to a shorter path.",
        )


def _group_id(group: str) -> int | None:
    if not group:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise InitializationError(
            f"there is no group {group!r}",
            field="access.socket_group",
            next_step=f"Make it (groupadd {group}), or name another in access.socket_group.",
        ) from error


def _make_folder(folder: Path, gid: int | None) -> None:
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    folder.chmod(_FOLDER_MODE)
    if gid is not None:
        os.chown(folder, -1, gid)


def _check_free(path: Path) -> None:
    if not os.path.lexists(path):
        return
    if not _is_socket(path):
        raise InitializationError(
            f"{path} is there already and is no socket",
            field="daemon.socket",
            next_step="Move it away, or choose another place by daemon.socket.",
        )
    if _answers(path):
        raise InitializationError(
            f"another daemon answers on {path}",
            field="daemon.socket",
            next_step="Use that one (swarmctl status), stop it (swarmctl call daemon.shutdown), "
            "or choose another socket and state directory.",
        )


def _is_socket(path: Path) -> bool:
    return stat.S_ISSOCK(path.lstat().st_mode)


def _answers(path: Path) -> bool:
    """Whether somebody listens there; what refuses is left over from a daemon that died."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True  # full, slow or forbidden: somebody has it
        return True


def _bind(path: Path, gid: int | None) -> socket.socket:
    """Under another name first: nobody can connect before mode and group are right."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    # By way of the folder's descriptor the longer name still fits.
    temporary = Path(f"/proc/self/fd/{folder}/.{path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX)
    try:
        temporary.unlink(missing_ok=True)
        listener.bind(str(temporary))
        try:
            temporary.chmod(_SOCKET_MODE)
            if gid is not None:
                os.chown(temporary, -1, gid)
            listener.listen(_BACKLOG)
            temporary.rename(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    except OSError:
        listener.close()
        raise
    finally:
        os.close(folder)
    listener.setblocking(False)
    return listener
