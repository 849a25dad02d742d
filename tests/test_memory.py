"""What is free goes back to the system."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
import weakref

import pytest

from swarmd.memory import give_back

PROGRAM = """
from swarmd.memory import give_back, limit_arenas

def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

limit_arenas()
blocks = [bytearray(2000) for _ in range(20000)]
last = blocks.pop()  # what lies below it cannot be given back by shrinking the heap
del blocks
before = resident()
give_back()
print(before - resident())
"""


def test_what_only_holds_itself_is_given_back_too() -> None:
    class Ring:
        def __init__(self) -> None:
            self.me = self

    gc.collect()
    gc.disable()
    try:
        left = weakref.ref(Ring())
        assert left() is not None
        give_back()
        assert left() is None
    finally:
        gc.enable()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps it back")
def test_freed_memory_below_what_is_in_use_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20_000, "kilobytes"
