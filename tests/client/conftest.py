"""A server in a thread, and a blocking client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.client import Client
from tests.api.serving import InThread, served


@pytest.fixture
def here(tmp_path: Path) -> Iterator[InThread]:
    with served(tmp_path / "s.sock") as server:
        yield server


@pytest.fixture
def client(here: InThread) -> Iterator[Client]:
    with Client(str(here.path), timeout=10) as connected:
        yield connected
