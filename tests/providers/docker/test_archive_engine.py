"""Archives in and out of real containers."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from swarmd.errors import ValidationError
from swarmd.providers.docker.archive import as_docker, export
from swarmd.providers.docker.engine import Engine, Where
from swarmd.providers.docker.times import list_times
from swarmd.providers.local.data import archive as local_archive
from swarmd.providers.local.data import folders
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.shared.account import own
from tests.docker_engine import engine_url
from tests.docker_images import HOME, USER_ID
from tests.providers.local_data.archives import a_call, file, fill, folder, link, pack, picture
from tests.support import wait_until

LABEL = "dev.swarmd.test-archive"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "data")
    made.prepare()
    return made


@pytest.fixture
def dirs(layout: Layout) -> InstanceDirs:
    places = layout.instance("01one")
    folders.make(places, own())
    return places


@pytest.fixture
def engine(docker_client: docker.DockerClient) -> Iterator[Engine]:
    assert docker_client.ping()
    made = Engine("test", Where(engine_url()))
    yield made
    made.close()


class Box:
    """A container that does nothing, with a volume on its home."""

    def __init__(self, client: docker.DockerClient, image: str) -> None:
        self.name = f"swarmd-test-{secrets.token_hex(5)}"
        client.volumes.create(self.name, labels={LABEL: ""})
        self._volume = client.volumes.get(self.name)
        self.container = client.containers.create(
            image,
            ["sleep", "1000"],
            name=self.name,
            labels={LABEL: ""},
            init=True,
            network_mode="none",
            volumes={self.name: {"bind": HOME, "mode": "rw"}},
        )

    def run(self, *command: str) -> bytes:
        """What a command writes, as root."""
        done = self.container.exec_run(list(command), user="0", workdir=HOME)
        assert done.exit_code == 0, done.output
        assert isinstance(done.output, bytes)
        return done.output

    def remove(self, engine: Engine) -> None:
        engine.remove(self.name, 30)  # which waits while the engine is busy with a refused archive
        self._volume.remove()


@pytest.fixture
def box(docker_client: docker.DockerClient, tiny_image: str, engine: Engine) -> Iterator[Box]:
    made = Box(docker_client, tiny_image)
    yield made
    made.remove(engine)


def put(engine: Engine, box: Box, *chunks: bytes) -> None:
    made = as_docker(iter(chunks), a_call(), home=HOME, uid=USER_ID, gid=USER_ID)
    engine.put_archive(box.name, "/", made, 60)


def look(box: Box, *names: str) -> list[str]:
    wanted = [f"{HOME}/{name}" for name in names]
    return box.run("stat", "-c", "%A %u %h %s %.Y", *wanted).decode().splitlines()


@pytest.mark.parametrize("running", [False, True])
def test_local_to_docker_to_local_keeps_everything(
    layout: Layout, dirs: InstanceDirs, engine: Engine, box: Box, running: bool
) -> None:
    fill(dirs)
    os.utime(dirs.workspace / "none", ns=(0, 0))  # the engine knows no time before 1970
    for folder_ in (dirs.home, dirs.workspace, dirs.user_data, dirs.extensions):
        os.utime(folder_, ns=(0, 1_600_000_000_987_654_321))
    before = picture(dirs.root)
    if running:
        box.container.start()
    put(engine, box, *local_archive.export(dirs, a_call()))
    if not running:
        box.container.start()
    times = box.run(*list_times(HOME))
    if not running:
        box.container.stop(timeout=1)
    chunks = engine.get_archive(box.name, HOME, 60)
    there = layout.instance("01two")
    out = export(chunks, a_call(), base="coder", times=[times])
    local_archive.unpack(out, there, own(), a_call())
    after = picture(there.root)
    for implied in (b"/home/.local", b"/home/.local/share"):
        del after[implied]
    del before[b"/home"], after[b"/home"]  # what was implied was made in it
    assert after == before


def test_without_the_list_times_are_whole_seconds(layout: Layout, engine: Engine, box: Box) -> None:
    put(engine, box, pack(file("workspace/a", mtime_ns=1_700_000_000_123_456_789)))
    there = layout.instance("01two")
    chunks = engine.get_archive(box.name, HOME, 60)
    local_archive.unpack(export(chunks, a_call(), base="coder"), there, own(), a_call())
    assert (there.workspace / "a").stat().st_mtime_ns == 1_700_000_000 * 10**9


def test_what_is_made_is_the_users(engine: Engine, box: Box) -> None:
    moment = 1_700_000_000_123_456_789
    late = (folder("workspace/d"), file("workspace/d/x"), link("workspace/d/l", "x"))
    data = pack(
        folder("workspace/e/f"),
        *late,
        file("workspace/set", mode=0o6755, mtime_ns=moment),
        link("workspace/hard", "workspace/set", late[2].kind.HARDLINK, mode=0o755, mtime_ns=moment),
        link("workspace/out", "../../../../../../../etc", outside=True),
        file("home/.bashrc", b"rc", mode=0o600),
    )
    put(engine, box, data)
    box.container.start()
    assert look(box, "project/set", "project/hard", "project/d", "project/e", ".bashrc") == [
        "-rwxr-xr-x 1000 2 1 1700000000.123456789",
        "-rwxr-xr-x 1000 2 1 1700000000.123456789",
        "drwxr-xr-x 1000 2 4096 0.000000000",
        *look(box, "project/e"),
        "-rw------- 1000 1 2 0.000000000",
    ]
    owners = box.run("find", HOME, "!", "-user", str(USER_ID), "-print")
    assert owners == b"", "parents too"
    assert b"drwx------ 1000" in look(box, ".local", "project/e")[0].encode()
    assert box.run("readlink", f"{HOME}/project/out") == b"../../../../../../../etc\n"


def test_no_link_of_the_image_is_gone_through(engine: Engine, box: Box) -> None:
    """Nor one that a user left: what the archive has stands in its place."""
    box.container.start()
    box.run("sh", "-c", "ln -s /etc .config; ln -s /etc project; mkdir x; touch x/y; mkdir -p /etc")
    put(engine, box, pack(file("home/.config/passwd"), file("workspace/group"), file("home/x")))
    found = box.run("find", HOME, "/etc/passwd", "-printf", r"%y %p\n").decode().split("\n")
    assert f"f {HOME}/.config/passwd" in found
    assert f"f {HOME}/project/group" in found
    assert f"f {HOME}/x" in found
    # Asked again: a busy engine may lose the output of a short command (moby/moby#27289).
    wait_until(lambda: b"coder:" in box.run("cat", "/etc/passwd"))


def test_a_refusal_comes_out_of_the_engine_as_it_is(engine: Engine, box: Box) -> None:
    data = pack(file("workspace/a", bytes(3 << 20)), link("workspace/l", "/etc"))
    with pytest.raises(ValidationError, match="link out of the tree") as caught:
        put(engine, box, *(data[at : at + 65_536] for at in range(0, len(data), 65_536)))
    assert caught.value.field == "archive"
    with pytest.raises(ValidationError, match="cut off"):
        put(engine, box)


def test_sparse_files_come_whole(
    engine: Engine, box: Box, layout: Layout, dirs: InstanceDirs
) -> None:
    fill(dirs)
    put(engine, box, *local_archive.export(dirs, a_call()))
    box.container.start()
    for name in ("sparse", "hole"):
        there = box.run("sha256sum", f"{HOME}/{name}").split()[0]
        here = subprocess.run(
            ["sha256sum", str(dirs.home / name)], check=True, capture_output=True
        ).stdout.split()[0]
        assert there == here


def test_a_mounted_workspace_is_part_of_the_home(
    docker_client: docker.DockerClient, tiny_image: str, engine: Engine, tmp_path: Path
) -> None:
    """Docker's tar of a home goes into what is mounted below it, running or not."""
    (tmp_path / "mine").write_text("x")
    container = docker_client.containers.create(
        tiny_image,
        ["sleep", "1000"],
        labels={LABEL: ""},
        network_mode="none",
        volumes={str(tmp_path): {"bind": f"{HOME}/project", "mode": "rw"}},
    )
    try:
        chunks = engine.get_archive(str(container.id), HOME, 60)
        assert b"workspace/mine" in b"".join(export(chunks, a_call(), base="coder"))
    finally:
        container.remove(force=True)


