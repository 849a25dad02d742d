"""Where everything of a local instance lies, below one DATA folder (DESIGN 5 and 8).

::

    DATA/                    0711, the daemon's: names can be reached, not listed
      <id>/                  0700, the account's: what the instance may do with as it likes
        workspace/ home/ user-data/ extensions/ config.yaml
      .swarmd/<id>/          0700, the daemon's: what the instance must not forge
        record.json  log/  stamps
      .trash/<id>/           the account's folder, put aside; its private part stays in place
      .incoming/             folders that are being made, renamed into place when complete
      .doomed/               folders whose removal was recorded, renamed here before it begins

The log is in the private part although the server writes it: it holds an open descriptor, and
needs no path. So nobody but the daemon can put anything else in its place.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from swarmd.errors import StateError, ValidationError
from swarmd.providers.shared.faults import os_faults


@dataclass(frozen=True, slots=True)
class InstanceDirs:
    """The places of one instance. ``root`` and what lies in it are the account's."""

    id: str
    root: Path
    private: Path

    @property
    def workspace(self) -> Path:
        """The managed workspace, also where a git URL is cloned to."""
        return self.root / "workspace"

    @property
    def home(self) -> Path:
        """HOME of the instance, unless it uses the account's own."""
        return self.root / "home"

    @property
    def user_data(self) -> Path:
        """``--user-data-dir``."""
        return self.root / "user-data"

    @property
    def extensions(self) -> Path:
        """``--extensions-dir``."""
        return self.root / "extensions"

    @property
    def config_file(self) -> Path:
        """The server's configuration with the password: the account's, 0600."""
        return self.root / "config.yaml"

    @property
    def log(self) -> Path:
        """The folder of the log and its older pieces: the daemon's."""
        return self.private / "log"

    @property
    def record(self) -> Path:
        """What the daemon knows of the instance's process and address: the daemon's, 0600."""
        return self.private / "record.json"


@dataclass(frozen=True, slots=True)
class Layout:
    """One DATA folder.

    Args:
        root: Its absolute path.
    """

    root: Path

    def instance(self, instance_id: str) -> InstanceDirs:
        """The places of an instance, whether they exist or not."""
        _check_id(instance_id)
        return InstanceDirs(instance_id, self.root / instance_id, self.private / instance_id)

    def trash_of(self, instance_id: str) -> InstanceDirs:
        """The same while it is in the trash: the private part stays where it is."""
        _check_id(instance_id)
        return InstanceDirs(instance_id, self.trash / instance_id, self.private / instance_id)

    @property
    def private(self) -> Path:
        """One folder per instance that only the daemon enters."""
        return self.root / ".swarmd"

    @property
    def trash(self) -> Path:
        """Folders that a delete put aside."""
        return self.root / ".trash"

    @property
    def incoming(self) -> Path:
        """Folders on their way in."""
        return self.root / ".incoming"

    @property
    def doomed(self) -> Path:
        """Folders on their way out."""
        return self.root / ".doomed"

    def prepare(self) -> None:
        """Make DATA and the daemon's folders in it, with the right modes. Idempotent.

        Raises:
            StateError: One of them is a link, no folder, or another user's.
            SwarmError: They cannot be made.
        """
        with os_faults(f"preparing {self.root}"):
            self.root.mkdir(parents=True, exist_ok=True)
            self._own(self.root, 0o711, follow=True)
            for folder in (self.private, self.trash, self.incoming, self.doomed):
                folder.mkdir(mode=0o700, exist_ok=True)
                self._own(folder, 0o700, follow=False)

    def ids(self) -> set[str]:
        """The ids of which any part is here: in place, in the trash or private alone."""
        found: set[str] = set()
        for folder in (self.root, self.private, self.trash):
            try:
                found.update(entry.name for entry in folder.iterdir())
            except FileNotFoundError:
                continue
        return {name for name in found if not name.startswith(".")}

    @staticmethod
    def _own(folder: Path, mode: int, *, follow: bool) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        descriptor = os.open(folder, flags)
        try:
            found = os.fstat(descriptor)
            if found.st_uid != os.geteuid():
                raise StateError(
                    f"{folder} belongs to uid {found.st_uid}, not to the daemon",
                    next_step="Give daemon.data_dir a folder of the daemon's own.",
                )
            if stat.S_IMODE(found.st_mode) != mode:
                os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)


def _check_id(instance_id: str) -> None:
    if not instance_id or instance_id.startswith(".") or "/" in instance_id or "\0" in instance_id:
        raise ValidationError(f"{instance_id!r} is no instance id", field="id")
