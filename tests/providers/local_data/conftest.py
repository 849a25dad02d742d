"""An instance's folders in a DATA folder of the test's own."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.ports import Call
from swarmd.providers.local.data import folders
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.shared.account import Account, own


@pytest.fixture
def account() -> Account:
    """The account of the test itself."""
    return own()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty DATA folder."""
    made = Layout(tmp_path / "data")
    made.prepare()
    return made


@pytest.fixture
def dirs(layout: Layout, account: Account) -> InstanceDirs:
    """One instance's folders."""
    places = layout.instance("01one")
    folders.make(places, account)
    return places


@pytest.fixture
def call() -> Call:
    """A call with a minute to go."""
    return Call(deadline=time.monotonic() + 60, clock=time.monotonic)


@pytest.fixture
def cancelled() -> Call:
    """A call that was cancelled already."""
    event = threading.Event()
    event.set()
    return Call(deadline=time.monotonic() + 60, clock=time.monotonic, cancelled=event)


@pytest.fixture
def stranger() -> Account:
    """Another account than the test's, for what only root can do."""
    if os.geteuid() != 0:
        pytest.skip("root: changing the account needs it")
    entry = pwd.getpwnam("nobody")
    return Account("nobody", entry.pw_uid, entry.pw_gid, (entry.pw_gid,), "/", "/bin/sh")


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A folder that other accounts can reach, unlike ``tmp_path``."""
    path = Path(tempfile.mkdtemp(prefix="swarmd-test-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def roots(tmp_path: Path) -> list[str]:
    """The only root of host folders, with a folder of ana's in it."""
    (tmp_path / "roots" / "ana").mkdir(parents=True)
    return [str(tmp_path / "roots")]


def deepen(folder: Path, levels: int) -> None:
    """Make a folder in a folder, so many levels deep."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
