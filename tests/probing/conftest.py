from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.probing import Prober
from tests.support import wait_until


def descriptors() -> set[str]:
    """What every descriptor of this process leads to, but for the listing itself."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{entry.name} {os.readlink(entry)}")  # noqa: PTH115
        except FileNotFoundError:  # the listing's own
            continue
    return {each for each in found if "/fd" not in each}


@pytest.fixture
def prober() -> Iterator[Prober]:
    """A prober that leaves no descriptor behind when it is closed."""
    before = descriptors()
    made = Prober(limit=16)
    yield made
    made.close()
    wait_until(
        lambda: descriptors() <= before,
        timeout=5.0,
        describe=lambda: descriptors() - before,
    )
