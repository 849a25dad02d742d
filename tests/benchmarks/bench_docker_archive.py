"""Export and import of a Docker instance's files against ``docker cp`` of the same data."""

from __future__ import annotations

import random
import secrets
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import docker

from swarmd.ports import Call
from swarmd.providers.docker import archive
from swarmd.providers.docker.engine import Engine, Where
from swarmd.providers.docker.intake import as_docker
from swarmd.providers.shared.tarformat import BLOCK, END, Kind, Member, header, opening
from tests.benchmarks.figure import Figure, seconds
from tests.docker_engine import engine_client, engine_url
from tests.docker_images import HOME, USER_ID, tiny

LABEL = "dev.swarmd.bench"
ROUNDS = 5
ROUNDS_SHOWN = 1
LARGE = 1 << 30
PIECE = 1 << 20
MOST_MEMORY = 16.0
LEAST_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Content:
    """What is sent to and fro.

    Args:
        limit: The least share of ``docker cp``'s speed; 0: it is only shown.
    """

    name: str
    files: int
    size: int
    compressible: bool = False
    limit: float = 0.0

    @property
    def rounds(self) -> int:
        """How often it is measured."""
        return ROUNDS if self.limit else ROUNDS_SHOWN

    def write(self, path: Path) -> None:
        """Write it as an archive of ours."""
        source = random.Random(1)
        block = bytes(PIECE) if self.compressible else source.randbytes(PIECE)
        with path.open("wb") as out:
            out.write(opening())
            out.write(header(Member(b"workspace", Kind.FOLDER, 0o755, time.time_ns())))
            for number in range(self.files):
                name = b"workspace/d%d/f%d" % (number // 100, number)
                out.write(header(Member(name, Kind.FILE, 0o644, time.time_ns(), self.size)))
                for at in range(0, self.size, PIECE):
                    out.write(block[: self.size - at])
                out.write(bytes(-self.size % BLOCK))
            out.write(END)


CONTENTS = (
    Content("1 GB", 1, LARGE, limit=LEAST_SHARE),
    Content("1 GB of zeros", 1, LARGE, compressible=True),
    Content("10,000 files of 1 KiB", 10_000, 1 << 10),
)


def figures() -> Iterator[Figure]:
    """Everything about archives of containers."""
    program = shutil.which("docker")
    if program is None:
        print("    docker-archive is skipped: there is no docker command to compare with")
        return
    with (
        engine_client() as client,
        tempfile.TemporaryDirectory(prefix="swarmd-bench-") as folder,
    ):
        bench = Bench(client, program, Path(folder))
        try:
            for content in CONTENTS:
                yield from bench.figures(content)
        finally:
            bench.close()


class Bench:
    """Our way and that of the command, over the same engine in turns."""

    def __init__(self, client: docker.DockerClient, program: str, folder: Path) -> None:
        self._api = client.api
        self._image = tiny(client)
        self._program = program
        self._ours = folder / "ours.tar"
        self._theirs = folder / "theirs.tar"
        self._engine = Engine("bench", Where(engine_url()))

    def close(self) -> None:
        """Let go."""
        self._engine.close()

    def figures(self, content: Content) -> Iterator[Figure]:
        """One content, in and out."""
        content.write(self._ours)
        with self._container() as one:
            self._put(one)
            with self._theirs.open("wb") as out:
                self._command("cp", f"{one}:{HOME}", "-", out=out)
            grown: list[float] = []
            out_ours, out_theirs = turns(
                lambda: measured(grown, lambda: self._get(one)),
                lambda: self._command("cp", f"{one}:{HOME}", "-", out=None),
                content.rounds,
            )
        yield compared(f"export of {content.name}", out_ours, out_theirs, content)
        yield memory(f"export of {content.name}", grown)
        grown.clear()
        in_ours, in_theirs = self._inward(grown, content.rounds)
        yield compared(f"import of {content.name}", in_ours, in_theirs, content)
        yield memory(f"import of {content.name}", grown)

    def _inward(self, grown: list[float], rounds: int) -> tuple[float, float]:
        """Each round into a container of its own, with what was written before written out."""
        ours, theirs = [], []
        for _ in range(rounds):
            with self._container() as one:
                ours.append(measured(grown, partial(self._put, one)))
            with self._container() as two, self._theirs.open("rb") as data:
                target = f"{two}:{HOME.rpartition('/')[0]}"
                theirs.append(seconds(partial(self._command, "cp", "-", target, given=data)))
        return statistics.median(ours), statistics.median(theirs)

    @contextmanager
    def _container(self) -> Iterator[str]:
        """A created container with a volume on its home."""
        name = f"swarmd-bench-{secrets.token_hex(4)}"
        labels = {LABEL: "archive"}
        self._api.create_volume(name, labels=labels)
        host = self._api.create_host_config(binds=[f"{name}:{HOME}"])
        self._api.create_container(self._image, name=name, labels=labels, host_config=host)
        subprocess.run(["sync"], check=True)
        try:
            yield name
        finally:
            self._api.remove_container(name, force=True)
            self._api.remove_volume(name)

    def _command(
        self, *words: str, given: IO[bytes] | None = None, out: IO[bytes] | None = None
    ) -> None:
        subprocess.run(
            [self._program, "-H", engine_url(), *words],
            stdin=given or subprocess.DEVNULL,
            stdout=out or subprocess.DEVNULL,
            check=True,
        )

    def _get(self, name: str) -> None:
        chunks = self._engine.get_archive(name, HOME, 60)
        with Path("/dev/null").open("wb", buffering=0) as out:
            out.writelines(archive.export(chunks, a_call(), base="coder"))

    def _put(self, name: str) -> None:
        with self._ours.open("rb", buffering=0) as data:
            chunks = iter(lambda: data.read(PIECE), b"")
            pieces = as_docker(chunks, a_call(), home=HOME, uid=USER_ID, gid=USER_ID)
            self._engine.put_archive(name, "/", pieces, 600)


def a_call() -> Call:
    """A call with ten minutes to go."""
    return Call(deadline=time.monotonic() + 600, clock=time.monotonic)


def turns(
    ours: Callable[[], float], theirs: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Both in turns; the medians of their seconds."""
    pairs = [(ours(), seconds(theirs)) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def measured(grown: list[float], work: Callable[[], object]) -> float:
    """Seconds; how many MiB the process grew by at most is added to ``grown``."""
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = status("VmRSS")
    took = seconds(work)
    grown.append((status("VmHWM") - before) / 1024)
    return took


def status(key: str) -> int:
    """A line of our own status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)[key].split()[0])


def compared(name: str, ours: float, theirs: float, content: Content) -> Figure:
    """Our speed as a share of the command's."""
    return Figure(
        f"{name}, its speed as a share of docker cp's", theirs / ours, "", content.limit or 1e-9,
        f"{ours:.2f} s against {theirs:.2f} s" + ("" if content.limit else ", only shown"),
        at_least=True,
    )  # fmt: skip


def memory(name: str, grown: list[float]) -> Figure:
    """How much memory it took at most, the first round included."""
    return Figure(f"{name}, memory", max(0.1, *grown), "MiB", MOST_MEMORY)
