"""``python -m tests.e2e.soak``: thousands of lives of an instance; the daemon must not grow.

A cycle is create, stop, start, delete, on light stand-ins. After a warm-up of half as many that
fills every bounded table (ended operations, the journal's table), the daemon's descriptors and
resident memory are measured; after all the cycles there may be at most 5 more descriptors and 2 %
more memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from swarmd.daemon import TRIM_SECONDS
from tests.daemon import DaemonProcess

AT_ONCE = 2
WARM_UP = 0.5
MORE_DESCRIPTORS = 5
MORE_MEMORY = 1.02


@dataclass(frozen=True)
class Size:
    """What the daemon holds."""

    descriptors: int
    rss_kib: int
    threads: int

    def __str__(self) -> str:
        return f"{self.descriptors} descriptors, {self.rss_kib} KiB, {self.threads} threads"


def measure(daemon: DaemonProcess) -> Size:
    """The least of many looks while nothing is asked of it.

    They span the daemon's own round of giving memory back: what it held until then was
    rubbish, and when in the round one looks is chance.
    """
    seen = []
    begun = time.monotonic()
    while time.monotonic() - begun < TRIM_SECONDS + 5.0:
        threading.Event().wait(0.5)
        lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        descriptors = len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))
        seen.append((descriptors, int(status["VmRSS"].split()[0]), int(status["Threads"])))
    return Size(*map(min, zip(*seen, strict=True)))


def cycle(daemon: DaemonProcess, number: int) -> None:
    """One life."""
    with daemon.connect() as connection:
        name = connection.call("instance.create", config={"name": f"n{number}"})["id"]
        connection.call("instance.stop", id=name)
        connection.call("instance.start", id=name)
        connection.call("instance.delete", id=name, force=True)


def run(daemon: DaemonProcess, numbers: range, total: int) -> None:
    """Many lives, a few at a time; raises what the first failure raised."""
    begun = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = pool.map(lambda number: cycle(daemon, number), numbers)
        for number, _ in zip(numbers, done, strict=True):
            if (number + 1) % 100 == 0:
                pace = (number + 1 - numbers.start) / (time.monotonic() - begun)
                print(f"{number + 1}/{total} lives, {pace:.1f} a second", flush=True)


def soak(daemon: DaemonProcess, cycles: int) -> list[str]:
    """Warm up, measure, do all the cycles, measure; what grew too much."""
    warm = int(cycles * WARM_UP)
    total = warm + cycles
    run(daemon, range(warm), total)
    before = measure(daemon)
    print(f"after the warm-up: {before}", flush=True)
    run(daemon, range(warm, total), total)
    after = measure(daemon)
    print(f"at the end:        {after} ({after.rss_kib / before.rss_kib - 1:+.2%} memory)")
    problems = []
    if after.descriptors > before.descriptors + MORE_DESCRIPTORS:
        problems.append(f"{after.descriptors - before.descriptors} more descriptors")
    if after.rss_kib > before.rss_kib * MORE_MEMORY:
        problems.append(f"{after.rss_kib - before.rss_kib} KiB more memory")
    problems += [f"left running: {process}" for process in daemon.instance_processes()]
    return problems


def main() -> int:
    """Run the soak; 1 if anything grew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--cycles", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="swarmd-soak-") as folder:
        # A port is not given again for a day, and each life takes one.
        ports = {"port_range": "10000-29999"}
        # The bounded list of ended operations is full before the first measurement.
        kept = max(10, options.cycles // 2)
        settings: dict[str, dict[str, object]] = {
            "instances": {"operations_kept": kept},
            "logging": {"level": "warning"},
        }
        with DaemonProcess(Path(folder), options=ports, settings=settings).start() as daemon:
            problems = soak(daemon, options.cycles)
    print("\n".join(problems) if problems else f"{options.cycles} lives: it did not grow")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
