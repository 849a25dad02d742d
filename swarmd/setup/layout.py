"""Where things lie in the SERVER directory, and how they are written so that kill -9 is harmless.

::

    SERVER/code-server.json       the manifest, written last: it exists = the installation is whole
    SERVER/code-server-VERSION/   the tree, moved here in one rename when it has been verified
    SERVER/setup.log              what pip and npm said, readable by its owner alone
    SERVER/.lock                  held while an installation runs
    SERVER/.setup/                work in progress, removed at the end:
                                  tree/ stamps/ cache/ manifest.json
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from swarmd.errors import InitializationError

DIRECTORY_MODE = 0o755
FILE_MODE = 0o644


class Layout:
    """The paths of one SERVER directory."""

    def __init__(self, server_dir: Path) -> None:
        self.server_dir = server_dir
        self.manifest = server_dir / "code-server.json"
        self.log = server_dir / "setup.log"
        self.lock = server_dir / ".lock"
        self.work = server_dir / ".setup"
        self.tree = self.work / "tree"
        self.stamps = self.work / "stamps"
        self.cache = self.work / "cache"
        self.sealed = self.work / "manifest.json"

    def published(self, version: str) -> Path:
        """Where the tree of that version ends up."""
        return self.server_dir / f"code-server-{version}"

    def create(self) -> None:
        """Make the SERVER directory, searchable by everyone whatever the umask.

        Raises:
            InitializationError: It cannot be made or written to.
        """
        try:
            make_public_directory(self.server_dir)
            self.server_dir.chmod(DIRECTORY_MODE)
            probe = self.server_dir / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InitializationError(
                f"The server directory {self.server_dir} cannot be written: {error.strerror}.",
                next_step="Run the same command as a user who may write there.",
                details={"cause": str(error)},
            ) from error

    def read_stamps(self) -> dict[str, str]:
        """Step name to the fingerprint in its stamp."""
        if not self.stamps.is_dir():
            return {}
        files = [file for file in self.stamps.iterdir() if not file.name.startswith(".")]
        return {file.name: file.read_text(encoding="utf-8") for file in files}

    def stamp(self, step: str, fingerprint: str) -> None:
        """Record that the step is done."""
        make_public_directory(self.stamps)
        write_durably(self.stamps / step, fingerprint.encode())

    def discard_work(self) -> None:
        """Forget the work in progress; the stamps go first, before what they vouch for."""
        remove_tree(self.stamps)
        remove_tree(self.work)


def make_public_directory(directory: Path) -> None:
    """Make it and what is missing above it, each searchable by everyone."""
    missing = [place for place in (directory, *directory.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(exist_ok=True)
        place.chmod(DIRECTORY_MODE)


def remove_tree(directory: Path) -> None:
    """Remove it with everything in it; nothing there is fine, anything left behind is an error."""
    if directory.exists():
        shutil.rmtree(directory)


def write_durably(file: Path, content: bytes) -> None:
    """Write it whole or not at all, and have it survive a power cut: temp, fsync, rename, fsync."""
    temporary = file.with_name(f".{file.name}.new")
    with temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.chmod(FILE_MODE)
    replace_durably(temporary, file)


def replace_durably(source: Path, target: Path) -> None:
    """Rename, and have the rename survive a power cut."""
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_readable(tree: Path) -> None:
    """Let every user read what lies below, and run what its owner may run.

    Instances run as other users than the one who installs, whose umask may be 077.
    """
    for place, _, names in os.walk(tree):
        Path(place).chmod(DIRECTORY_MODE)
        for name in names:
            file = Path(place, name)
            if not file.is_symlink():
                runs = file.stat().st_mode & 0o100
                file.chmod(DIRECTORY_MODE if runs else FILE_MODE)
