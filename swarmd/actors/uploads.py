"""Where an archive waits between its sending and its import: a spooled file of the daemon's."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from swarmd.errors import Conflict, ResourceLimitError, ValidationError

log = logging.getLogger("swarmd.uploads")

_PIECE = 1 << 20
_KEPT_SECONDS = 6 * 3600.0
_LONGEST_ID = 64


class Spool:
    """Uploads below the state directory, each a 0600 file named by its id.

    Args:
        folder: Made if missing.
        new_id: Makes ids.
    """

    def __init__(self, folder: Path, new_id: Callable[[], str]) -> None:
        self._folder = folder
        self._new_id = new_id
        self._used: set[str] = set()

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
        if not (upload_id.isalnum() and len(upload_id) <= _LONGEST_ID):
            raise ValidationError("this is no id of an upload", field="upload")
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

    def used(self, upload_id: str | None) -> None:
        """Its import has ended: the next sweep removes it. Cheap, from any thread."""
        if upload_id:
            self._used.add(upload_id)

    @property
    def due(self) -> bool:
        """Whether a sweep would find something that was imported."""
        return bool(self._used)

    def sweep(self, wanted: frozenset[str]) -> None:
        """Remove what was imported, and what was sent long ago and never imported.

        Args:
            wanted: Those that an import under way needs.
        """
        # What ended after ``wanted`` was told is still wanted there: it stays for the next sweep.
        used = frozenset(self._used) - wanted
        for path in self._folder.iterdir():
            if path.stem in wanted:
                continue
            try:
                if path.stem in used or time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                    path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                log.warning("the upload %s cannot be removed: %s", path.name, error)
        self._used -= used


class SpooledUpload:
    """One upload being written. See ``ports.Upload``."""

    def __init__(self, path: Path, upload_id: str) -> None:
        self._path = path
        self._id = upload_id
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._total = 0
        self._lock = threading.Lock()

    def write(self, data: bytes) -> int:
        """Append; the bytes taken so far.

        Raises:
            ResourceLimitError: The disk is full; the upload is forgotten.
            Conflict: It is over.
        """
        view = memoryview(data)
        with self._lock:
            self._check_open()
            try:
                while view:
                    view = view[os.write(self._file, view) :]
            except OSError as error:
                self._forget()
                raise no_room(error) from error
            self._total += len(data)
            return self._total

    def finish(self) -> str:
        """All is here: the id that ``instance.import`` takes. Raises as ``write`` does."""
        with self._lock:
            self._check_open()
            self._close()
            try:
                self._path.rename(self._path.with_suffix(""))
            except OSError as error:
                raise no_room(error) from error
            return self._id

    def abort(self) -> None:
        """Forget it. Idempotent; waits for a write that is under way."""
        with self._lock:
            if self._file >= 0:
                self._forget()

    def _check_open(self) -> None:
        if self._file < 0:
            raise Conflict(
                "this upload is over", field="stream", next_step="Open another: upload.open."
            )

    def _forget(self) -> None:
        self._close()
        self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        # Never the number again: by the next call it may be another file's.
        os.close(self._file)
        self._file = -1


def no_room(error: OSError) -> ResourceLimitError:
    """A spooled file that could not be written."""
    return ResourceLimitError(
        f"the archive cannot be kept: {error.strerror}",
        next_step="Free disk space for the state directory; swarmctl doctor shows what is left.",
        details={"cause": str(error)},
    )
