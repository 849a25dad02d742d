"""The daemon ends at call N, for every N of each operation, and the next start is checked.

Nothing acknowledged lost, nothing left behind, nothing doubled (issue 2, part 4). Every call of
the provider and every change handed to the store has its turn; of the changes of the disk a
sample has, or all of them with ``SWARMD_TEST_EVERY_STEP=1``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon_tests.crash_lives import LIVES
from tests.support import CHECKOUT, untraced

SAMPLE = "3"


def run(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.daemon_tests.crash_child", str(folder), *arguments],
        cwd=CHECKOUT,
        env=untraced(),  # other tests walk the same code; here it is walked hundreds of times
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 points" not in done.stdout


@pytest.mark.timeout(600)
@pytest.mark.parametrize("operation", LIVES)
def test_killed_at_every_call(tmp_path: Path, operation: str) -> None:
    run(tmp_path, operation, "ports")


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("operation", LIVES)
def test_killed_while_the_disk_changes(tmp_path: Path, operation: str) -> None:
    every = os.environ.get("SWARMD_TEST_EVERY_STEP")
    run(tmp_path, operation, "disk", *(() if every else (SAMPLE,)))
