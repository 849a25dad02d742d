"""How long a start takes, and how much memory: empty, with 10,000 stopped, many running."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from swarmd.messages.codec import decoder
from swarmd.messages.instance import Instance
from tests.benchmarks import many
from tests.benchmarks.figure import Figure, median_seconds
from tests.daemon import DaemonProcess
from tests.ports import port_range

STOPPED = 10_000
RUNNING = {100: 1.0, 500: 2.0}
"""How many, and the seconds within which they are adopted."""
ROUNDS = 5


def figures() -> Iterator[Figure]:
    """Everything about starting."""
    with tempfile.TemporaryDirectory(prefix="swarmd-bench-") as folder:
        empty, memory = bare(Path(folder) / "empty")
        yield Figure("start of an empty daemon to its first answer", empty, "s", 0.6)
        yield Figure("memory of an empty daemon", memory / 1e6, "MB", 45.0)
        yield from full(Path(folder) / "full", empty, memory)
        for count, limit in RUNNING.items():
            yield adopting(Path(folder) / f"running-{count}", count, limit)


def bare(folder: Path) -> tuple[float, float]:
    """Seconds to the first answer and bytes resident, of an empty daemon."""
    folder.mkdir()
    with DaemonProcess(folder) as daemon:
        starts, memory = rounds(daemon)
    return starts, memory


def full(folder: Path, empty: float, memory: float) -> Iterator[Figure]:
    """The same with many stopped instances."""
    folder.mkdir()
    with DaemonProcess(folder) as daemon:
        many.fill(daemon, STOPPED)
        alone = median_seconds(lambda: decode(many.records(daemon)), ROUNDS)
        took, resident = rounds(daemon, expected=STOPPED)
    yield Figure(
        f"start with {STOPPED:,} stopped instances to the first answer", took, "s",
        3 * alone + empty, f"reading and decoding alone {alone:.3f} s, empty start {empty:.3f} s",
    )  # fmt: skip
    each = (resident - memory) / STOPPED
    yield Figure("memory of each further instance", each / 1024, "KiB", 6.0)


def decode(files: list[Path]) -> list[Instance]:
    """What the start must do at least."""
    decode_one = decoder(Instance).decode
    return [decode_one(file.read_bytes()) for file in files]


def rounds(daemon: DaemonProcess, *, expected: int = 0) -> tuple[float, float]:
    """Start and stop a few times; the medians of seconds to the first answer, and of bytes."""
    times, sizes = [], []
    for _ in range(ROUNDS):
        times.append(first_answer(daemon))
        assert daemon.call("instance.list", limit=1)["total"] == expected
        sizes.append(settled_rss(daemon))
        daemon.stop()
    return statistics.median(times), statistics.median(sizes)


def first_answer(daemon: DaemonProcess) -> float:
    """Seconds from the start of the process to its first answer."""
    begun = time.perf_counter()
    daemon.start(wait=False)
    while not daemon.answers():
        assert daemon.process is not None
        assert daemon.process.poll() is None, daemon.last_words()
        time.sleep(0.002)
    return time.perf_counter() - begun


def settled_rss(daemon: DaemonProcess) -> float:
    """Bytes resident once the daemon is ready."""
    ready(daemon)
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return int(status["VmRSS"].split()[0]) * 1024


def ready(daemon: DaemonProcess) -> None:
    """Wait until the daemon has looked at its provider."""
    deadline = time.monotonic() + 60
    while daemon.call("daemon.status")["state"] != "ready":
        assert time.monotonic() < deadline, daemon.last_words()
        time.sleep(0.002)


def adopting(folder: Path, count: int, limit: float) -> Figure:
    """Running instances that outlived kill -9, taken over again."""
    folder.mkdir()
    ports = {"port_range": port_range(count // 100 + 1)}
    with DaemonProcess(folder, options=ports) as daemon:
        daemon.start()
        daemon.ctl_json("create", "n", "--count", str(count))
        before = set(daemon.instance_processes())
        took = statistics.median(adopt(daemon, count) for _ in range(ROUNDS))
        assert set(daemon.instance_processes()) == before, "one was doubled, or lost"
        daemon.ctl_json("rm", "--yes", "--force", "--all")
    return Figure(
        f"{count} running instances adopted after kill -9, from the start of the daemon",
        took, "s", limit, "measured until the daemon is ready and each of them was seen running",
    )  # fmt: skip


def adopt(daemon: DaemonProcess, count: int) -> float:
    """Kill, start, and wait until all are known to run."""
    daemon.kill()
    begun = time.perf_counter()
    first_answer(daemon)
    ready(daemon)
    took = time.perf_counter() - begun
    assert daemon.call("daemon.status")["instances"]["by_status"]["running"] == count
    return took
