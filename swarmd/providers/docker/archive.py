"""An instance's data out of a container, as the archive that every provider takes.

Docker's own tar of a folder is read member by member and written anew: other names, no owners,
nothing that only this container understands. No engine is needed here but for its stream.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from swarmd.errors import ProviderError, ValidationError
from swarmd.ports import Call
from swarmd.providers.docker.home import HomeLayout, Path, components
from swarmd.providers.docker.intake import as_docker
from swarmd.providers.docker.pieces import gathered
from swarmd.providers.docker.times import Fractions
from swarmd.providers.shared.tarformat import (
    BLOCK,
    END,
    Kind,
    Member,
    header,
    leads_outside,
    opening,
)
from swarmd.providers.shared.tarreader import Stream, TarReader

__all__ = ["HomeLayout", "Source", "as_docker", "export"]

_SYMLINKS_MOST = 20_000  # remembered for the sake of hard links to them, which are rare


@dataclass(frozen=True, slots=True)
class Source:
    """A folder's tar, as the engine sends it.

    Args:
        chunks: The tar, in chunks of any size.
        base: What its members' names begin with: the folder's own name.
        part: The part of the archive that it is as a whole; empty: a home with all of them.
        times: What ``times.list_times`` told of it, if anything.
    """

    chunks: Iterable[bytes]
    base: str
    part: str = ""
    times: Iterable[bytes] = ()


def export(
    chunks: Iterable[bytes],
    call: Call,
    *,
    base: str,
    layout: HomeLayout | None = None,
    others: Sequence[Source] = (),
    times: Iterable[bytes] = (),
) -> Iterator[bytes]:
    """Stream a home as an uncompressed PAX tar archive of ours, in bounded memory.

    Pipes and devices are left out, each told by ``call.progress``. Members come in the order
    of the engine's tar, which puts a hard link after the file that it leads to.

    Args:
        chunks: The tar of the home, in chunks of any size.
        call: Deadline, cancellation, notes.
        base: What the names in that tar begin with: the home's own name.
        layout: Where the parts lie in the home. Default: ``HomeLayout()``.
        others: Parts that lie elsewhere; what the home has in their place is left out.
        times: What ``times.list_times`` told of the home, since Docker's tar has whole seconds
            alone. It is read first.

    Raises:
        ProviderError: What the engine sent is no whole tar.
    """
    layout = layout or HomeLayout()
    sources = [Source(chunks, base, times=times), *others]
    yield from gathered(_pieces(sources, call, layout))


def _pieces(
    sources: Sequence[Source], call: Call, layout: HomeLayout
) -> Iterator[bytes | memoryview]:
    yield opening()
    elsewhere = frozenset(source.part.encode() for source in sources if source.part)
    for source in sources:
        yield from _Export(source, call, layout, elsewhere).members()
    yield END


class _Export:
    """One source, member by member."""

    def __init__(
        self, source: Source, call: Call, layout: HomeLayout, elsewhere: frozenset[bytes]
    ) -> None:
        self._base = components(source.base.encode())
        self._part = source.part.encode()
        self._source = source
        self._call = call
        self._layout = layout
        self._elsewhere = elsewhere
        self._symlinks: dict[Path, bytes] = {}
        self._times = Fractions(source.times, call)

    def members(self) -> Iterator[bytes | memoryview]:
        reader = TarReader(Stream(self._source.chunks, self._call.check), pass_over=self._pass_over)
        try:
            for member, data in reader.members():
                yield from self._member(member, data)
        except ValidationError as error:  # not the caller's archive: the engine's answer
            raise ProviderError(
                "the engine's copy of the files broke off or is damaged",
                next_step="Stop the instance, so that no file changes meanwhile, then repeat it.",
                details={"cause": str(error)},
            ) from error

    def _member(self, member: Member, data: Iterator[memoryview]) -> Iterator[bytes | memoryview]:
        path = self._below(member.name)
        name = self._name(path)
        if name is None:
            return
        renamed = self._renamed(member, path, name)
        if renamed is None:
            return
        exact = self._times.exact(b"/".join(path), member.mtime_ns)
        yield header(renamed if exact == member.mtime_ns else replace(renamed, mtime_ns=exact))
        if member.kind is not Kind.FILE:
            return
        if member.extents is not None:
            yield member.sparse_map
        yield from data
        if padding := -member.stored % BLOCK:
            yield bytes(padding)

    def _renamed(self, member: Member, path: Path, name: bytes) -> Member | None:
        if member.kind is Kind.SYMLINK:
            return self._symlink(member, path, name)
        if member.kind is Kind.HARDLINK:
            return self._hardlink(member, path, name)
        return replace(member, name=name)

    def _below(self, name: bytes) -> Path:
        """A name of the engine's tar without its base."""
        path, base = components(name), self._base
        if path[: len(base)] != base or b".." in path:
            raise ProviderError(
                f"the engine sent a file outside {self._source.base}: {_shown(name)}",
                next_step="Repeat it; if it stays so, update the engine.",
            )
        return path[len(base) :]

    def _name(self, path: Path) -> bytes | None:
        """The name in the archive; None for what another source has instead."""
        if self._part:
            return b"/".join((self._part, *path))
        placed = self._layout.to_archive(path)
        return None if placed[0] in self._elsewhere else b"/".join(placed)

    def _symlink(self, member: Member, path: Path, name: bytes) -> Member:
        if len(self._symlinks) < _SYMLINKS_MOST:
            self._symlinks[path] = member.target
        target, outside = member.target, False
        if not self._part:
            target, outside = self._layout.link_to_archive(path, target)
        outside = outside or leads_outside(name, target)
        return replace(member, name=name, target=target, outside=outside)

    def _hardlink(self, member: Member, path: Path, name: bytes) -> Member | None:
        """A further name of a file. That of a symbolic link becomes one more such link."""
        first = self._below(member.target)
        if first in self._symlinks:
            again = replace(member, kind=Kind.SYMLINK, target=self._symlinks[first])
            return self._symlink(again, path, name)
        target = self._name(first)
        if target is None:
            self._pass_over(member.name, "a hard link to what is sent from elsewhere")
            return None
        return replace(member, name=name, target=target)

    def _pass_over(self, name: bytes, what: str) -> None:
        self._call.progress(f"left out, {what}: {_shown(name)}", None)


def _shown(name: bytes) -> str:
    return os.fsdecode(name)
