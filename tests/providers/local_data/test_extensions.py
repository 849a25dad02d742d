"""Extensions, with a stand-in for the server's command; the real one is in the contract."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from swarmd.errors import OperationCancelled, ProviderError, ValidationError
from swarmd.messages.instance import InstanceConfig
from swarmd.ports import Call
from swarmd.providers.local.data import extensions
from swarmd.providers.local.data.layout import InstanceDirs
from swarmd.providers.shared.account import Account

PROGRAM = """
import pathlib, sys
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
wanted = arguments["--install-extension"]
if "missing" in wanted:
    print(f"Extension '{wanted}' not found.")
    sys.exit(1)
folder = pathlib.Path(arguments["--extensions-dir"])
name = pathlib.PurePath(wanted).name
count = folder / name
count.write_text(str(int(count.read_text()) + 1 if count.exists() else 1))
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    program = tmp_path / "server.py"
    program.write_text(PROGRAM)
    return [sys.executable, str(program)]


def config(*wanted: str) -> InstanceConfig:
    return InstanceConfig(name="web", extensions=wanted)


def test_each_is_installed_once(
    dirs: InstanceDirs, account: Account, call: Call, command: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "own.vsix"
    file.write_bytes(b"one")
    wanted = config("ms-python.python", str(file))
    assert extensions.install(wanted, dirs, command, {}, account, call) == wanted.extensions
    assert extensions.install(wanted, dirs, command, {}, account, call) == ()
    assert (dirs.extensions / "ms-python.python").read_text() == "1"
    file.write_bytes(b"three")
    assert extensions.install(wanted, dirs, command, {}, account, call) == (str(file),)
    assert (dirs.extensions / "own.vsix").read_text() == "2"
    assert extensions.install(config(), dirs, command, {}, account, call) == ()
    assert extensions.install(wanted, dirs, command, {}, account, call) == wanted.extensions


def test_one_that_does_not_exist_is_named(
    dirs: InstanceDirs, account: Account, call: Call, command: list[str]
) -> None:
    wanted = config("ms-python.python", "no.missing")
    with pytest.raises(ProviderError, match=r"no\.missing") as caught:
        extensions.install(wanted, dirs, command, {}, account, call)
    assert caught.value.field == "config.extensions[1]"
    assert "not found" in caught.value.details["cause"]
    assert caught.value.next_step
    rest = config("ms-python.python")
    assert extensions.install(rest, dirs, command, {}, account, call) == (), "the first one stands"


@pytest.mark.parametrize(
    "bad",
    [
        "python",
        "--help",
        "a b.c",
        "rel.vsix",
        "./x.vsix",
        "/a/../b.vsix",
        "/no/such.vsix",
        "a/b",
        "/a\0b.vsix",
    ],
)
def test_what_is_no_extension(
    dirs: InstanceDirs, account: Account, call: Call, command: list[str], bad: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        extensions.install(config(bad), dirs, command, {}, account, call)
    assert caught.value.field == "config.extensions[0]"
    assert caught.value.next_step


def test_a_damaged_stamp_only_means_installing_again(
    dirs: InstanceDirs, account: Account, call: Call, command: list[str]
) -> None:
    (dirs.private / "extensions.json").write_text("{")
    wanted = config("a.b")
    assert extensions.install(wanted, dirs, command, {}, account, call) == ("a.b",)


def test_cancelled(
    dirs: InstanceDirs, account: Account, cancelled: Call, command: list[str]
) -> None:
    with pytest.raises(OperationCancelled):
        extensions.install(config("a.b"), dirs, command, {}, account, cancelled)
    assert list(dirs.extensions.iterdir()) == []
