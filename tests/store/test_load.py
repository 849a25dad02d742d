"""A start: the lock, who may use the directory, what cannot be read, what is set aside."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swarmd.errors import ResourceLimitError, StateError
from swarmd.messages.instance import PortSpec
from swarmd.messages.provider import ProviderRecord
from swarmd.store import load
from tests.store.samples import (
    ended,
    instance,
    make_store,
    opened,
    operation,
    put_file,
    reason,
    write_one,
)
from tests.support import CHECKOUT, require


def test_a_first_start_makes_an_identity_that_stays(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "state"
    with opened(root) as store:
        node, journal = store.state.node, store.state.journal
        assert (store.state.instances, store.state.last_seq) == ((), 0)
    with opened(root) as store:
        assert (store.state.node, store.state.journal) == (node, journal)


def test_everything_comes_back(tmp_path: Path) -> None:
    made = instance(
        "i1", config=instance("i1").config, shared_with=("bo",), restart_required=("x",)
    )
    providers = (ProviderRecord(name="local", type="local", options={"token": "t"}),)
    with opened(tmp_path / "state") as store:
        store.write(
            operations=(ended("o1"), operation("o2", arguments={"name": "x"})),
            instances=(made, instance("i2")),
            providers=providers,
        )
        assert store.store.reload().instances == (made, instance("i2"))
    with opened(tmp_path / "state") as store:
        assert store.state.instances == (made, instance("i2"))
        secret = store.state.instances[0].config.auth.credentials
        assert secret is not None
        assert secret.reveal() == "password-of-i1"
        assert store.state.operations == (ended("o1"), operation("o2", arguments={"name": "x"}))
        assert store.state.providers == providers
        assert store.state.quarantined == ()


def test_equal_parts_are_shared_between_instances(tmp_path: Path) -> None:
    with opened(tmp_path / "state") as store:
        store.write(instances=(instance("i1"), instance("i2"), instance("i3", owner="bo")))
    with opened(tmp_path / "state") as store:
        one, two, three = store.state.instances
    assert one.owner is two.owner
    assert three.owner == "bo"
    for field in ("resources", "network", "health", "env", "labels", "metadata"):
        assert getattr(one.config, field) is getattr(two.config, field)
    assert one.config.name is one.name
    assert one.config.auth != two.config.auth


def test_what_differs_is_not_shared(tmp_path: Path) -> None:
    base = instance("i1").config
    from msgspec.structs import replace

    made = tuple(
        instance(
            f"i{number}",
            config=replace(
                base,
                name=f"web-i{number}",
                labels={"team": str(number)},
                network=replace(base.network, ports=(PortSpec(container_port=number + 1),)),
                image="a" if number else None,
            ),
        )
        for number in range(3)
    )
    with opened(tmp_path / "state") as store:
        store.write(instances=made)
        assert store.store.reload().instances == made


def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "state"):
        with pytest.raises(StateError) as refused:
            make_store(tmp_path / "state").open()
        assert str(os.getpid()) in str(refused.value)
        assert str(tmp_path / "state") in str(refused.value)
        assert refused.value.field == "daemon.state_dir"
        assert refused.value.next_step
    write_one(tmp_path / "state")


def test_the_lock_of_a_killed_daemon_is_free(tmp_path: Path) -> None:
    program = (
        "import os; from pathlib import Path; from tests.store.samples import make_store;"
        f" make_store(Path({str(tmp_path / 'state')!r})).open(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, check=False, timeout=60)
    assert done.returncode == -9
    write_one(tmp_path / "state")


def test_one_store_is_opened_once(tmp_path: Path) -> None:
    with opened(tmp_path / "state") as store, pytest.raises(StateError):
        store.store.open()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    root = tmp_path / "state"
    root.mkdir()
    root.chmod(mode)
    with pytest.raises(StateError, match="others may write") as refused:
        make_store(root).open()
    assert "chmod" in str(refused.value.next_step)
    assert list(root.iterdir()) == []


def test_a_directory_that_others_may_read_is_closed(tmp_path: Path) -> None:
    root = tmp_path / "state"
    root.mkdir()
    root.chmod(0o755)
    write_one(root)
    assert root.stat().st_mode & 0o777 == 0o700


@pytest.mark.root
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    require("root", os.geteuid() == 0, "only root can give a folder away")
    root = tmp_path / "state"
    root.mkdir(mode=0o700)
    os.chown(root, 12345, 12345)
    with pytest.raises(StateError, match="12345") as refused:
        make_store(root).open()
    assert refused.value.next_step


def test_a_file_in_the_directorys_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateError, match="not a folder"):
        make_store(tmp_path / "state").open()
    with pytest.raises(StateError):
        make_store(tmp_path / "state" / "below").open()


def test_a_link_in_the_locks_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError):
        make_store(tmp_path / "state").open()
    assert not (tmp_path / "elsewhere").exists()


def test_a_large_record_is_read_whole(tmp_path: Path) -> None:
    big = instance("i1", metadata={"note": "x" * 100_000})
    with opened(tmp_path / "state") as store:
        store.write(instances=(big,))
        assert store.store.reload().instances == (big,)


def test_new_fields_of_a_newer_minor_version_are_tolerated(tmp_path: Path) -> None:
    root = tmp_path / "state"
    write_one(root)
    path = root / "instances" / "i1.json"
    path.write_bytes(path.read_bytes()[:-1] + b',"mood":"good"}')
    with opened(root) as store:
        assert store.state.instances == (instance("i1"),)


@pytest.mark.parametrize(
    "name",
    ["instances/i1.json", "operations/o1.json", "node.json", "providers.json", "alerts.json"],
)
@pytest.mark.parametrize("readable", [True, False])
def test_a_newer_version_refuses_the_start(tmp_path: Path, name: str, readable: bool) -> None:
    root = tmp_path / "state"
    write_one(root)
    path = root / name
    plain: dict[str, Any] = json.loads(path.read_bytes()) if readable else {"soul": 1}
    content = json.dumps(plain | {"version": 2}).encode()
    path.write_bytes(content)
    with pytest.raises(StateError, match="version 2") as refused:
        make_store(root).open()
    assert str(path) in str(refused.value)
    assert refused.value.next_step
    assert path.read_bytes() == content
    path.write_bytes(json.dumps(plain | {"version": 1}).encode())
    with opened(root):  # the refused start let go of the lock
        pass


def test_a_newer_journal_refuses_the_start(tmp_path: Path) -> None:
    root = tmp_path / "state"
    write_one(root)
    (path,) = (root / "journal").iterdir()
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":7'))
    with pytest.raises(StateError, match="version 7"):
        make_store(root).open()


def test_a_lost_identity_is_taken_from_the_records(tmp_path: Path) -> None:
    root = tmp_path / "state"
    write_one(root)
    (root / "node.json").write_bytes(b"{")
    with opened(root) as store:
        assert store.state.node.id == "node-1"
        assert any("node.json" in line for line in store.state.quarantined)


def test_leftovers_of_a_crash_are_swept(tmp_path: Path) -> None:
    root = tmp_path / "state"
    write_one(root)
    for name in ("node.json.tmp", "instances/i9.json.tmp", "journal/x.tmp", "stories/y.tmp"):
        put_file(root, name, b"half")
    with opened(root):
        assert list(root.rglob("*.tmp")) == []


def test_records_can_be_set_aside(tmp_path: Path) -> None:
    root = tmp_path / "state"
    write_one(root)
    with opened(root, set_aside=True) as store:
        assert (store.state.instances, store.state.operations) == ((), ())
        assert len(store.state.providers) == 1
        assert store.state.last_seq == 1
        store.write(instances=(instance("new"),))
    (aside,) = root.glob("aside-*")
    assert sorted(path.name for path in aside.rglob("*.json")) == ["i1.json", "o1.json"]
    with opened(root) as store:
        assert [one.id for one in store.state.instances] == ["new"]


def test_setting_nothing_aside_makes_no_folder(tmp_path: Path) -> None:
    with opened(tmp_path / "state", set_aside=True):
        assert list((tmp_path / "state").glob("aside-*")) == []


def test_only_so_many_ended_operations_are_loaded(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root) as store:
        store.write(operations=(operation("running"), *(ended(f"o{n:02}", -n) for n in range(30))))
    with opened(root, operations_kept=10) as store:
        ids = {one.id for one in store.state.operations}
        assert ids == {"running", *(f"o{n:02}" for n in range(10))}
        assert {path.stem for path in (root / "operations").iterdir()} == ids


def test_no_descriptor_left_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "state"
    write_one(root)

    def refuse(path: str, folder_fd: int | None = None) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    monkeypatch.setattr(load, "read_file", refuse)
    with pytest.raises(ResourceLimitError, match="no file descriptor") as refused:
        make_store(root).open()
    assert refused.value.next_step
    assert (root / "instances" / "i1.json").exists()


def test_stories_stay_when_records_are_set_aside(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root) as store:
        store.write(instances=(instance("i1"),), reasons=(("i1", reason("made")),))
    with opened(root, set_aside=True) as store:
        assert [one.why for one in store.store.story("i1")] == ["made"]
