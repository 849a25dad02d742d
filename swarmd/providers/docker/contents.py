"""What this process put into containers: so their files need neither be read nor put again.

Both cost the engine a tenth of a second. And an engine before 23.0 mounts a container's volumes
into its folder for it, even if that is being removed just then: with the folder it empties the
volumes. So nothing is read or put where somebody else ended a container: he may go on to remove
it.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from swarmd.providers.docker.container import Image
from swarmd.providers.docker.files import MADE_PATH, File, Made, tar_of

_SECONDS = 30.0
"""Later than this, somebody may have changed one by hand that has not been started yet."""


@dataclass(frozen=True, slots=True)
class Content:
    """What lies in a container.

    Args:
        image: What it was made of.
        made: What ``instance.json`` in it says.
        digest: Of the other settings that lie in it: the password itself is not kept.
        until: Moment (``time.monotonic()``) until which nobody has changed it by hand.
    """

    image: Image
    made: Made
    digest: bytes
    until: float

    @property
    def is_fresh(self) -> bool:
        """Whether it was put in just now."""
        return time.monotonic() < self.until

    def has(self, made: Made, files: Iterable[File]) -> bool:
        """Whether a container in which this lies needs none of these files."""
        return in_effect(self.made) == in_effect(made) and self.digest == digest_of(files)


class Contents:
    """Remembers it by container. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Content] = {}

    def note(self, ref: str, image: Image, made: Made, files: Iterable[File]) -> None:
        """These files were put in."""
        content = Content(image, made, digest_of(files), time.monotonic() + _SECONDS)
        with self._lock:
            self._known[ref] = content

    def of(self, ref: str) -> Content | None:
        """What was put into a container; None if it was not this process, or is not sure."""
        with self._lock:
            return self._known.get(ref)

    def forget(self, refs: Collection[str]) -> None:
        """These are gone, or were changed."""
        with self._lock:
            for ref in refs:
                self._known.pop(ref, None)

    def known(self) -> set[str]:
        """All that there are notes of."""
        with self._lock:
            return set(self._known)


def in_effect(made: Made) -> Made:
    """What a container says that was started: what was put in is in effect from then on."""
    return made if made.applied is not None else replace(made, applied=made.config)


def digest_of(files: Iterable[File]) -> bytes:
    """Two of the same digest are the same settings, whatever else is noted beside them."""
    private = [file for file in files if file.path != MADE_PATH]
    return hashlib.sha256(tar_of(private)).digest()
