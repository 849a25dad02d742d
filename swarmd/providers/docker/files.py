"""The files that a container gets before its start: the password and what it was made with."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from swarmd.messages import codec
from swarmd.messages.instance import Auth, InstanceConfig
from swarmd.providers.docker.container import CONFIG_DIR
from swarmd.providers.shared.codeserver import render_config

_MOST = 1 << 20
_WHOLE_MOST = 8 << 20
"""Bytes of an archive that are read: the user of a container may make his files of any size."""
_NAMES = ("config.yaml", "instance.json")
MADE_PATH = f"{CONFIG_DIR}/instance.json"


class Made(Struct, frozen=True, kw_only=True):
    """``instance.json``: an instance's configuration without its password.

    Args:
        config: As it was told last.
        applied: As it was when the server was started last; None: as ``config``, if it was started.
        installed: The extensions that were installed, as they were asked for.
    """

    config: InstanceConfig
    applied: InstanceConfig | None = None
    installed: tuple[str, ...] = ()
    version: int = 1


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a file is."""

    uid: int
    gid: int


ROOT = Owner(0, 0)


@dataclass(frozen=True, slots=True)
class File:
    """A file on its way into a container; without data it is a folder."""

    path: str
    data: bytes | None
    mode: int
    owner: Owner = ROOT


@dataclass(frozen=True, slots=True)
class Kept:
    """What ``/etc/swarmd`` of a container says."""

    made: Made | None = None
    settings: str | None = None


def bare(config: InstanceConfig) -> InstanceConfig:
    """A configuration without its secret."""
    return replace(config, auth=Auth(type=config.auth.type))


def settings_files(
    owner: Owner, auth: Auth, made: Made, more: Iterable[tuple[str, bytes]] = ()
) -> tuple[File, ...]:
    """What is put into a container: ``/etc/swarmd`` with the files that the server reads.

    The folder and what was made with are root's: nobody in the container changes them.

    Args:
        owner: The user that the server runs as.
        auth: With the password.
        made: What ``instance.json`` will say.
        more: Further files for that user.

    Raises:
        ProviderError: There is no password.
    """
    files = [("config.yaml", render_config(auth).encode()), *more]
    own = [File(f"{CONFIG_DIR}/{name}", data, 0o600, owner) for name, data in files]
    return (*made_files(made), *own)


def made_files(made: Made) -> tuple[File, ...]:
    """The folder of settings, and ``instance.json`` in it."""
    return (
        File(CONFIG_DIR, None, 0o755),
        File(MADE_PATH, encode_made(made), 0o600),
    )


def tar_of(files: Iterable[File]) -> bytes:
    """A small archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            info = tarfile.TarInfo(file.path.lstrip("/"))
            info.uid, info.gid, info.mode = file.owner.uid, file.owner.gid, file.mode
            if file.data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(file.data)
            archive.addfile(info, io.BytesIO(file.data or b""))
    return buffer.getvalue()


def encode_made(made: Made) -> bytes:
    """As it stands in the file; nothing secret is in it."""
    return codec.encode(
        replace(made, config=bare(made.config), applied=made.applied and bare(made.applied))
    )


def read_kept(chunks: Iterable[bytes]) -> Kept:
    """Read an archive of ``/etc/swarmd``; what cannot be read is as if it were not there."""
    found = {name: data for name, data in files_in(chunks) if name in _NAMES}
    settings = found.get("config.yaml")
    return Kept(
        made=_decode_made(found.get("instance.json")),
        settings=None if settings is None else settings.decode(errors="replace"),
    )


def _decode_made(raw: bytes | None) -> Made | None:
    if raw is None:
        return None
    try:
        return codec.decoder(Made).decode(raw)
    except msgspec.MsgspecError:
        return None


def files_in(chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """The small regular files of an archive, by their base names, as far as it can be read."""
    with (
        contextlib.suppress(tarfile.TarError),
        tarfile.open(fileobj=_Reader(chunks), mode="r|") as archive,
    ):
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is not None and member.size <= _MOST:
                yield PurePosixPath(member.name).name, stream.read()


class _Reader(io.RawIOBase):
    """Chunks as a file that can be read once."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""
        self._left = _WHOLE_MOST

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            piece = next(self._chunks, None)
            if piece is None:
                break
            self._rest += piece
            self._left -= len(piece)
            if self._left < 0:
                raise tarfile.ReadError("too much")
        size = len(self._rest) if size < 0 else size
        given, self._rest = self._rest[:size], self._rest[size:]
        return given
