"""From create to a healthy code-server, against starting the same code-server by hand."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figure import Figure, seconds
from tests.daemon import DaemonProcess
from tests.e2e.looking import healthz
from tests.e2e.stormcheck import real_command
from tests.support import free_port

ROUNDS = 7
SLOWER = 0.3


def figures() -> Iterator[Figure]:
    """Both, in turns."""
    options = real_command()
    with tempfile.TemporaryDirectory(prefix="swarmd-bench-") as place:
        folder = Path(place) / "d"
        folder.mkdir()
        with DaemonProcess(folder, options=options).start() as daemon:
            by_hand(options["command"], Path(place) / "warm")
            hand, ours = [], []
            for number in range(ROUNDS):
                hand.append(by_hand(options["command"], Path(place) / f"hand{number}"))
                ours.append(seconds(lambda n=number: daemon.create(f"n{n}")))  # type: ignore[misc]
                daemon.call("instance.delete", id=f"n{number}", force=True)
    by_us, alone = statistics.median(ours), statistics.median(hand)
    yield Figure(
        "create to healthy", by_us, "s", alone + SLOWER,
        f"the same code-server started by hand: {alone:.3f} s; difference {by_us - alone:+.3f} s",
    )  # fmt: skip


def by_hand(command: object, home: Path) -> float:
    """Seconds until a code-server that nobody manages answers."""
    assert isinstance(command, tuple)
    home.mkdir()
    port = free_port()
    arguments = [
        *command, "--auth", "none", "--bind-addr", f"127.0.0.1:{port}",
        "--user-data-dir", str(home / "data"), "--extensions-dir", str(home / "extensions"),
        "--disable-telemetry", "--disable-update-check", str(home),
    ]  # fmt: skip
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    begun = time.perf_counter()
    with subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=environment, start_new_session=True,
    ) as server:  # fmt: skip
        try:
            while healthz(f"http://127.0.0.1:{port}") != 200:
                assert server.poll() is None
                time.sleep(0.005)
            return time.perf_counter() - begun
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
