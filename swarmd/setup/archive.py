"""The installation from a release archive of code-server, which brings its own node.

The archive is taken only where somebody names it, and from the network only together with its
SHA-256: the releases come without a digest that could be pinned here in good faith, and what is
unpacked runs with the rights of every user. A file on this machine is trusted like any other
file that its owner hands over; a digest is checked if one is given.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import platform
import re
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from http.client import HTTPException
from pathlib import Path

from swarmd.errors import InitializationError, ValidationError
from swarmd.setup.context import Context
from swarmd.setup.layout import make_readable, remove_tree
from swarmd.setup.manifest import SETUP_COMMAND

#: Where code-server's root is inside the tree, and the node that runs it.
ROOT = Path()
NODE_BINARY = Path("lib/node")

NETWORK_SECONDS = 20.0
_LIMIT_BYTES = 4_000_000_000
_BLOCK_BYTES = 1 << 20


def is_address(archive: str) -> bool:
    """Whether ``archive`` names something on the network and not a file."""
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", archive) is not None


def check_request(archive: str, sha256: str | None) -> None:
    """See that what was asked for can be fetched and trusted.

    Raises:
        ValidationError: A digest is malformed or missing, the address is not https, or the file
            is not there.
        InitializationError: This Python cannot unpack an archive safely.
    """
    if not hasattr(tarfile, "data_filter"):  # before anything is downloaded
        raise InitializationError(
            f"Python {platform.python_version()} cannot unpack an archive that might be hostile.",
            field="archive",
            next_step="Use Python 3.11.4 or newer, or leave --archive out to install from PyPI "
            "and npm.",
        )
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ValidationError("A SHA-256 has 64 hexadecimal digits.", field="sha256")
    if not is_address(archive):
        if not Path(archive).is_file():
            raise ValidationError(f"There is no file {archive}.", field="archive")
    elif not archive.startswith("https://"):
        raise ValidationError("An archive is fetched over https alone.", field="archive")
    elif sha256 is None:
        raise ValidationError(
            "An archive from the network is taken only with its SHA-256.",
            field="sha256",
            next_step=f"Run {SETUP_COMMAND} --archive {archive} --sha256 HEX.",
        )


def digest_of(archive: str, sha256: str | None) -> str:
    """The digest that identifies the archive: the one given, or the file's own."""
    if sha256 is not None:
        return sha256.lower()
    with Path(archive).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(context: Context, archive: str, digest: str) -> None:
    """Step ``fetch``: a copy of the archive in the cache, its digest checked.

    Raises:
        InitializationError: It cannot be reached, or it is not the one that was named.
    """
    layout = context.layout
    remove_tree(layout.tree)
    layout.cache.mkdir(parents=True, exist_ok=True)
    copy = _copy_in(layout.cache)
    if is_address(archive):
        _download(archive, copy)
    else:
        shutil.copyfile(archive, copy)
    found = digest_of(str(copy), None)
    if found != digest:
        copy.unlink()
        raise InitializationError(
            f"The archive {archive} has the SHA-256 {found}, not {digest}.",
            field="sha256",
            next_step="Compare both with what the publisher states, and fetch it anew.",
        )


def unpack(context: Context) -> None:
    """Step ``unpack``: the archive's one folder becomes the tree.

    Raises:
        InitializationError: It is damaged, reaches outside its folder, or is not code-server.
    """
    layout = context.layout
    remove_tree(layout.tree)
    place = layout.work / "unpacked"
    remove_tree(place)
    place.mkdir()
    copy = _copy_in(layout.cache)
    try:
        _check_whole(copy)
        with tarfile.open(copy, "r:gz") as archive:
            # "data" refuses absolute paths, links to the outside, devices and set-uid files
            archive.extractall(place, filter="data")
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise InitializationError(
            f"The archive cannot be unpacked: {error}.",
            field="archive",
            next_step="Fetch it anew from code-server's releases.",
        ) from error
    _root_of(place).rename(layout.tree)
    remove_tree(place)


def complete(context: Context) -> None:
    """Step ``complete``: modes for everyone."""
    make_readable(context.layout.tree)


def _copy_in(cache: Path) -> Path:
    return cache / "archive.tar.gz"


def _download(address: str, target: Path) -> None:
    # check_request has seen to it that this is https
    try:
        with (
            urllib.request.urlopen(address, timeout=NETWORK_SECONDS) as response,  # noqa: S310
            target.open("wb") as file,
        ):
            total = 0
            while block := response.read(_BLOCK_BYTES):
                total += len(block)
                if total > _LIMIT_BYTES:
                    raise OSError(errno.EFBIG, f"it has more than {_LIMIT_BYTES} bytes")
                file.write(block)
    except (urllib.error.URLError, HTTPException, OSError) as error:
        target.unlink(missing_ok=True)
        raise InitializationError(
            f"The archive {address} could not be downloaded: {error}.",
            next_step=(
                f"Fetch it on another machine and run {SETUP_COMMAND} --archive FILE, or leave "
                f"--archive out to install from PyPI and npm."
            ),
            details={"cause": str(error)},
        ) from error


def _check_whole(copy: Path) -> None:
    """Read it to its end, which checks gzip's sum: tarfile takes a cut file for a short one."""
    total = 0
    with gzip.open(copy) as stream:
        while block := stream.read(_BLOCK_BYTES):
            total += len(block)
            if total > _LIMIT_BYTES:
                raise tarfile.TarError(f"it unpacks to more than {_LIMIT_BYTES} bytes")


def _root_of(place: Path) -> Path:
    for root in (place, *place.iterdir()):
        if (root / NODE_BINARY).is_file() and (root / "out/node/entry.js").is_file():
            return root
    raise InitializationError(
        "The archive is not a release of code-server: lib/node and out/node/entry.js are missing.",
        field="archive",
        next_step="Take code-server-VERSION-linux-ARCHITECTURE.tar.gz from its releases.",
    )
