"""The images of the tests, made offline of what this host has and kept in the engine by content.

``tiny`` has the stand-in for code-server and the usual small programs; ``real`` has a Debian and
the managed code-server. Both keep what swarmd asks of an image: a user ``coder`` with a home,
``code-server`` on PATH, and the port 8080.
"""

from __future__ import annotations

import fcntl
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from tests import docker_files
from tests.docker_files import RootFiles, add_python, find_program

STANDIN = Path(__file__).with_name("standin.py")
REPOSITORY = "swarmd-test"
HOME = "/home/coder"
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
    name = f"{REPOSITORY}-{kind}:{digest.hexdigest()[:16]}"
    if not has(client, name):
        with _alone(kind):
            if not has(client, name):
                build(client, name)
    return name


def has(client: docker.DockerClient, name: str) -> bool:
    """Whether the engine has this image."""
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


@contextmanager
def _alone(kind: str) -> Iterator[None]:
    path = Path(tempfile.gettempdir()) / f"{REPOSITORY}-{kind}.lock"
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
    load(client, name, files.tar())


def add_account(files: RootFiles) -> None:
    """The user ``coder`` with a home, and the folders that everybody expects."""
    files.text("/etc/passwd", _PASSWD)
    files.text("/etc/group", _GROUP)
    files.folder("/root", mode=0o700)
    files.folder("/home")
    files.folder(HOME, owner=USER_ID)
    for folder in ("/tmp", "/var/tmp"):
        files.folder(folder, mode=0o1777)


def load(client: docker.DockerClient, name: str, data: bytes) -> None:
    """Make an image of a root file system."""
    repository, _, tag = name.partition(":")
    client.api.import_image_from_data(data, repository=repository, tag=tag, changes=list(CHANGES))
