"""The socket's place, its mode, its group, and what was there before."""

from __future__ import annotations

import asyncio
import grp
import os
import socket
import stat
from pathlib import Path

import pytest

from swarmd.api import listening
from swarmd.errors import InitializationError
from tests.api.fakes import FakeDaemon
from tests.api.serving import make_server
from tests.support import require


def modes(path: Path) -> tuple[int, int]:
    return stat.S_IMODE(path.parent.stat().st_mode), stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_folder_and_socket_are_the_groups_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "run" / "swarmd" / "s.sock"
    group = grp.getgrgid(os.getgid()).gr_name
    before = os.umask(umask)
    try:
        with listening.listen(path, group):
            assert modes(path) == (0o750, 0o660)
            assert path.stat().st_gid == path.parent.stat().st_gid == os.getgid()
            assert list(path.parent.iterdir()) == [path]
    finally:
        os.umask(before)


@pytest.mark.root
def test_another_group_may_connect(tmp_path: Path) -> None:
    require("root", os.getuid() == 0, "only root gives files to another group")
    other = next(group for group in grp.getgrall() if group.gr_gid != os.getgid())
    path = tmp_path / "swarmd" / "s.sock"
    with listening.listen(path, other.gr_name):
        assert path.stat().st_gid == path.parent.stat().st_gid == other.gr_gid


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    with listening.listen(tmp_path / "s.sock", ""):
        assert modes(tmp_path / "s.sock") == (0o711, 0o660)


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listening.listen(path, ""), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def refused(path: Path, group: str = "") -> InitializationError:
    with pytest.raises(InitializationError) as caught:
        listening.listen(path, group)
    assert caught.value.next_step
    return caught.value


def test_a_live_socket_is_another_daemons(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with listening.listen(path, ""):
        error = refused(path)
        assert "another daemon answers" in error.message
        assert str(path) in error.message


def test_a_file_in_its_place_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    path.write_text("mine")
    assert "no socket" in refused(path).message
    assert path.read_text() == "mine"


def test_107_bytes_are_the_most(tmp_path: Path) -> None:
    room = listening.PATH_MAX - len(os.fsencode(tmp_path)) - 1
    with listening.listen(tmp_path / ("s" * room), ""):
        pass
    error = refused(tmp_path / ("s" * (room + 1)))
    assert "108 bytes" in error.message
    assert error.field == "daemon.socket"


def test_an_unknown_group_and_an_unusable_folder_are_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "s", "no-such-group").field == "access.socket_group"
    (tmp_path / "file").write_text("")
    error = refused(tmp_path / "file" / "s.sock")
    assert error.details["cause"]
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_socket_that_is_anothers_by_now_is_left(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "s.sock"
        first = make_server(FakeDaemon(), path)
        await first.start()
        path.unlink()
        second = make_server(FakeDaemon(), path)
        await second.start()
        await first.close(1)
        assert path.exists()
        await second.close(1)
        assert not path.exists()

    asyncio.run(main())


def test_a_server_that_never_started_closes(tmp_path: Path) -> None:
    asyncio.run(make_server(FakeDaemon(), tmp_path / "s.sock").close(1))
