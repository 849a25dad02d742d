"""A daemon that is root touches what an account can swap with that account's rights only."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from swarmd.errors import ProviderError, SwarmError, ValidationError
from swarmd.messages.instance import InstanceConfig
from swarmd.ports import Call
from swarmd.providers.local.data import archive, extensions, folders, workspace
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.shared import hostfolder
from swarmd.providers.shared.account import Account, own
from swarmd.providers.shared.rights import _number, account_of, as_account


@pytest.fixture
def theirs(public_path: Path, stranger: Account) -> InstanceDirs:
    """The folders of an instance of another account than the daemon's."""
    layout = Layout(public_path / "data")
    layout.prepare()
    dirs = layout.instance("01one")
    folders.make(dirs, stranger)
    return dirs


@pytest.fixture
def host(public_path: Path, stranger: Account) -> Path:
    """A workspace of the account's below the root ``public_path``."""
    folder = public_path / "ana" / "project"
    folder.mkdir(parents=True)
    for path in (folder.parent, folder):
        os.chown(path, stranger.uid, stranger.gid)
    return folder


def config(**changes: object) -> InstanceConfig:
    return InstanceConfig(name="web", **changes)  # type: ignore[arg-type]


# --- the mechanism ---


def test_the_kernel_judges_by_the_account_and_only_in_this_thread(
    public_path: Path, stranger: Account
) -> None:
    closed = public_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("x")
    ready, done = threading.Event(), threading.Event()
    seen: list[str] = []

    def other() -> None:
        ready.wait(10)
        seen.append((closed / "file").read_text())
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with as_account(stranger):
        with pytest.raises(PermissionError):
            (closed / "file").read_text()
        with pytest.raises(PermissionError):
            (closed / "new").mkdir()
        ready.set()
        assert done.wait(10)
    thread.join()
    assert seen == ["x"]
    assert (closed / "file").read_text() == "x"


def test_what_is_made_is_the_accounts(public_path: Path, stranger: Account) -> None:
    public_path.chmod(0o777)
    with as_account(stranger):
        (public_path / "made").mkdir()
    found = (public_path / "made").stat()
    assert (found.st_uid, found.st_gid) == (stranger.uid, stranger.gid)


def test_our_further_groups_are_put_off_and_on_again(public_path: Path, stranger: Account) -> None:
    before = os.getgroups()
    closed = public_path / "groups"
    closed.mkdir()
    os.chown(closed, 0, 4711)
    closed.chmod(0o070)
    member = Account("x", stranger.uid, stranger.gid, (stranger.gid, 4711), "/", "/bin/sh")
    with as_account(member):
        assert os.listdir(closed) == []  # noqa: PTH208
        assert sorted(os.getgroups()) == sorted({stranger.gid, 4711})
    assert os.getgroups() == before
    with as_account(stranger), pytest.raises(PermissionError):
        os.listdir(closed)  # noqa: PTH208


def test_an_error_inside_gives_the_rights_back(public_path: Path, stranger: Account) -> None:
    with pytest.raises(RuntimeError), as_account(stranger):
        raise RuntimeError
    (public_path / "mine").mkdir()
    assert (public_path / "mine").stat().st_uid == os.geteuid()


def test_our_own_account_changes_nothing(tmp_path: Path) -> None:
    with as_account(own()):
        (tmp_path / "x").mkdir()
    assert (tmp_path / "x").stat().st_uid == os.geteuid()


def test_an_unknown_machine_is_refused(
    monkeypatch: pytest.MonkeyPatch, public_path: Path, stranger: Account
) -> None:
    _number.cache_clear()
    monkeypatch.setattr("platform.machine", lambda: "vax")
    try:
        with pytest.raises(OSError, match="vax"), as_account(stranger):
            pytest.fail("it went on with our own rights")
    finally:
        _number.cache_clear()


def test_accounts_by_number() -> None:
    assert account_of(os.geteuid()).uid == os.geteuid()
    nameless = account_of(3_999_999_999)
    assert (nameless.name, nameless.uid) == ("3999999999", 3_999_999_999)
    assert nameless.gid != 0


# --- workspace_path ---


def test_a_workspace_swapped_for_a_link_leads_root_nowhere(
    theirs: InstanceDirs, stranger: Account, call: Call, public_path: Path
) -> None:
    victim = public_path / "victim"
    victim.mkdir()
    theirs.workspace.rmdir()
    theirs.workspace.symlink_to(victim)
    with pytest.raises(ValidationError, match="workspace_path"):
        workspace.prepare(config(workspace_path="a/b"), theirs, (), stranger, call)
    assert list(victim.iterdir()) == []


