"""The manifest of an installation: what is installed, and the command that starts it.

Reading it is all that it takes to find an installation: no child process, no walk.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from swarmd.errors import InitializationError
from swarmd.setup.layout import Layout

SETUP_COMMAND = "swarmctl setup code-server"


class InstalledServer(msgspec.Struct, frozen=True, kw_only=True):
    """An installation that is whole.

    Args:
        version: Of code-server.
        command: Start of the argument vector; code-server's own options follow it.
        installed_at: When it was finished, UTC.
        source: ``npm`` or ``archive``.
    """

    version: str
    command: tuple[str, ...]
    installed_at: datetime
    source: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``SERVER/code-server.json``. Its command is relative to SERVER, so that SERVER may move."""

    version: str
    command: tuple[str, ...]
    installed_at: datetime
    source: str
    fingerprint: str

    def installed(self, server_dir: Path) -> InstalledServer | None:
        """The installation that this describes, if its files are there."""
        files = [server_dir.absolute() / part for part in self.command]
        if not files or not all(file.is_file() for file in files):
            return None
        return InstalledServer(
            version=self.version,
            command=tuple(str(file) for file in files),
            installed_at=self.installed_at,
            source=self.source,
        )


def read_manifest(server_dir: Path) -> Manifest | None:
    """The manifest, or None if there is none or it makes no sense.

    Raises:
        InitializationError: It exists and may not be read.
    """
    file = Layout(server_dir).manifest
    try:
        return msgspec.json.decode(file.read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    except OSError as error:
        raise InitializationError(
            f"The manifest of the managed code-server, {file}, cannot be read: {error.strerror}.",
            next_step=f"Make {server_dir} readable for this user, or run {SETUP_COMMAND} again.",
            details={"cause": str(error)},
        ) from error


def find_installed(server_dir: Path) -> InstalledServer | None:
    """The managed installation in ``server_dir``, or None. Cheap: reads one small file.

    Raises:
        InitializationError: There is a manifest that may not be read.
    """
    manifest = read_manifest(server_dir)
    return manifest.installed(server_dir) if manifest else None


def require_installed(server_dir: Path) -> InstalledServer:
    """The managed installation in ``server_dir``.

    Raises:
        InitializationError: There is none; the next step names the command that makes it.
    """
    found = find_installed(server_dir)
    if found is None:
        raise InitializationError(
            f"code-server is not installed: there is no whole installation in {server_dir}.",
            next_step=f"Run {SETUP_COMMAND}, or put a code-server of your own on PATH.",
        )
    return found
