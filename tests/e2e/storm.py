"""``python -m tests.e2e.storm``: concurrent wishes while the daemon is killed again and again.

Each round, workers create, stop, start and delete instances until the daemon is ended with
kill -9 at a random moment. After its restart three things must hold: nothing acknowledged is
missing, nothing runs without a record, nothing is there twice.

With ``--docker``, half of the instances are containers of an engine of the storm's own, and in
two of three rounds that engine is ended with kill -9 too, before the daemon, and started again:
before the daemon's end, or after it.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Connection, DaemonProcess, Refused
from tests.docker_engine import engine_client
from tests.docker_images import real, tiny
from tests.docker_own import OwnEngine, copy_image
from tests.e2e import stormcheck
from tests.e2e.docker_kit import Box
from tests.ports import port_range

WORKERS = 4
NAMES_EACH = 2
LONGEST_ROUND = 3.0
MAY_LOSE = {"conflict", "operation_cancelled"}
"""What a wish may be answered with while others are at the same instance."""

ENGINE_ROUND = 8.0
"""The same with an engine that is killed too."""

MAY_FAIL = {"provider_error", "deadline_exceeded", "unavailable"}
"""What a wish for a container may be answered with while its engine is away."""


@dataclass
class Known:
    """What one worker was told about one name; ``None`` where the answer was cut off."""

    name: str
    provider: str = "local"
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
                    known = self.chance.choice(self.names)
                    if known.wish is None:
                        look(connection, known)
                    else:
                        self.act(connection, known)
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
            if known.provider != "local" and refused.type in MAY_FAIL:
                return  # what is wished now is looked up
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
            config = {"name": known.name, "provider": known.provider}
            params = {"config": config, "start": running}
            return "create", "running" if running else "stopped", params
        verb = self.chance.choice(["stop", "start", "delete"])
        assert known.id is not None
        if verb == "delete":
            return verb, "absent", {"id": known.id, "force": self.chance.random() < 0.5}
        return verb, "running" if verb == "start" else "stopped", {"id": known.id}


def look(connection: Connection, known: Known) -> None:
    """Learn what is wished for a name whose last wish came to no end."""
    try:
        found = connection.call("instance.get", id=known.name)
    except Refused:
        known.wish, known.id = "absent", None
        return
    if found["desired"] in ("running", "stopped"):  # else it is still on its way out
        known.wish, known.id = found["desired"], found["id"]


def started(connection: Connection) -> list[str]:
    """The operations that were acknowledged as accepted, taken out of what was read."""
    found = [
        message["params"]["id"]
        for message in connection.notifications
        if message["method"] == "operation.started"
    ]
    connection.notifications.clear()
    return found


@dataclass
class Engine:
    """The engine of the storm, and when it is killed."""

    own: OwnEngine
    box: Box
    chance: random.Random

    def during(self) -> str:
        """Before the daemon is killed: end it, in two of three rounds; what was done."""
        what = self.chance.choice(["", "killed", "killed and started"])
        if what:
            self.own.kill()
        if what == "killed and started":
            threading.Event().wait(self.chance.uniform(0, 1))
            self.own.start()
            threading.Event().wait(self.chance.uniform(0, 3))
        return what

    def after(self) -> None:
        """Once the daemon is dead: let it run again."""
        if not self.own.running:
            self.own.start()


@dataclass
class Storm:
    """Everything of one storm.

    Args:
        engine: None: instances are local ones.
    """

    daemon: DaemonProcess
    chance: random.Random
    engine: Engine | None = None
    workers: list[Worker] = field(default_factory=list)
    everything: list[Known] = field(default_factory=list)

    def __post_init__(self) -> None:
        places = ["local"] if self.engine is None else ["local", self.engine.box.name]
        for worker in range(WORKERS):
            names = [
                Known(f"w{worker}-{number}", places[number % len(places)])
                for number in range(NAMES_EACH)
            ]
            chance = random.Random(self.chance.random())
            self.workers.append(Worker(self.daemon, chance, names))
            self.everything += names

    def run(self, rounds: int) -> list[str]:
        """All rounds; what was found wrong."""
        self.daemon.start()
        for number in range(1, rounds + 1):
            told = self.one_round()
            begun = time.monotonic()
            self.daemon.start()
            problems = [problem for worker in self.workers for problem in worker.problems]
            problems += stormcheck.check(self.daemon, self.everything, self.box)
            took = time.monotonic() - begun
            cut_off = sum(known.wish is None for known in self.everything)
            print(
                f"round {number}/{rounds}: {told}, {cut_off} cut off; settled after {took:.1f} s: "
                + (f"{len(problems)} PROBLEMS" if problems else "whole"),
                flush=True,
            )
            if problems:
                return problems
            stormcheck.learn(self.daemon, self.everything)
        return stormcheck.clean_up(self.daemon, self.box)

    @property
    def box(self) -> Box | None:
        """The engine as a provider."""
        return self.engine.box if self.engine else None

    def one_round(self) -> str:
        """Let the workers wish for a while, then kill; what was done, in words."""
        seconds = self.chance.uniform(0.02, ENGINE_ROUND if self.engine else LONGEST_ROUND)
        threads = [threading.Thread(target=worker.run) for worker in self.workers]
        for worker in self.workers:
            worker.acknowledged = 0
            for known in worker.names:
                known.started.clear()
        for thread in threads:
            thread.start()
        threading.Event().wait(seconds)
        engine = self.engine.during() if self.engine else ""
        self.daemon.kill()
        for thread in threads:
            thread.join()
        if self.engine:
            self.engine.after()
        acknowledged = sum(worker.acknowledged for worker in self.workers)
        also = f" (engine {engine})" if engine else ""
        return f"killed after {seconds:.2f} s{also}, {acknowledged} acknowledged"


def add_engine(stack: ExitStack, wanted: str, chance: random.Random) -> Engine | None:
    """An engine of the storm's own; None if none is wanted, or it should be and cannot."""
    if wanted == "none":
        return None
    try:
        own = stack.enter_context(OwnEngine())
        with engine_client() as source, own.client() as target:
            image = real(source) if wanted == "real" else tiny(source)
            copy_image(image, source, target)
    except pytest.skip.Exception as reason:
        if wanted != "auto":
            raise
        print(f"without containers: {reason}", flush=True)
        return None
    print(f"with containers of {image}", flush=True)
    return Engine(own, Box(image, own.unix_url, ports=port_range(10)), chance)


def main() -> int:
    """Run the storm; 1 if anything was found wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="of a storm to repeat")
    parser.add_argument("--standin", action="store_true", help="light stand-ins, no code-server")
    parser.add_argument(
        "--docker",
        choices=["auto", "none", "tiny", "real"],
        default="none",
        help="containers too, of this image; auto: tiny ones, if an engine can be started here",
    )
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="swarmd-storm-"))  # kept if it ends badly
    with ExitStack() as stack:
        engine = add_engine(stack, options.docker, chance)
        server = {} if options.standin else stormcheck.real_command()
        server |= {"port_range": port_range(10)}
        providers = [engine.box.table()] if engine else []
        daemon = stack.enter_context(DaemonProcess(folder, options=server, providers=providers))
        problems = Storm(daemon, chance, engine).run(options.rounds)
        if problems:
            print("\n".join(problems), f"seed {seed}; see {folder}", sep="\n", file=sys.stderr)
            print(daemon.last_words(), file=sys.stderr)
            daemon.close()
            sys.stderr.flush()
            return 1
    shutil.rmtree(folder)
    print(f"{options.rounds} rounds: nothing lost, nothing left, nothing doubled")
    return 0


if __name__ == "__main__":
    sys.exit(main())
