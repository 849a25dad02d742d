"""Archives on their way in: spooled whole, read once, gone afterwards."""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path

import pytest

from swarmd.actors.uploads import Spool
from swarmd.errors import Conflict, ResourceLimitError, ValidationError


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    numbers = itertools.count(1)
    made = Spool(tmp_path / "uploads", lambda: f"u{next(numbers)}")
    made.prepare(frozenset())
    return made


def test_sent_read_and_removed(spool: Spool, tmp_path: Path) -> None:
    upload = spool.open()
    assert upload.write(b"a" * 10) == 10
    assert upload.write(b"b" * 5) == 15
    with pytest.raises(ValidationError):
        list(spool.read("u1"))
    name = upload.finish()
    assert b"".join(spool.read(name)) == b"a" * 10 + b"b" * 5
    assert (tmp_path / "uploads" / name).stat().st_mode & 0o777 == 0o600
    upload.abort()
    spool.used(name)
    spool.sweep(frozenset({name}))
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == [name]
    # Its import ended while it was told what is wanted: the next sweep still knows of it.
    due = [spool.due]
    spool.sweep(frozenset())
    assert [*due, spool.due] == [True, False]
    assert list((tmp_path / "uploads").iterdir()) == []


def test_aborted(spool: Spool, tmp_path: Path) -> None:
    upload = spool.open()
    upload.write(b"x")
    upload.abort()
    upload.abort()
    assert list((tmp_path / "uploads").iterdir()) == []


@pytest.mark.parametrize("name", ["../state", "", "a/b", "nothing", "a" * 300])
def test_names_that_are_none(spool: Spool, name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        list(spool.read(name))
    assert caught.value.field == "upload"
    spool.used(name)
    spool.sweep(frozenset())


def test_a_start_keeps_what_is_wanted(spool: Spool, tmp_path: Path) -> None:
    names = []
    for _ in range(2):
        upload = spool.open()
        upload.write(b"x")
        names.append(upload.finish())
    spool.open().write(b"torn")
    Spool(tmp_path / "uploads", str).prepare(frozenset(names[:1]))
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == names[:1]


def test_a_full_disk(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = spool.open()

    def full(_fd: int, _data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ResourceLimitError) as caught:
        upload.write(b"x")
    assert caught.value.next_step
    assert list((tmp_path / "uploads").iterdir()) == []


def test_no_descriptor_left(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_arguments: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", none)
    with pytest.raises(ResourceLimitError):
        spool.open()


def test_after_a_full_disk_nothing_is_written_into_another_file(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = spool.open()
    real = os.write

    def full(_descriptor: int, _data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ResourceLimitError):
        upload.write(b"x")
    monkeypatch.setattr(os, "write", real)
    other = (tmp_path / "journal").open("wb", buffering=0)  # takes the number that became free
    with pytest.raises(Conflict):
        upload.write(b"archive")
    with pytest.raises(Conflict):
        upload.finish()
    upload.abort()
    other.write(b"mine")
    other.close()
    assert (tmp_path / "journal").read_bytes() == b"mine"
    assert list((tmp_path / "uploads").iterdir()) == []


def test_what_was_sent_long_ago_and_never_imported_goes(spool: Spool, tmp_path: Path) -> None:
    upload = spool.open()
    upload.write(b"x")
    name = upload.finish()
    spool.sweep(frozenset())
    assert (tmp_path / "uploads" / name).exists()
    os.utime(tmp_path / "uploads" / name, (0, 0))
    spool.sweep(frozenset())
    assert not (tmp_path / "uploads" / name).exists()
