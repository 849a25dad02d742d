"""An archive that nobody vouches for, made into the tar that puts it into a container.

The engine unpacks as root and follows what links it finds; so nothing is sent on that goes
through a link. Judged are the names that members will have in the container, after mapping.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from swarmd.ports import Call
from swarmd.providers.docker.home import HomeLayout, Path, components
from swarmd.providers.docker.pieces import gathered
from swarmd.providers.docker.seen import Seen
from swarmd.providers.shared.archive import (
    MODES,
    SMALLER,
    Limits,
    Rules,
    check_symlink,
    hardlink_parts,
    shown,
)
from swarmd.providers.shared.tarformat import BLOCK, END, Extent, Kind, Member, header
from swarmd.providers.shared.tarreader import Stream, TarReader, refused

LIMITS = Limits(apparent=Limits().size)
"""The default: the engine fills holes with zeros, so they count as data here."""

_MAP_MOST = 1 << 19  # bytes of a sparse file's map; newer engines refuse more than a MiB
_ZEROS = bytes(1 << 18)


def as_docker(
    chunks: Iterable[bytes],
    call: Call,
    *,
    uid: int,
    gid: int,
    home: str = "",
    layout: HomeLayout | None = None,
    limits: Limits | None = None,
) -> Iterator[bytes]:
    """The tar that puts an archive's files into the home of a container.

    Refused is what the local provider refuses. Set-user-id and set-group-id bits are taken off.
    Every folder is sent before what it holds, so that no link which the image has in the home
    is gone through: the engine replaces it. The engine sets the folders' times at its end.

    With ``home`` it is for ``/`` of the container, else for its home. Prefer the former: the
    engine refuses relative links that lead out of the folder it unpacks in, and the export of
    a home may well have such.

    Args:
        chunks: The archive, in chunks of any size.
        call: Deadline, cancellation, notes.
        uid: Whose everything will be.
        gid: Its group.
        home: The absolute path of the home, which must be there; empty: the tar is for it.
        layout: Where the parts lie in the home. Default: ``HomeLayout()``.
        limits: How much the archive may hold; default: ``LIMITS``.

    Raises:
        ValidationError: The archive is refused; what was sent before must be thrown away.
        OperationCancelled, DeadlineExceeded: The call ended; likewise.
    """
    taking = _Intake(home, (uid, gid), call, layout or HomeLayout(), limits or LIMITS)
    yield from gathered(taking.members(TarReader(Stream(chunks, call.check))))


class _Intake:
    def __init__(
        self, home: str, owner: tuple[int, int], call: Call, layout: HomeLayout, limits: Limits
    ) -> None:
        self._home = components(home.encode())
        self._owner = owner
        self._call = call
        self._layout = layout
        self._limits = limits
        self._rules = Rules(limits)
        self._seen = Seen()
        self._folders = self._folder_names = 0
        self._moved: set[Path] = set()
        self._seen.put(b"", Kind.FOLDER)

    def members(self, reader: TarReader) -> Iterator[bytes | memoryview]:
        for member, data in reader.members():
            self._call.check()
            parts = self._rules.admit(member)
            if parts:
                yield from self._member(member, tuple(parts), data)
        for root in self._layout.roots:  # those of which the archive had nothing
            yield from self._implied((*root, b""), b"/".join(root))
        yield END

    def _member(
        self, member: Member, parts: Path, data: Iterator[memoryview]
    ) -> Iterator[bytes | memoryview]:
        path = self._placed(parts)
        yield from self._implied(path, member.name)
        if member.kind is Kind.FOLDER:
            yield self._folder(member, path)
            return
        name = b"/".join(path)
        if self._seen.get(name) is Kind.FOLDER:
            raise refused(f"the archive replaces a folder by a file: {shown(member.name)}")
        if member.kind is Kind.FILE:
            yield from self._file(member, path, data)
        elif member.kind is Kind.SYMLINK:
            yield self._symlink(member, parts, path)
        else:
            yield self._hardlink(member, path, name)
        # a hard link leads to a file, and is one from then on
        self._seen.put(name, Kind.SYMLINK if member.kind is Kind.SYMLINK else Kind.FILE)

    def _placed(self, parts: Path) -> Path:
        """The name below the home; told once where it is another than one would expect."""
        path = self._layout.to_home(parts)
        if self._layout.to_archive(path) != parts and len(self._moved) < 16:
            moved = _first_difference(parts, self._layout.to_archive(path))
            if moved not in self._moved:
                self._moved.add(moved)
                old, new = (b"/".join(each[: len(moved)]) for each in (parts, moved))
                self._call.progress(f"{shown(old)} is put in as {shown(new)}", None)
        return path

    # --- folders ---

    def _implied(self, path: Path, name: bytes) -> Iterator[bytes]:
        """The folders above a name that nothing named so far; never over a link."""
        above = len(path) - 1
        missing: list[Path] = []
        while (kind := self._seen.get(b"/".join(path[:above]))) is None:
            missing.append(path[:above])
            above -= 1
        if kind is not Kind.FOLDER:
            raise refused(f"the archive writes through a link or a file: {shown(name)}")
        for folder in reversed(missing):
            self._remember(folder)
            yield self._header(Member(b"", Kind.FOLDER, 0o700, time.time_ns()), folder)

    def _folder(self, member: Member, path: Path) -> bytes:
        name = b"/".join(path)
        found = self._seen.get(name)
        if found is None:
            self._remember(path)
        elif found is not Kind.FOLDER:
            raise refused(f"the archive writes through a link or a file: {shown(member.name)}")
        mode = member.mode | 0o700 if self._layout.is_root(path) else member.mode
        return self._header(replace(member, mode=mode), path)

    def _remember(self, path: Path) -> None:
        """Count a folder: the engine remembers each one until the end."""
        name, limits = b"/".join(path), self._limits
        self._seen.put(name, Kind.FOLDER)
        self._folders += 1
        self._folder_names += len(name)
        if self._folder_names > limits.folder_names:
            raise refused(
                f"the archive's folders have names of over {limits.folder_names} bytes", SMALLER
            )
        if self._folders > limits.folders + len(self._layout.roots):
            raise refused(f"the archive has more than {limits.folders} folders", SMALLER)

    # --- what is in them ---

    def _file(
        self, member: Member, path: Path, data: Iterator[memoryview]
    ) -> Iterator[bytes | memoryview]:
        extents = member.extents
        if extents is not None and len(member.sparse_map) > _MAP_MOST:
            yield self._header(replace(member, extents=None), path)
            yield from _filled(extents, member.size, data)
            stored = member.size
        else:
            yield self._header(member, path)
            if extents is not None:
                yield member.sparse_map
            yield from data
            stored = member.stored
        if padding := -stored % BLOCK:
            yield bytes(padding)

    def _symlink(self, member: Member, parts: Path, path: Path) -> bytes:
        check_symlink(member, list(parts))
        target = member.target
        if not member.outside:
            target = self._layout.link_to_home(parts, target)
        return self._header(replace(member, target=target), path)

    def _hardlink(self, member: Member, path: Path, name: bytes) -> bytes:
        words = f"{shown(member.name)} -> {shown(member.target)}"
        parts = hardlink_parts(member)
        target = self._layout.to_home(tuple(parts)) if self._layout.is_part(parts[0]) else None
        goal = b"/".join(target or ())
        kind = self._seen.get(goal) if target and goal != name else None
        if kind is None:
            raise refused(f"the archive has a hard link to what it does not hold: {words}")
        if kind is not Kind.FILE:
            raise refused(f"the archive has a hard link to no file: {words}")
        whole = b"/".join((*self._home, goal))
        return self._header(replace(member, target=whole), path)

    def _header(self, member: Member, path: Path) -> bytes:
        """A member as the engine is to make it: its place, its owner, no rights to raise."""
        name = b"/".join((*self._home, *path)) or b"."
        return header(
            replace(member, name=name, mode=member.mode & MODES, outside=False), *self._owner
        )


def _filled(
    extents: tuple[Extent, ...], size: int, data: Iterator[memoryview]
) -> Iterator[bytes | memoryview]:
    """A sparse file's content, holes as zeros."""
    at, left = 0, memoryview(b"")
    for extent in extents:
        yield from _zeros(extent.offset - at)
        at = extent.offset + extent.size
        missing = extent.size
        while missing:
            left = left or next(data)
            part, left = left[:missing], left[missing:]
            missing -= len(part)
            yield part
    yield from _zeros(size - at)


def _zeros(size: int) -> Iterator[bytes]:
    while size:
        yield _ZEROS[:size]
        size -= min(size, len(_ZEROS))


def _first_difference(one: Path, other: Path) -> Path:
    """The second name up to where it differs from the first."""
    length = next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False), 1) if a != b), len(other)
    )
    return other[:length]
