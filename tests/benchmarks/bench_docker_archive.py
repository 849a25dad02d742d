"""Export and import of a Docker instance's files against ``docker cp`` of the same data."""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from swarmd.messages.instance import Instance
from swarmd.ports import Call
from swarmd.providers.shared.tarformat import BLOCK, END, Kind, Member, header, opening
from tests.benchmarks.docker_bed import Bed, bed
from tests.benchmarks.figure import Figure, seconds
from tests.docker_engine import engine_url
from tests.docker_images import HOME

ID = "dev.swarmd.id"
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
    with bed() as both, tempfile.TemporaryDirectory(prefix="swarmd-bench-") as folder:
        both.run(both.instance())  # reads the image, once
        both.clear()
        bench = Bench(both, program, Path(folder))
        for content in CONTENTS:
            yield from bench.figures(content)


class Bench:
    """The provider and the command, over the same engine in turns."""

    def __init__(self, both: Bed, program: str, folder: Path) -> None:
        self._bed = both
        self._program = program
        self._ours = folder / "ours.tar"
        self._theirs = folder / "theirs.tar"

    def figures(self, content: Content) -> Iterator[Figure]:
        """One content: out of what runs and of what does not, and in."""
        content.write(self._ours)
        instance = self._bed.instance()
        self._put(instance)
        with self._theirs.open("wb") as out:
            self._command("cp", f"{self._container(instance)}:{HOME}", "-", out=out)
        yield from self._outward(
            instance, f"export of {content.name} from what is stopped", content
        )
        self._bed.provider.start(instance, a_call())
        yield from self._outward(instance, f"export of {content.name} from what runs", content)
        self._bed.clear()
        grown: list[float] = []
        ours, theirs = self._inward(grown, content.rounds)
        yield compared(f"import of {content.name}", ours, theirs, content)
        yield memory(f"import of {content.name}", grown)

    def _outward(self, instance: Instance, name: str, content: Content) -> Iterator[Figure]:
        place = f"{self._container(instance)}:{HOME}"
        grown: list[float] = []
        ours, theirs = turns(
            lambda: measured(grown, lambda: self._get(instance)),
            lambda: self._command("cp", place, "-", out=None),
            content.rounds,
        )
        yield compared(name, ours, theirs, content)
        yield memory(name, grown)

    def _inward(self, grown: list[float], rounds: int) -> tuple[float, float]:
        """Each round into a new one, with what was written before written out.

        Ours makes volume and container too; the command finds them made.
        """
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(measured(grown, partial(self._put, self._bed.instance())))
            self._written_out()
            api = self._bed.client.api
            made = self._bed.bare(self._bed.instance(), 0).make(api)
            with self._theirs.open("rb") as data:
                target = f"{made}:{HOME.rpartition('/')[0]}"
                theirs.append(seconds(partial(self._command, "cp", "-", target, given=data)))
            self._written_out()
        return statistics.median(ours), statistics.median(theirs)

    def _written_out(self) -> None:
        self._bed.clear()
        subprocess.run(["sync"], check=True)

    def _container(self, instance: Instance) -> str:
        filters = {"label": f"{ID}={instance.id}"}
        (found,) = self._bed.client.api.containers(all=True, filters=filters)
        return str(found["Id"])

    def _command(
        self, *words: str, given: IO[bytes] | None = None, out: IO[bytes] | None = None
    ) -> None:
        subprocess.run(
            [self._program, "-H", engine_url(), *words],
            stdin=given or subprocess.DEVNULL,
            stdout=out or subprocess.DEVNULL,
            check=True,
        )

    def _get(self, instance: Instance) -> None:
        with Path("/dev/null").open("wb", buffering=0) as out:
            out.writelines(self._bed.provider.export(instance, a_call()))

    def _put(self, instance: Instance) -> None:
        with self._ours.open("rb", buffering=0) as data:
            chunks = iter(lambda: data.read(PIECE), b"")
            self._bed.provider.import_data(instance, chunks, a_call())


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
