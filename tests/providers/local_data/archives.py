"""What the tests of archives share: folders to pack, archives by hand, what must be refused."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from swarmd.errors import ValidationError
from swarmd.ports import Call
from swarmd.providers.local.data import archive
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.shared.account import own
from swarmd.providers.shared.tarformat import END, Kind, Member, header, padded

Limits = archive.Limits


def a_call() -> Call:
    return Call(deadline=time.monotonic() + 60, clock=time.monotonic)


def fill(dirs: InstanceDirs) -> None:
    """Everything that a home of a developer may hold."""
    work = dirs.workspace
    (work / "empty").mkdir()
    (work / "empty").chmod(0o750)
    (work / "file").write_bytes(os.urandom(100_001))
    (work / "none").touch()
    (work / "script").write_text("#!/bin/sh\n")
    (work / "script").chmod(0o755)
    (work / "readonly").write_text("x")
    (work / "readonly").chmod(0o444)
    os.link(work / "file", work / "hard")
    (work / "zsub").mkdir()
    os.link(work / "file", work / "zsub" / "hard")
    (work / "soft").symlink_to("file")
    (work / "dangling").symlink_to("nowhere/at/all")
    (work / "python").symlink_to("/usr/bin/python3")
    (work / "up").symlink_to("../../../outside")
    (work / "ünï-码.txt").write_text("x")
    Path(os.fsdecode(bytes(work) + b"/not-\xff-utf8")).write_text("x")
    Path(os.fsdecode(bytes(work) + b"/soft-\xfe")).symlink_to(os.fsdecode(b"to-\xff"))
    (work / "with\nnewline and = signs").write_text("x")
    (work / ("n" * 255)).write_text("long")
    deep = work / "/".join(["d" * 60] * 12)
    deep.mkdir(parents=True)
    (deep / "leaf").write_text("deep")
    with (dirs.home / "sparse").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"middle")
        file.seek(40 << 20)
        file.write(b"end")
        file.truncate(64 << 20)
    with (dirs.home / "hole").open("wb") as file:
        file.truncate(8 << 20)
    (dirs.home / ".config").mkdir()
    (dirs.user_data / "settings.json").write_text("{}")
    (dirs.extensions / "a.b-1.0").mkdir()
    for number, path in enumerate(sorted(dirs.root.rglob("*"), reverse=True)):
        moment = 1_700_000_000_123_456_789 + number * 1_000_000_007
        os.utime(path, ns=(moment, moment), follow_symlinks=False)
    os.utime(work / "none", ns=(0, -1_500_000_001))


def picture(root: Path) -> dict[bytes, tuple[object, ...]]:
    """What an archive has to keep, of everything below a folder."""
    found: dict[bytes, tuple[object, ...]] = {}
    names: dict[int, list[bytes]] = {}
    for top, below, files in os.walk(bytes(root)):
        for name in sorted([*below, *files]):
            path = os.path.join(top, name)  # noqa: PTH118 - names as bytes
            seen = os.lstat(path)
            content: object = None
            if stat.S_ISLNK(seen.st_mode):
                content = bytes(Path(os.fsdecode(path)).readlink())
            elif stat.S_ISREG(seen.st_mode):
                content = hash(Path(os.fsdecode(path)).read_bytes())
                names.setdefault(seen.st_ino, []).append(path[len(bytes(root)) :])
            found[path[len(bytes(root)) :]] = (seen.st_mode, seen.st_mtime_ns, content)
    for group in names.values():
        for path in group:
            found[path] += (tuple(group),)
    return found


def pack(*members: tuple[Member, bytes] | Member) -> bytes:
    data = b""
    for each in members:
        member, content = each if isinstance(each, tuple) else (each, b"")
        data += header(member) + padded(content)
    return data + END


def file(name: str, content: bytes = b"x", **changes: object) -> tuple[Member, bytes]:
    changes.setdefault("size", len(content))
    return Member(name.encode(), Kind.FILE, **changes), content  # type: ignore[arg-type]


def link(name: str, target: str, kind: Kind = Kind.SYMLINK, **changes: object) -> Member:
    return Member(name.encode(), kind, target=target.encode(), **changes)  # type: ignore[arg-type]


def folder(name: str) -> Member:
    return Member(name.encode(), Kind.FOLDER, 0o755)


def leftovers(layout: Layout) -> list[str]:
    return [str(path) for place in (layout.incoming, layout.doomed) for path in place.iterdir()]


def refuse(layout: Layout, data: Iterable[bytes], limits: Limits | None = None) -> ValidationError:
    """Unpack it into a new instance, which must be refused and leave nothing."""
    dirs = layout.instance("01new")
    with pytest.raises(ValidationError) as caught:
        archive.unpack(data, dirs, own(), a_call(), limits)
    assert caught.value.field == "archive"
    assert caught.value.next_step
    assert layout.ids() == set()
    assert leftovers(layout) == []
    return caught.value
