"""Every illness on the real code-server, for people to read: what was seen, done and said.

``python -m tests.e2e.illnesses [--docker] [SCENE …]`` needs root, for a small disk; a minute or
two. Each scene prints the health's turns, the operations that nobody asked for, and what
``swarmctl health`` and ``swarmctl why`` say.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.daemon import DaemonProcess
from tests.docker_engine import engine_client
from tests.docker_images import real
from tests.e2e import scenes
from tests.e2e.docker_kit import Box
from tests.e2e.health_kit import automatic, fast, turns
from tests.e2e.stormcheck import real_command

Scene = Callable[[scenes.Stage], None]
EVERYWHERE: tuple[Scene, ...] = (
    scenes.killed,
    scenes.stopped,
    scenes.out_of_memory,
    scenes.disk_full,
    scenes.port_stolen,
    scenes.workspace_gone,
)
MEMORY = "400m"
"""A code-server at rest has 160 MB, and more while it starts."""


@contextmanager
def stage(docker: bool) -> Iterator[scenes.Stage]:
    """A daemon of its own, with the real code-server, in this host's processes or containers."""
    settings = fast(check_interval="1s", timeout="0.5s", grace="5s")
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="swarmd-ill-")))
        folder.chmod(0o755)
        roots = folder / "roots"
        roots.mkdir()
        options = {**real_command(), "roots": [str(roots)]}
        box = None
        if docker:
            with engine_client() as client:
                box = Box(real(client), options={"roots": [str(roots)]})
            ending.callback(box.clear)
        providers = [box.table()] if box is not None else []
        daemon = DaemonProcess(folder, options=options, settings=settings, providers=providers)
        ending.enter_context(daemon).start()
        yield scenes.Stage(daemon, MEMORY, roots, box)


def play(here: scenes.Stage, scene: Scene) -> bool:
    """One scene; whether it came out as it has to."""
    print(f"\n=== {scene.__name__} at {here.provider}: {scene.__doc__}", flush=True)
    begun = time.monotonic()

    def tell(name: str, what: str) -> None:
        print(f"\n--- {name} after {time.monotonic() - begun:.1f} s: {what}")
        print("health:   ", " → ".join(turns(here.daemon, name)))
        print("automatic:", ", ".join(reversed(automatic(here.daemon, name))) or "nothing")
        print(here.daemon.ctl("health", name).stdout.splitlines()[0])
        print(here.daemon.ctl("why", name).stdout, flush=True)

    here.tell = tell
    try:
        scene(here)
    except (AssertionError, pytest.fail.Exception) as error:
        print(f"!!! not as it has to be: {error}", flush=True)
        return False
    return True


def main() -> int:
    """Play them; 1 if one did not come out as it has to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docker", action="store_true", help="in containers, not processes")
    parser.add_argument("scenes", nargs="*", help="only these")
    chosen = parser.parse_args()
    known = (*EVERYWHERE, scenes.container_gone) if chosen.docker else EVERYWHERE
    wanted = [each for each in known if not chosen.scenes or each.__name__ in chosen.scenes]
    with stage(chosen.docker) as here:
        results = [play(here, each) for each in wanted]
    print(f"\n{sum(results)} of {len(results)} as they have to be")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
