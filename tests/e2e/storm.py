"""``python -m tests.e2e.storm``: concurrent wishes while the daemon is killed again and again.

Each round, workers create, stop, start and delete instances until the daemon is ended with
kill -9 at a random moment. After its restart three things must hold: nothing acknowledged is
missing, nothing runs without a record, nothing is there twice.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.daemon import Connection, DaemonProcess, Refused
from tests.e2e import stormcheck

WORKERS = 4
NAMES_EACH = 2
LONGEST_ROUND = 3.0
MAY_LOSE = {"conflict", "operation_cancelled"}
"""What a wish may be answered with while others are at the same instance."""


@dataclass
class Known:
    """What one worker was told about one name; ``None`` where the answer was cut off."""

    name: str
    wish: str | None = "absent"
    id: str | None = None
    trashed: set[str] = field(default_factory=set)
    started: list[str] = field(default_factory=list)
    """Operations whose acceptance was acknowledged in this round."""


@dataclass
class Worker:
    """Wishes for a few names of its own, one after the other, until the daemon is gone."""

    daemon: DaemonProcess
    chance: random.Random
    names: list[Known]
    problems: list[str] = field(default_factory=list)
    acknowledged: int = 0

    def run(self) -> None:
        """Go on until the connection breaks."""
        try:
            with self.daemon.connect() as connection:
                while True:
                    self.act(connection, self.chance.choice(self.names))
        except (OSError, ValueError):
            return  # the daemon was killed: what was on its way is unknown, and marked so

    def act(self, connection: Connection, known: Known) -> None:
        """One wish and its answer."""
        verb, wish, params = self.choose(known)
        before, known.wish = known.wish, None
        number = connection.send(f"instance.{verb}", **params)
        try:
            result = connection.reply(number)
        except Refused as refused:
            known.wish = before
            if refused.type not in MAY_LOSE:
                self.problems.append(f"{verb} {known.name}: {refused}")
            return
        finally:
            known.started += started(connection)
        self.acknowledged += 1
        known.wish = wish
        if verb == "create":
            known.id = result["id"]
        if verb == "delete" and not params["force"]:
            known.trashed.add(params["id"])

    def choose(self, known: Known) -> tuple[str, str, dict[str, Any]]:
        """A wish that makes sense for what is known."""
        if known.wish == "absent":
            running = self.chance.random() < 0.8
            params = {"config": {"name": known.name}, "start": running}
            return "create", "running" if running else "stopped", params
        verb = self.chance.choice(["stop", "start", "delete"])
        assert known.id is not None
        if verb == "delete":
            return verb, "absent", {"id": known.id, "force": self.chance.random() < 0.5}
        return verb, "running" if verb == "start" else "stopped", {"id": known.id}


def started(connection: Connection) -> list[str]:
    """The operations that were acknowledged as accepted, taken out of what was read."""
    found = [
        message["params"]["id"]
        for message in connection.notifications
        if message["method"] == "operation.started"
    ]
    connection.notifications.clear()
    return found


def one_round(daemon: DaemonProcess, workers: list[Worker], seconds: float) -> int:
    """Let the workers wish for so many seconds, then kill the daemon; how much was acknowledged."""
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for worker in workers:
        worker.acknowledged = 0
        for known in worker.names:
            known.started.clear()
    for thread in threads:
        thread.start()
    threading.Event().wait(seconds)
    daemon.kill()
    for thread in threads:
        thread.join()
    return sum(worker.acknowledged for worker in workers)


def storm(daemon: DaemonProcess, rounds: int, seed: int) -> list[str]:
    """All rounds; what was found wrong."""
    chance = random.Random(seed)
    names = [[Known(f"w{w}-{n}") for n in range(NAMES_EACH)] for w in range(WORKERS)]
    workers = [Worker(daemon, random.Random(chance.random()), known) for known in names]
    everything = [known for group in names for known in group]
    daemon.start()
    for number in range(1, rounds + 1):
        seconds = chance.uniform(0.02, LONGEST_ROUND)
        acknowledged = one_round(daemon, workers, seconds)
        begun = time.monotonic()
        daemon.start()
        problems = [problem for worker in workers for problem in worker.problems]
        problems += stormcheck.check(daemon, everything)
        took = time.monotonic() - begun
        cut_off = sum(known.wish is None for known in everything)
        print(
            f"round {number}/{rounds}: killed after {seconds:.2f} s, {acknowledged} acknowledged, "
            f"{cut_off} cut off; settled after {took:.1f} s: "
            + (f"{len(problems)} PROBLEMS" if problems else "whole"),
            flush=True,
        )
        if problems:
            return problems
        stormcheck.learn(daemon, everything)
    return stormcheck.clean_up(daemon)


@contextmanager
def place() -> Iterator[Path]:
    """A folder for the storm; kept if it ends badly."""
    folder = Path(tempfile.mkdtemp(prefix="swarmd-storm-"))
    yield folder
    import shutil

    shutil.rmtree(folder)


def main() -> int:
    """Run the storm; 1 if anything was found wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="of a storm to repeat")
    parser.add_argument("--standin", action="store_true", help="light stand-ins, no code-server")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    with place() as folder:
        server = {} if options.standin else stormcheck.real_command()
        with DaemonProcess(folder, options=server) as daemon:
            problems = storm(daemon, options.rounds, seed)
            if problems:
                print("\n".join(problems), f"seed {seed}; see {folder}", sep="\n", file=sys.stderr)
                print(daemon.last_words(), file=sys.stderr)
                daemon.close()
                sys.stderr.flush()
                return 1
    print(f"{options.rounds} rounds: nothing lost, nothing left, nothing doubled")
    return 0


if __name__ == "__main__":
    sys.exit(main())