def test_the_subfolder_is_made_by_the_account_itself(
    theirs: InstanceDirs, stranger: Account, call: Call
) -> None:
    inner = theirs.workspace / "roots"
    inner.mkdir(mode=0o755)  # root's, inside the workspace
    with pytest.raises(SwarmError):
        workspace.prepare(config(workspace_path="roots/b"), theirs, (), stranger, call)
    assert list(inner.iterdir()) == []
    found = workspace.prepare(config(workspace_path="a/b"), theirs, (), stranger, call)
    assert found.stat().st_uid == stranger.uid
    assert stat.S_IMODE(found.stat().st_mode) & 0o022 == 0


# --- host folders ---


def test_what_the_account_cannot_reach_is_not_told(public_path: Path, stranger: Account) -> None:
    closed = public_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "there").mkdir()
    told = []
    for name in ("there", "missing"):
        with pytest.raises(ValidationError, match="cannot reach") as caught:
            workspace.check(config(workspace=f"{closed}/{name}"), [public_path], stranger)
        told.append(str(caught.value).replace(name, "NAME"))
    assert told[0] == told[1]
    with pytest.raises(ValidationError, match="cannot reach"):
        workspace.check(config(workspace=f"file://{closed}/there"), [public_path], stranger)


def test_a_vsix_that_the_account_cannot_reach_is_not_told(
    public_path: Path, theirs: InstanceDirs, stranger: Account, call: Call
) -> None:
    closed = public_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "there.vsix").write_text("x")
    told = []
    for name in ("there", "missing"):
        wanted = config(extensions=(f"{closed}/{name}.vsix",))
        with pytest.raises(ValidationError, match="cannot be reached") as caught:
            extensions.install(wanted, theirs, ("false",), {}, stranger, call)
        told.append(str(caught.value).replace(name, "NAME"))
    assert told[0] == told[1]


# --- export ---


def exported(dirs: InstanceDirs, account: Account, call: Call, wanted: InstanceConfig) -> bytes:
    roots = [dirs.root.parent.parent]
    outside = lambda: hostfolder.open_host(wanted, roots, account)  # noqa: E731
    return b"".join(archive.export(dirs, call, account=account, workspace=outside))


def test_an_export_reads_what_the_account_can_read(
    theirs: InstanceDirs, host: Path, stranger: Account, call: Call
) -> None:
    (host / "notes").write_text("MINE")
    wanted = config(workspace=str(host))
    assert b"MINE" in exported(theirs, stranger, call, wanted)
    (host / "others").mkdir(mode=0o700)
    (host / "others" / "private").write_text("OTHERS")
    with pytest.raises(ProviderError, match="cannot be read"):
        exported(theirs, stranger, call, wanted)


@pytest.mark.parametrize("part", ["workspace", "home"])
def test_a_file_of_roots_in_a_managed_part_is_not_exported(
    theirs: InstanceDirs, stranger: Account, call: Call, part: str
) -> None:
    secret = theirs.root / part / "secret"
    secret.write_text("SECRET")
    secret.chmod(0o600)
    with pytest.raises(ProviderError, match="cannot be read"):
        b"".join(archive.export(theirs, call, account=stranger))


def test_an_export_goes_on_in_the_folder_that_was_checked(
    theirs: InstanceDirs, host: Path, stranger: Account, call: Call, public_path: Path
) -> None:
    (host / "notes").write_text("MINE")
    secret = public_path / "secret"
    (secret / "project").mkdir(parents=True)
    (secret / "project" / "shadow").write_text("SECRET")
    opened = hostfolder.open_host(config(workspace=str(host)), [public_path], stranger)
    host.parent.rename(public_path / "before")
    host.parent.symlink_to(secret)
    data = b"".join(archive.export(theirs, call, account=stranger, workspace=lambda: opened))
    assert b"MINE" in data
    assert b"SECRET" not in data


def test_an_export_closes_what_it_opened(
    theirs: InstanceDirs, host: Path, stranger: Account, call: Call
) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    exported(theirs, stranger, call, config(workspace=str(host)))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_the_trash_is_exported_too(theirs: InstanceDirs, stranger: Account, call: Call) -> None:
    notes = theirs.workspace / "notes"
    notes.write_text("MINE")
    os.chown(notes, stranger.uid, stranger.gid)
    layout = Layout(theirs.root.parent)
    folders.trash(layout, theirs.id)
    there = layout.trash_of(theirs.id)
    assert b"MINE" in b"".join(archive.export(there, call, account=stranger))


def test_a_clone_is_noted_for_good(dirs: InstanceDirs) -> None:
    workspace.note_cloned(dirs)
    workspace.note_cloned(dirs)
    assert stat.S_IMODE((dirs.private / "cloned").stat().st_mode) == 0o600
