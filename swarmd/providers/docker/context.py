"""What every part of the provider works with: the engine, options, ports, turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from swarmd.errors import Conflict, InstanceNotFound
from swarmd.messages.config import InstancesConfig
from swarmd.messages.instance import Instance
from swarmd.messages.state import Node
from swarmd.ports import Call, Clock
from swarmd.providers.docker.engine import Engine
from swarmd.providers.docker.errors import NoAnswer
from swarmd.providers.docker.options import DockerOptions
from swarmd.providers.shared.faults import os_faults
from swarmd.providers.shared.portbook import PortBook
from swarmd.providers.shared.turns import Turns

SHORT = 10.0
"""Seconds for a call that the engine answers at once unless it is ill."""

PATIENT = 60.0
"""Seconds for what must come to its end: removing what was begun, the last words of a server."""


@dataclass(slots=True)
class Context:
    """One provider's world.

    Args:
        name: The provider's name.
        options: Its options.
        node: This daemon.
        clock: Time.
        defaults: Start timeout and stop grace.
        engine: Where the containers are.
        ports: Who has which port of the engine's host.
        insecure: Whether instances may be reached from other hosts without TLS.
        limits_storage: Whether the engine can limit a volume, as a probe found out.
        podman: Whether the engine is one: it names the files of a volume without their folder.
        counts: Whether the engine can tell what one container uses; a rootless one without
            control groups tells what the whole host does.
        root: The engine's folder, if it is on this host.
        step: Told each point at which the state at the engine has changed: a test ends the
            process there.
    """

    name: str
    options: DockerOptions
    node: Node
    clock: Clock
    defaults: InstancesConfig
    engine: Engine
    ports: PortBook
    insecure: bool
    step: Callable[[str], None]
    limits_storage: bool = False
    podman: bool = False
    counts: bool = True
    root: Path | None = None
    turns: Turns = field(default_factory=Turns)

    @contextmanager
    def turn(self, instance_id: str, call: Call) -> Iterator[None]:
        """One call at a time for one instance.

        Raises:
            DeadlineExceeded, OperationCancelled: The call ended while the engine was asked:
                that it gave no answer in so short a time says nothing about the engine.
        """
        with self.turns.of(instance_id, call), os_faults("keeping what is noted of the instance"):
            try:
                yield
            except NoAnswer:
                call.check()
                raise


def within(call: Call, most: float = SHORT) -> float:
    """Seconds that the next request may take. Raises as ``call.check``."""
    call.check()
    return min(call.remaining, most)


def unhurried() -> Call:
    """A call that is not cancelled and has time enough to end what was begun."""
    return Call(deadline=time.monotonic() + PATIENT, clock=time.monotonic)


def absent(instance: Instance) -> InstanceNotFound:
    """The error for an instance of which nothing is here."""
    return InstanceNotFound(
        f"{instance.ref} is not at this provider",
        next_step="Look for it: swarmctl doctor.",
    )


def passed(instance: Instance, epoch: int) -> Conflict:
    """The error for a call that a later one has passed."""
    return Conflict(
        f"{instance.ref} is at epoch {epoch} already, not {instance.epoch}",
        next_step="Look at the instance again; a later operation has passed this one.",
        details={"epoch": epoch},
    )
