"""A daemon for each test, with light stand-ins or with real code-server in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.daemon import DaemonProcess
from tests.docker_engine import engine_client
from tests.docker_images import tiny
from tests.e2e.docker_kit import Box
from tests.tmux import Screen, screen_of


class MakeDaemon(Protocol):
    """Makes daemons that end with the test."""

    def __call__(self, name: str = "d", **options: Any) -> DaemonProcess:
        """A daemon that has not been started, in a folder of this name."""


@pytest.fixture
def make_daemon(tmp_path: Path) -> Iterator[MakeDaemon]:
    """Daemons with places of their own; told how they ended if the test fails."""
    with ExitStack() as open_daemons:

        def make(name: str = "d", **options: Any) -> DaemonProcess:
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            return open_daemons.enter_context(DaemonProcess(folder, **options))

        yield make


@pytest.fixture
def daemon(make_daemon: MakeDaemon) -> DaemonProcess:
    """A running daemon whose instances are stand-ins."""
    return make_daemon().start()


@pytest.fixture
def real_daemon(make_daemon: MakeDaemon, code_server_dir: Path) -> DaemonProcess:
    """A running daemon whose instances are real code-server."""
    assert code_server_dir.is_dir()
    return make_daemon(options=real_command(code_server_dir)).start()


def real_command(directory: Path) -> dict[str, object]:
    """The managed server by name, so that another one on PATH is not taken."""
    from swarmd.setup import require_installed

    return {"command": require_installed(directory).command}


@pytest.fixture(
    params=["stand-in", pytest.param("code-server", marks=pytest.mark.code_server)],
)
def either_daemon(request: pytest.FixtureRequest) -> DaemonProcess:
    """One after the other: a daemon of stand-ins, a daemon of real code-server."""
    name = "daemon" if request.param == "stand-in" else "real_daemon"
    found: DaemonProcess = request.getfixturevalue(name)
    return found


@pytest.fixture
def box() -> Iterator[Box]:
    """The default engine as a provider of light stand-ins; nothing of it stays."""
    with engine_client() as client:
        found = Box(tiny(client))
    yield found
    found.clear()


@pytest.fixture
def boxed(make_daemon: MakeDaemon, box: Box) -> Iterator[DaemonProcess]:
    """A running daemon with ``local`` and the default engine; it ends before that is cleared."""
    with_docker = make_daemon(providers=[box.table()]).start()
    yield with_docker
    with_docker.close()


@pytest.fixture
def screen(daemon: DaemonProcess) -> Iterator[Screen]:
    """A real terminal beside the daemon of stand-ins."""
    with screen_of(daemon) as found:
        yield found
