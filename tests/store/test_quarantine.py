"""What cannot be read is set aside, with its reason, and the rest loads."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from swarmd.messages import codec
from swarmd.messages.alert import AlertBook
from swarmd.store import load
from tests.store.samples import (
    SetClock,
    alerts,
    instance,
    opened,
    put_file,
    write_one,
)

GOOD = codec.encode_private(instance("bad"))
BROKEN: dict[str, bytes] = {
    "empty": b"",
    "truncated": GOOD[: len(GOOD) // 2],
    "not json": b"\x00\xff\x00",
    "wrong type": GOOD.replace(b'"revision":1', b'"revision":"one"'),
    "a field is missing": GOOD.replace(b'"owner"', b'"ownr"'),
    "another record": codec.encode_private(instance("other")),
    "a list": b"[]",
    "endless depth": GOOD[:-1]
    + b',"last_error":{"type":"","message":"","details":{"a":'
    + b"[" * 100_000
    + b"]" * 100_000
    + b"}}}",
    "not utf-8": GOOD.replace(b"web-bad", b"web-\xff\xfe\xfd"),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_record_is_set_aside_and_the_rest_loads(tmp_path: Path, content: bytes) -> None:
    root = tmp_path / "state"
    write_one(root)
    put_file(root, "instances/bad.json", content)
    with opened(root) as store:
        assert [one.id for one in store.state.instances] == ["i1"]
        (line,) = store.state.quarantined
        assert "instances-bad.json" in line
        assert store.store.problems() == (line,)
    assert not (root / "instances" / "bad.json").exists()
    (kept,) = (root / "quarantine").glob("*bad.json")
    assert kept.read_bytes() == content
    with opened(root) as store:  # told until someone looks after it
        assert store.state.quarantined == ()
        assert store.store.problems() == (line,)


def test_how_many_are_in_quarantine_is_known_without_a_look(tmp_path: Path) -> None:
    root = tmp_path / "state"
    write_one(root)
    for name in ("a", "b"):
        put_file(root, f"instances/{name}.json", b"{")
    with opened(root) as store:
        assert store.store.quarantined() == 2
        put_file(root, "operations/c.json", b"{")
        store.store.reload()
        assert store.store.quarantined() == 3
        for path in (root / "quarantine").glob("*b.json*"):
            path.unlink()
        assert store.store.quarantined() == 3
        assert len(store.store.problems()) == store.store.quarantined() == 2
    with opened(root) as store:
        assert store.store.quarantined() == 2


def test_two_broken_records_at_the_same_moment_are_both_kept(tmp_path: Path) -> None:
    root = tmp_path / "state"
    for _ in range(2):
        put_file(root, "operations/bad.json", b"{")
        root.chmod(0o700)
        with opened(root):
            pass
    assert len([path for path in (root / "quarantine").iterdir() if path.suffix != ".why"]) == 2


def test_a_quarantined_file_without_a_reason_is_told_all_the_same(tmp_path: Path) -> None:
    put_file(tmp_path / "state", "quarantine/thing.json", b"{")
    (tmp_path / "state").chmod(0o700)
    with opened(tmp_path / "state") as store:
        (line,) = store.store.problems()
        assert "thing.json" in line


def test_links_and_folders_in_a_records_place_are_set_aside(tmp_path: Path) -> None:
    root = tmp_path / "state"
    write_one(root)
    (root / "instances" / "link.json").symlink_to(root / "instances" / "i1.json")
    (root / "instances" / "folder.json").mkdir()
    (root / "instances" / "notes.txt").write_text("left alone")
    with opened(root) as store:
        assert len(store.state.instances) == 1
        assert len(store.state.quarantined) == 2
    assert (root / "instances" / "notes.txt").exists()


def test_broken_provider_records_are_set_aside(tmp_path: Path) -> None:
    root = tmp_path / "state"
    write_one(root)
    (root / "providers.json").write_bytes(b"[1]")
    with opened(root) as store:
        assert store.state.providers == ()
        assert len(store.state.quarantined) == 1
    (root / "providers.json").unlink(missing_ok=True)
    (root / "providers.json").mkdir()
    with opened(root) as store:
        assert len(store.state.quarantined) == 1


def test_a_broken_book_of_alerts_is_set_aside(tmp_path: Path) -> None:
    root = tmp_path / "state"
    write_one(root)
    with opened(root) as store:
        assert store.state.alerts == alerts("a1")
    (root / "alerts.json").write_bytes(b'{"active": 3}')
    with opened(root) as store:
        assert store.state.alerts == AlertBook()
        assert len(store.state.instances) == 1
        [line] = store.state.quarantined
        assert "alerts.json" in line


def test_a_disk_that_cannot_be_read_sets_the_file_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "state"
    write_one(root)

    def refuse(path: str, folder_fd: int | None = None) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(load, "read_file", refuse)
    with opened(root) as store:
        assert len(store.state.quarantined) == 5


def test_the_clock_names_what_is_set_aside(tmp_path: Path) -> None:
    put_file(tmp_path / "state", "instances/bad.json", b"{")
    (tmp_path / "state").chmod(0o700)
    with opened(tmp_path / "state", clock=SetClock()) as store:
        assert store.state.quarantined[0].startswith("quarantine/20261121t120000")
