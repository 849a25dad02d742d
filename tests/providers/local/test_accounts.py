"""As root: instances run as another user, in folders that are that user's alone."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.errors import PermissionDenied
from swarmd.messages.enums import InstanceStatus, Isolation
from swarmd.messages.requests import ExecInstance
from tests.providers.local.conftest import Make
from tests.providers.local.kit import STANDIN, call, make_instance, running
from tests.support import require

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="root: only root can run as another user"),
]
USER = "nobody"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can reach: the tests' own base is root's alone."""
    folder = Path(tempfile.mkdtemp(prefix="swarmd-run-as-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def command(place: Path) -> list[str]:
    """The stand-in where every user can read it, run by an interpreter that every user has."""
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
    require("root", python, "no python3 that every user may run")
    program = place / "standin.py"
    shutil.copy(STANDIN, program)
    program.chmod(0o644)
    return [str(python), "-I", "-S", str(program)]


def test_run_as_another_user(make: Make, place: Path, command: list[str]) -> None:
    provider = make(data=place / "data", command=command, run_as=USER, allow_root=False)
    instance = make_instance("fork-web")
    provider.create(instance, call())
    assert provider.start(instance, call()).status is InstanceStatus.RUNNING
    wanted = pwd.getpwnam(USER)
    pids = running(instance.id)
    assert pids
    for pid in pids:
        lines = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        assert set(lines["Uid"].split()) == {str(wanted.pw_uid)}
        assert set(lines["Gid"].split()) == {str(wanted.pw_gid)}
        assert "0" not in lines["Groups"].split()
    folder = place / "data" / instance.id
    assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode)) == (wanted.pw_uid, 0o700)
    assert stat.S_IMODE((place / "data").stat().st_mode) == 0o711
    record = place / "data" / ".swarmd" / instance.id / "record.json"
    assert (record.stat().st_uid, stat.S_IMODE(record.stat().st_mode)) == (0, 0o600)
    provider.stop(instance, call())
    assert running(instance.id) == []


def test_a_command_runs_as_the_same_user(make: Make, place: Path, command: list[str]) -> None:
    provider = make(data=place / "data", command=command, run_as=USER)
    instance = make_instance()
    provider.create(instance, call())
    provider.start(instance, call())
    request = ExecInstance(id=instance.id, command=("sh", "-c", "id -u; touch here; ls"))
    session = provider.exec(instance, request)
    output = b""
    while (piece := session.read()) is not None:
        output += piece[1]
    session.close()
    assert output.split() == [str(pwd.getpwnam(USER).pw_uid).encode(), b"here"]
    provider.stop(instance, call())


def test_the_owners_own_account(make: Make, place: Path, command: list[str]) -> None:
    provider = make(data=place / "data", command=command, run_as="owner", allow_root=False)
    assert provider.capabilities().isolation is Isolation.UID
    assert provider.probe().ok
    mine, other = make_instance("a", owner=USER), make_instance("b", owner="daemon")
    for instance in (mine, other):
        provider.create(instance, call())
    owners = {(place / "data" / found.id).stat().st_uid for found in (mine, other)}
    assert owners == {pwd.getpwnam(USER).pw_uid, pwd.getpwnam("daemon").pw_uid}
    with pytest.raises(PermissionDenied):
        provider.create(make_instance("c", owner="root"), call())


def test_the_default_user_is_told_of_when_it_is_missing(make: Make, place: Path) -> None:
    provider = make(data=place / "data", run_as="no-such-user", allow_root=False)
    health = provider.probe()
    assert not health.ok
    assert "useradd" in health.message
