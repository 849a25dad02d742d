"""The images of the tests, made offline of what this host has and kept in the engine by content.

``tiny`` has the stand-in for code-server and the usual small programs; ``real`` has a Debian and
the managed code-server. Both keep what swarmd asks of an image: a user ``coder`` with a home,
``code-server`` on PATH, and the port 8080.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound

from swarmd.setup import find_installed
from tests import docker_debian, docker_files
from tests.docker_engine import engine_client
from tests.docker_files import RootFiles, add_python, find_program
from tests.support import code_server_directory, require

STANDIN = Path(__file__).with_name("standin.py")
REPOSITORY = "swarmd-test"
HOME = "/home/coder"
KEPT = timedelta(days=1)
"""How long an image stays that is not the current one."""
USER_ID = 1000
"""Of the user ``coder``."""

_COREUTILS = (
    "base64 basename cat chmod chown cp cut date dd df dirname du echo env expr false head id "
    "link ln ls md5sum mkdir mkfifo mktemp mv nproc od printenv printf pwd readlink realpath rm "
    "rmdir seq sha256sum sleep sort stat stty sync tail tee test timeout touch tr true truncate "
    "tty uname uniq wc whoami yes"
)
_OTHERS = "find xargs grep sed tar gzip setsid kill ps git"
_PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\n"
    f"coder:x:{USER_ID}:{USER_ID}::{HOME}:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
)
_GROUP = f"root:x:0:\ntty:x:5:\ncoder:x:{USER_ID}:\nnogroup:x:65534:\n"
_SERVER = '#!/bin/sh\nexec /usr/bin/python3 -I -S /usr/lib/standin.py "$@"\n'
CHANGES = (
    "USER coder",
    f"WORKDIR {HOME}",
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "EXPOSE 8080",
    'CMD ["code-server", "--bind-addr", "0.0.0.0:8080"]',
)


def tiny(client: docker.DockerClient) -> str:
    """The name of the small image in this engine; it is built if it is not there."""
    return cached(client, "tiny", _tiny_inputs(), _build_tiny)


def real(client: docker.DockerClient) -> str:
    """The name of the image with the real code-server; it is built (two minutes) if need be.

    Skips, or fails if required, where there is no code-server or no Debian to be had.
    """
    server_dir = code_server_directory()
    server = find_installed(server_dir)
    if server is None:
        require("code-server", found=False, reason=f"none in {server_dir}")
        raise AssertionError
    made_of = (
        Path(docker_debian.__file__).read_bytes(),
        f"{server.version} {server.installed_at} {USER_ID} {CHANGES}".encode(),
    )

    def build(client: docker.DockerClient, name: str) -> None:
        docker_debian.require_debootstrap()
        load(client, name, docker_debian.stream(server_dir, server, "coder", USER_ID))

    return cached(client, "real", made_of, build)


def other(client: docker.DockerClient) -> str:
    """The name of an image that differs from ``tiny`` in one thing: ``IMAGE=other`` is set."""
    base = tiny(client)

    def build(client: docker.DockerClient, name: str) -> None:
        text = f"FROM {base}\nENV IMAGE=other\n".encode()
        client.images.build(fileobj=io.BytesIO(text), tag=name, rm=True)

    return cached(client, "other", [base.encode()], build)


# --- by content ---------------------------------------------------------------------------------


def cached(
    client: docker.DockerClient,
    kind: str,
    inputs: Iterable[bytes],
    build: Callable[[docker.DockerClient, str], None],
) -> str:
    """The image that these inputs make: found, or built by one process while the others wait."""
    digest = hashlib.sha256()
    for part in inputs:
        digest.update(b"%d:" % len(part) + part)
    repository = f"{REPOSITORY}-{kind}"
    name = f"{repository}:{digest.hexdigest()[:16]}"
    if not has(client, name):
        with _alone(kind):
            if not has(client, name):
                build(client, name)
                _forget_old(client, repository)
    return name


def _forget_old(client: docker.DockerClient, repository: str) -> None:
    """Remove what other inputs made, unless it is so young that another run may use it."""
    for image in client.images.list(name=repository):
        made = datetime.fromisoformat(image.attrs["Created"][:19]).replace(tzinfo=UTC)
        if datetime.now(UTC) - made > KEPT:
            with contextlib.suppress(APIError):  # a container is made of it
                client.images.remove(image.tags[0])


def has(client: docker.DockerClient, name: str) -> bool:
    """Whether the engine has this image."""
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


@contextlib.contextmanager
def _alone(kind: str) -> Iterator[None]:
    path = Path(tempfile.gettempdir()) / f"{REPOSITORY}-{kind}-{os.getuid()}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def source_of(*paths: Path) -> Iterator[bytes]:
    """What our own part of an image is made by."""
    for path in (Path(__file__), Path(docker_files.__file__), *paths):
        yield path.read_bytes()


# --- tiny ---------------------------------------------------------------------------------------


def _programs() -> dict[str, Path]:
    """Of the host's small programs those that it has."""
    names = [*_COREUTILS.split(), *_OTHERS.split(), "dash"]
    found = {name: find_program(name) for name in names}
    return {name: path for name, path in found.items() if path is not None}


def _tiny_inputs() -> Iterator[bytes]:
    yield from source_of(STANDIN)
    for name, path in {**_programs(), "python3": docker_files.system_python()}.items():
        status = path.stat()
        yield f"{name} {path} {status.st_size} {status.st_mtime_ns}".encode()


def _build_tiny(client: docker.DockerClient, name: str) -> None:
    files = RootFiles()
    for top in ("bin", "sbin", "lib", "lib64"):
        files.folder(f"/usr/{top}")
        files.link(f"/{top}", f"usr/{top}")
    add_account(files)
    for program, path in _programs().items():
        files.program(path, f"/usr/bin/{program}")
    files.link("/usr/bin/sh", "dash")
    for command in ("git-upload-pack", "git-receive-pack"):
        files.link(f"/usr/bin/{command}", "git")
    files.folder("/usr/share/git-core/templates")
    add_python(files, STANDIN)
    files.copy(STANDIN, "/usr/lib/standin.py")
    files.text("/usr/bin/code-server", _SERVER, mode=0o755)
    load(client, name, [files.tar()])


def add_account(files: RootFiles) -> None:
    """The user ``coder`` with a home, and the folders that everybody expects."""
    files.text("/etc/passwd", _PASSWD)
    files.text("/etc/group", _GROUP)
    files.folder("/root", mode=0o700)
    files.folder("/home")
    files.folder(HOME, owner=USER_ID)
    for folder in ("/tmp", "/var/tmp"):
        files.folder(folder, mode=0o1777)


def load(client: docker.DockerClient, name: str, tar: Iterable[bytes]) -> None:
    """Make an image of the tar of a root file system."""
    repository, _, tag = name.partition(":")
    client.api.import_image_from_stream(
        iter(tar), repository=repository, tag=tag, changes=list(CHANGES)
    )


def main() -> None:
    """Make both images in the default engine, before tests with a time limit ask for them."""
    with engine_client() as client:
        for make in (tiny, real):
            began = time.monotonic()
            print(make(client), f"{time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
