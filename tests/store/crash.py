"""Ways for the disk to go wrong at a chosen step, for this room and for end-to-end tests.

Every change that the store makes to the disk is a method of ``swarmd.store.files.Files``.
``CrashingFiles(n)`` ends the process at the n-th of them, as ``kill -9`` would;
``FailingFiles(n, errno)`` lets it fail. A daemon of an end-to-end test gets one through
``install()``, called before the daemon is built, and the environment of its process:
``SWARMD_TEST_CRASH_AT=n``.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import swarmd.store.store
from swarmd.store.files import Files

CRASH_AT = "SWARMD_TEST_CRASH_AT"
EXIT = 9


class SteppedFiles(Files):
    """Calls ``step`` before every change; counts them."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self, name: str, path: str = "") -> None:
        self.steps += 1

    def create(self, path: str) -> int:
        self.step("create", path)
        return super().create(path)

    def append_to(self, path: str) -> int:
        self.step("append_to", path)
        return super().append_to(path)

    def write(self, fd: int, data: bytes) -> None:
        half = len(data) // 2
        self.step("write")
        super().write(fd, data[:half])
        self.step("write the rest")
        super().write(fd, data[half:])

    def sync(self, fd: int) -> None:
        self.step("sync")
        super().sync(fd)

    def truncate(self, fd: int, length: int) -> None:
        self.step("truncate")
        super().truncate(fd, length)

    def reserve(self, fd: int, length: int) -> None:
        self.step("reserve")
        super().reserve(fd, length)

    def rename(self, old: str, new: str) -> None:
        self.step("rename", new)
        super().rename(old, new)

    def unlink(self, path: str) -> None:
        self.step("unlink", path)
        super().unlink(path)

    def make_folder(self, path: str) -> None:
        self.step("make_folder", path)
        super().make_folder(path)


class CrashingFiles(SteppedFiles):
    """Ends the process, with no clean-up at all, at step ``at``."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def step(self, name: str, path: str = "") -> None:
        super().step(name, path)
        if self.steps == self.at:
            os._exit(EXIT)


class FailingFiles(SteppedFiles):
    """Raises an ``OSError`` at step ``at``, and at every later one that is in ``lasting``."""

    def __init__(self, at: int = 0, error: int = errno.EIO, *, lasting: bool = False) -> None:
        super().__init__()
        self.at = at
        self.error = error
        self.lasting = lasting
        self.failed: list[str] = []

    def step(self, name: str, path: str = "") -> None:
        super().step(name, path)
        if self.at and (self.steps == self.at or (self.lasting and self.steps > self.at)):
            if name in {"unlink", "truncate"} and self.lasting:
                return  # giving room back works on a full disk
            self.failed.append(f"{name} {Path(path).name}".strip())
            raise OSError(self.error, os.strerror(self.error), path or None)


def install(at: int | None = None) -> None:
    """Give every store of this process that is made from now on a crashing disk.

    Args:
        at: The step; without it the environment tells, and nothing there changes nothing.
    """
    number = at if at is not None else int(os.environ.get(CRASH_AT, "0"))
    if number:
        swarmd.store.store.Files = lambda: CrashingFiles(number)  # type: ignore[assignment,attr-defined]
