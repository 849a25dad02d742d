"""Containers that this process has just made: their first start need not ask how they are.

Reading or writing a file of a container that does not run costs the engine a tenth of a second.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from swarmd.providers.docker.container import Image
from swarmd.providers.docker.files import File, Made, tar_of

_SECONDS = 30.0
"""Later than this, somebody may have changed a container by hand."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """A container as it was made.

    Args:
        image: What it was made of.
        made: What ``instance.json`` in it says.
        digest: Of the settings that lie in it: the password itself is not kept.
        until: Moment (``time.monotonic()``) until which this is relied on.
    """

    image: Image
    made: Made
    digest: bytes
    until: float


class Freshly:
    """Remembers them until their first start or change, for half a minute. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Fresh] = {}

    def note(self, ref: str, image: Image, made: Made, files: Iterable[File]) -> None:
        """A container was made, and these files put in."""
        now = time.monotonic()
        fresh = Fresh(image, made, digest_of(files), now + _SECONDS)
        with self._lock:
            self._known = {old: one for old, one in self._known.items() if one.until > now}
            self._known[ref] = fresh

    def take(self, ref: str) -> Fresh | None:
        """What is known of a container that is about to be started or changed; known no longer."""
        with self._lock:
            found = self._known.pop(ref, None)
        return found if found is not None and found.until > time.monotonic() else None


def digest_of(files: Iterable[File]) -> bytes:
    """Two of the same digest are the same files."""
    return hashlib.sha256(tar_of(files)).digest()
