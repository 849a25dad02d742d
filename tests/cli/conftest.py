"""A daemon to talk to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.messages.instance import Instance
from tests.cli.driver import ME
from tests.cli.server import Served, serving


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """An in-memory daemon on a real socket; ``SWARMD_SOCKET`` leads there."""
    path = tmp_path / "s.sock"
    monkeypatch.setenv("SWARMD_SOCKET", str(path))
    with serving(path) as it:
        yield it


@pytest.fixture
def web(served: Served) -> Instance:
    """An instance that is there."""
    return served.on_loop(served.daemon.add, "web", owner=ME)
