"""Managed folders, host folders, and folders in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from swarmd.errors import ValidationError
from swarmd.ports import Call
from swarmd.providers.local.data import folders, workspace
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.shared import beneath
from swarmd.providers.shared.account import Account
from tests.providers.local_data.configs import config


@pytest.fixture(params=["openat2", "walk"])
def opener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of opening beneath a folder."""
    if request.param == "walk":
        monkeypatch.setattr(beneath, "_has_openat2", lambda: False)
    return str(request.param)


def test_managed_is_the_instances_own(dirs: InstanceDirs, account: Account, call: Call) -> None:
    for spelled in (None, "", "managed"):
        assert workspace.prepare(config(workspace=spelled), dirs, (), account, call) == (
            dirs.workspace
        )


def test_a_host_folder_below_a_root(
    dirs: InstanceDirs, account: Account, call: Call, roots: list[str], opener: str
) -> None:
    wanted = config(workspace=f"{roots[0]}/ana")
    workspace.check(wanted, roots, account)
    assert workspace.prepare(wanted, dirs, roots, account, call) == Path(roots[0]) / "ana"


def test_a_root_itself_may_be_a_link(tmp_path: Path, roots: list[str], opener: str) -> None:
    (tmp_path / "alias").symlink_to(roots[0])
    workspace.check(config(workspace=f"{tmp_path}/alias/ana"), [f"{tmp_path}/alias"])
    workspace.check(config(workspace=f"{roots[0]}/ana"), [f"{tmp_path}/alias"])


def test_a_link_that_stays_below_is_followed(roots: list[str]) -> None:
    (Path(roots[0]) / "alias").symlink_to("ana")
    workspace.check(config(workspace=f"{roots[0]}/alias"), roots)


def _link_out(root: Path) -> str:
    (root / "out").symlink_to("/etc")
    return f"{root}/out"


def _link_up(root: Path) -> str:
    (root / "up").symlink_to("..")
    return f"{root}/up/roots/ana"


def _a_file(root: Path) -> str:
    (root / "file").write_text("x")
    return f"{root}/file"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_link_out, "link"),
        (_link_up, "link"),
        (_a_file, "no folder|link"),
        (lambda root: f"{root}/missing", "does not exist"),
        (lambda root: f"{root}/../data", r"\.\. in it"),
        (lambda root: f"{root}-other", "outside the configured roots"),
        (lambda root: "/etc", "outside the configured roots"),
        (lambda root: "relative/path", "absolute"),
        (lambda root: f"{root}/a\0b", "absolute"),
        (lambda root: f"{root}/{'x' * 300}", "too long"),
    ],
)
def test_what_is_refused_as_host_folder(
    dirs: InstanceDirs,
    account: Account,
    call: Call,
    roots: list[str],
    opener: str,
    make: Callable[[Path], str],
    words: str,
) -> None:
    wanted = config(workspace=make(Path(roots[0])))
    for act in (
        lambda: workspace.check(wanted, roots),
        lambda: workspace.prepare(wanted, dirs, roots, account, call),
    ):
        with pytest.raises(ValidationError, match=words) as caught:
            act()
        assert caught.value.field == "config.workspace"
        assert caught.value.next_step


def test_without_roots_every_host_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="outside") as caught:
        workspace.check(config(workspace=str(tmp_path)), ())
    assert "managed" in (caught.value.next_step or "")


def test_a_folder_that_the_account_cannot_write(public_path: Path, stranger: Account) -> None:
    closed = public_path / "closed"
    closed.mkdir(mode=0o755)
    wanted = config(workspace=str(closed))
    with pytest.raises(ValidationError, match="cannot write") as caught:
        workspace.check(wanted, [public_path], stranger)
    assert caught.value.field == "config.workspace"
    os.chown(closed, stranger.uid, stranger.gid)
    workspace.check(wanted, [public_path], stranger)


def test_a_folder_that_we_cannot_write(roots: list[str], account: Account) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (Path(roots[0]) / "ana").chmod(0o555)
    with pytest.raises(ValidationError, match="cannot write"):
        workspace.check(config(workspace=f"{roots[0]}/ana"), roots, account)


# --- workspace_path ---


def test_the_subfolder_is_made_and_found_again(
    dirs: InstanceDirs, account: Account, call: Call, opener: str
) -> None:
    wanted = config(workspace_path="src/app")
    for _ in range(2):
        found = workspace.prepare(wanted, dirs, (), account, call)
        assert found == dirs.workspace / "src" / "app"
        assert found.is_dir()


def test_the_subfolder_is_the_accounts(public_path: Path, stranger: Account, call: Call) -> None:
    layout = Layout(public_path / "data")
    layout.prepare()
    dirs = layout.instance("01one")
    folders.make(dirs, stranger)
    found = workspace.prepare(config(workspace_path="a/b"), dirs, (), stranger, call)
    assert found.stat().st_uid == found.parent.stat().st_uid == stranger.uid


@pytest.mark.parametrize("bad", ["/etc", "../x", "a/../../x", "a\0b", "..", "out", "out/x", "file"])
def test_subfolders_that_are_refused(
    dirs: InstanceDirs, account: Account, call: Call, tmp_path: Path, bad: str, opener: str
) -> None:
    (dirs.workspace / "out").symlink_to(tmp_path)
    (dirs.workspace / "file").write_text("x")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ValidationError) as caught:
        workspace.prepare(config(workspace_path=bad), dirs, (), account, call)
    assert caught.value.field == "config.workspace_path"
    assert caught.value.next_step
    assert sorted(path.name for path in tmp_path.iterdir()) == before
