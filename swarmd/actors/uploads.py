"""Where an archive waits between its sending and its import: a spooled file of the daemon's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from swarmd.errors import ResourceLimitError, ValidationError

_PIECE = 1 << 20


class Spool:
    """Uploads below the state directory, each a 0600 file named by its id.

    Args:
        folder: Made if missing.
        new_id: Makes ids.
    """

    def __init__(self, folder: Path, new_id: Callable[[], str]) -> None:
        self._folder = folder
        self._new_id = new_id

    def prepare(self, wanted: frozenset[str]) -> None:
        """At a start: make the folder; remove what no operation wants any more."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            if path.name not in wanted:
                path.unlink()

    def open(self) -> SpooledUpload:
        """A new upload. Raises ``ResourceLimitError`` if no file can be made."""
        upload_id = self._new_id()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return SpooledUpload(self._folder / f"{upload_id}.part", upload_id)
        except OSError as error:
            raise no_room(error) from error

    def read(self, upload_id: str) -> Iterator[bytes]:
        """The bytes of a finished upload. Raises ``ValidationError`` if there is none."""
        if not upload_id.isalnum():
            raise ValidationError(f"{upload_id!r} is no upload", field="upload")
        try:
            file = (self._folder / upload_id).open("rb")
        except FileNotFoundError:
            raise ValidationError(
                f"there is no upload {upload_id}",
                field="upload",
                next_step="Send the archive again: swarmctl import FILE.",
            ) from None
        with file:
            while piece := file.read(_PIECE):
                yield piece

    def remove(self, upload_id: str) -> None:
        """Forget a finished upload; nothing if it is gone."""
        if upload_id.isalnum():
            (self._folder / upload_id).unlink(missing_ok=True)


class SpooledUpload:
    """One upload being written. See ``ports.Upload``."""

    def __init__(self, path: Path, upload_id: str) -> None:
        self._path = path
        self._id = upload_id
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._total = 0
        self._open = True

    def write(self, data: bytes) -> int:
        """Append; the bytes taken so far. Raises ``ResourceLimitError`` on a full disk."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            self.abort()
            raise no_room(error) from error
        self._total += len(data)
        return self._total

    def finish(self) -> str:
        """All is here: the id that ``instance.import`` takes."""
        self._close()
        self._path.rename(self._path.with_suffix(""))
        return self._id

    def abort(self) -> None:
        """Forget it."""
        if self._open:
            self._close()
            self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        self._open = False
        os.close(self._file)


def no_room(error: OSError) -> ResourceLimitError:
    """A spooled file that could not be written."""
    return ResourceLimitError(
        f"the archive cannot be kept: {error.strerror}",
        next_step="Free disk space for the state directory; swarmctl doctor shows what is left.",
        details={"cause": str(error)},
    )
