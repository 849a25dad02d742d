"""What the tests of the local provider share: a provider on the stand-in, and instances."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from swarmd.messages.config import Config, DaemonConfig, InstancesConfig
from swarmd.messages.enums import DesiredState, InstanceStatus
from swarmd.messages.instance import Auth, Instance, InstanceConfig
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.secret import Secret
from swarmd.messages.state import Node
from swarmd.messages.units import Duration
from swarmd.ports import Call
from swarmd.providers.local import tree
from swarmd.providers.local.context import nothing
from swarmd.providers.local.provider import LocalProvider

STANDIN = Path(__file__).parents[2] / "standin.py"
PASSWORD = "canary-4711"
_numbers = itertools.count(1)
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class RealClock:
    """The clocks of this host."""

    def now(self) -> datetime:
        """The wall clock."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """For deadlines."""
        return time.monotonic()


def first_port() -> int:
    """Where this test process's ports begin: workers of one run do not meet."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return 30000 + (os.getpid() % 97) * 20 + int(worker) * 2000


def options(**changes: Any) -> dict[str, Any]:
    """Options that work in every test: the stand-in, our own account, a range of ports."""
    start = first_port()
    chosen: dict[str, Any] = {
        "command": [sys.executable, "-I", "-S", str(STANDIN)],
        "port_range": f"{start}-{start + 19}",
    }
    if os.geteuid() == 0:
        chosen |= {"run_as": "root", "allow_root": True}
    return chosen | changes


def config(data: Path, **instances: Any) -> Config:
    """A configuration with its DATA here and short times."""
    times = {"stop_grace": Duration(1.0), "start_timeout": Duration(20.0)} | instances
    return Config(daemon=DaemonConfig(data_dir=str(data)), instances=InstancesConfig(**times))


def make_provider(
    data: Path,
    *,
    step: Callable[[str], None] = nothing,
    name: str = "local",
    node: str = "",
    instances: dict[str, Any] | None = None,
    **changes: Any,
) -> LocalProvider:
    """An initialized provider.

    Args:
        data: Its DATA.
        step: Its injection seam.
        name: Its name.
        node: The daemon's id; default: this process's.
        instances: Keys of ``[instances]``.
        changes: Its options.
    """
    record = ProviderRecord(name=name, type="local", options=options(**changes))
    here = Node(id=node or f"t{os.getpid()}", created_at=datetime.now(UTC))
    settings = config(data, **(instances or {}))
    provider = LocalProvider(record, settings, here, RealClock(), step=step)
    provider.initialize()
    return provider


def ulid() -> str:
    """A new id that looks like the real ones."""
    number, text = next(_numbers) + (os.getpid() << 32) + (time.monotonic_ns() << 60), ""
    for _ in range(26):
        number, digit = divmod(number, 32)
        text = _ALPHABET[digit] + text
    return text


def make_instance(
    name: str = "web", *, owner: str = "ana", epoch: int = 1, **fields: Any
) -> Instance:
    """An instance with a password; ``fields`` are those of its configuration."""
    fields.setdefault("auth", Auth(credentials=Secret(PASSWORD)))
    now = datetime.now(UTC)
    return Instance(
        id=ulid(),
        name=name,
        owner=owner,
        config=InstanceConfig(name=name, **fields),
        provider="local",
        provider_type="local",
        desired=DesiredState.RUNNING,
        status=InstanceStatus.CREATING,
        created_at=now,
        updated_at=now,
        node="t",
        epoch=epoch,
    )


def call(seconds: float = 30.0, cancelled: threading.Event | None = None) -> Call:
    """A call with so much time."""
    return Call(
        deadline=time.monotonic() + seconds,
        clock=time.monotonic,
        cancelled=cancelled or threading.Event(),
    )


def running(instance_id: str) -> list[int]:
    """The pids of everything that bears this instance's marker, or descends from such."""
    return [seen.stat.pid for seen in tree.scan().members(instance_id)]


def status(provider: LocalProvider, instance_id: str) -> InstanceStatus:
    """What the list says."""
    return {seen.id: seen for seen in provider.list()}[instance_id].status