def test_an_export_that_is_given_up_ends(engine: Engine, box: Box) -> None:
    put(engine, box, pack(file("workspace/a", bytes(8 << 20))))
    chunks = engine.get_archive(box.name, HOME, 60)
    stream = export(chunks, a_call(), base="coder")
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    chunks.close()
    assert engine.inspect(box.name, 10)["Name"] == f"/{box.name}"


PROGRAM = """
import resource, sys, time
from swarmd.ports import Call
from swarmd.providers.docker.archive import as_docker, export
from swarmd.providers.docker.engine import Engine, Where
from swarmd.providers.shared.tarformat import END, Kind, Member, header

def archive(size):
    yield header(Member(b"workspace/big", Kind.FILE, size=size))
    block = bytes(1 << 18)
    for _ in range(size >> 18):
        yield block
    yield END

def both(size):
    tar = as_docker(archive(size), call, home=sys.argv[3], uid=1000, gid=1000)
    engine.put_archive(sys.argv[2], "/", tar, 200)
    out = export(engine.get_archive(sys.argv[2], sys.argv[3], 60), call, base="coder")
    return sum(map(len, out))

call = Call(deadline=time.monotonic() + 250, clock=time.monotonic)
engine = Engine("test", Where(sys.argv[1]))
both(1 << 18)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert both(1 << 30) > 1 << 30
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
engine.close()
"""


@pytest.mark.timeout(300)
def test_memory_is_bounded(docker_client: docker.DockerClient, box: Box) -> None:
    """One GiB in and out again, in a process of its own: at most 16 MiB more than before."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, engine_url(), box.name, HOME],
        check=True,
        capture_output=True,
        text=True,
    )
    assert docker_client.ping()
    assert int(done.stdout) * 1024 < 16 << 20
