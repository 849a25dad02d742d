"""The real daemon inside the test's process: its loop in a thread, its instances stand-ins.

So a test can strike an actor in a handler, put a wrapper round a provider or the store, and look
at what is published; everything else is as in production: files, sockets, processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from swarmd import configuration
from swarmd.actors.base import CONTROLLER, provider_actor
from swarmd.actors.provider import LookNow
from swarmd.client import Client
from swarmd.core.housekeeping import tombstones
from swarmd.core.reconcile import Facts, Plan, reconcile
from swarmd.daemon import Daemon
from swarmd.messages.provider import Observed
from swarmd.ports import Provider, Store
from tests.ports import Ports
from tests.support import CHECKOUT, all_pids, mentions, read_process, wait_until

STANDIN = (sys.executable, "-I", "-S", str(CHECKOUT / "tests" / "standin.py"))
FAST = {
    "daemon": {"observe_interval": "0.2s", "reconcile_interval": "0.1s"},
    "instances": {"stop_grace": "1s", "start_timeout": "20s"},
    "breaker": {"pause": "0.3s", "longest_pause": "1s"},
}


def account() -> dict[str, object]:
    """pytest's folders are closed to other users, so root's instances run as root here."""
    return {"run_as": "root", "allow_root": True} if os.geteuid() == 0 else {}


@dataclass
class Settings:
    """Where a daemon lies and what it is told; one folder can have several lives."""

    folder: Path
    options: dict[str, object] = field(default_factory=dict)
    tables: dict[str, dict[str, object]] = field(default_factory=dict)
    provider: dict[str, object] = field(default_factory=dict)
    providers: list[dict[str, object]] = field(default_factory=list)
    ports: Ports = field(default_factory=Ports)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # A socket's path is at most 107 long, and pytest's folders are deep.
        self.short = Path(tempfile.mkdtemp(prefix="swarmd-"))
        self.socket = self.short / "s"
        self.write()

    def write(self) -> None:
        """Write the configuration file."""
        tables = {name: {**FAST.get(name, {}), **self.tables.get(name, {})} for name in
                  {**FAST, **self.tables}}  # fmt: skip
        options = {"command": STANDIN, "port_range": self.ports.range, **account(), **self.options}
        local = {"name": "local", "type": "local", **self.provider, "options": options}
        document = {**tables, "providers": [local, *self.providers]}
        (self.folder / "config.toml").write_text(tomli_w.dumps(document))

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.folder / "state"

    @property
    def data(self) -> Path:
        """The local provider's folders."""
        return self.folder / "data"

    def load(self) -> configuration.LoadedConfig:
        """Read the configuration file, as the daemon does."""
        env = {
            "SWARMD_STATE_DIR": str(self.state),
            "SWARMD_DATA_DIR": str(self.data),
            "SWARMD_SOCKET": str(self.socket),
            "XDG_DATA_HOME": str(self.folder / "share"),
            "XDG_STATE_HOME": str(self.folder / "share"),
        }
        check = configuration.check_provider_options
        file = self.folder / "config.toml"
        return configuration.load(file, env, uid=os.getuid(), check_options=check)

    def processes(self) -> list[int]:
        """Every process of its instances."""
        own = os.getpid()
        return [
            pid
            for pid in all_pids()
            if pid != own and mentions(pid, self.data) and read_process(pid) is not None
        ]

    def close(self) -> None:
        """Forget the socket and the ports."""
        self.ports.close()
        shutil.rmtree(self.short, ignore_errors=True)


class Running:
    """A daemon whose loop runs in a thread of this process."""

    def __init__(
        self,
        settings: Settings,
        *,
        fault: Callable[[str, object], None] | None = None,
        wrap_provider: Callable[[Provider], Provider] = lambda provider: provider,
        wrap_store: Callable[[Store], Store] = lambda store: store,
    ) -> None:
        self.settings = settings
        self.daemon = Daemon(
            settings.load(),
            load=settings.load,
            fault=fault,
            wrap_provider=wrap_provider,
            wrap_store=wrap_store,
        )
        self.code: int | None = None
        self.error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers = threading.Event()
        self._thread = threading.Thread(target=self._run, name="test-daemon", daemon=True)

    def _run(self) -> None:
        try:
            self.code = asyncio.run(self._main())
        except BaseException as error:  # told to the test's thread
            self.error = error
        finally:
            self._answers.set()

    async def _main(self) -> int:
        self._loop = asyncio.get_running_loop()
        return await self.daemon.run(self._answers.set)

    def start(self) -> Running:
        """Begin, and wait until the socket answers. Raises what the start raised."""
        self._thread.start()
        assert self._answers.wait(20), "the daemon does not start"
        if self.error is not None:
            raise self.error
        return self

    def ready(self) -> Running:
        """Wait until it is ready."""

        def status() -> Any:
            return self.call("daemon.status")

        wait_until(lambda: status()["state"] == "ready", timeout=15, describe=status)
        return self

    def on_loop(self, function: Callable[[], Any]) -> Any:
        """Call something on the daemon's loop and return its result."""

        async def call() -> Any:
            found = function()
            return await found if asyncio.iscoroutine(found) else found

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(60)

    def stop(self) -> int | None:
        """End it as SIGTERM does, and wait for it."""
        if self._thread.is_alive() and self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.daemon.shutdown)
        return self.ended()

    def ended(self) -> int | None:
        """Wait until it has ended by itself; its exit code."""
        self._thread.join(40)
        assert not self._thread.is_alive(), "the daemon does not end"
        if self.error is not None:
            raise self.error
        return self.code

    # --- talking to it -----------------------------------------------------------------------

    def client(self, timeout: float = 60.0) -> Client:
        """A connection of one's own."""
        return Client(str(self.settings.socket), timeout)

    def call(self, method: str, /, *, call_timeout: float = 60.0, **params: Any) -> Any:
        """One call over a connection of its own."""
        with self.client(call_timeout) as client:
            return client.call(method, params)

    def create(self, name: str, *, start: bool = True, **config: Any) -> Any:
        """Create an instance and wait."""
        return self.call("instance.create", config={"name": name, **config}, start=start)

    def begin(self, method: str, /, **params: Any) -> str:
        """Ask without waiting; the operation's id."""
        return str(self.call(method, wait=False, **params)["id"])

    def wait(self, operation_id: str, timeout: float = 30.0) -> Any:
        """The operation once it has ended."""
        found = self.call("operation.wait", id=operation_id, timeout=timeout)
        assert found["state"] not in ("pending", "running"), found
        return found

    def in_thread(self, method: str, /, **params: Any) -> Background:
        """Call from a thread of its own."""
        return Background(lambda: self.call(method, **params))

    # --- looking at it -----------------------------------------------------------------------

    @property
    def tables(self) -> Any:
        """What is published now."""
        return self.daemon.parts.published.tables

    def status_of(self, ref: str) -> str:
        """An instance's status."""
        return str(self.call("instance.get", id=ref)["status"])

    def wait_status(self, ref: str, status: str, timeout: float = 15.0) -> Any:
        """Wait for a status."""

        def get() -> Any:
            return self.call("instance.get", id=ref)

        wait_until(lambda: get()["status"] == status, timeout=timeout, describe=get)
        return get()

    def look(self) -> None:
        """Have every provider look now, not at its next turn."""
        for name in self.tables.providers:
            self.daemon.parts.directory.tell(provider_actor(name), LookNow())

    def seen(self) -> Mapping[str, list[Observed]]:
        """What each provider has right now."""
        members = self.daemon.parts.fleet.members()
        return {each.record.name: list(each.provider.list()) for each in members}

    def plan(self) -> Plan:
        """What reconciliation would still have to do."""
        tables = self.tables
        facts = Facts(
            records=tables.instances,
            busy=tables.active.keys(),
            observed=self.seen(),
            absences=dict.fromkeys(tables.instances, 2),
            confirmed_absent=frozenset(tables.instances),
            tombstones=tombstones(tables),
            attempts={},
            node=self.daemon.parts.node.id,
            now=self.daemon.parts.clock.now(),
            trash_retention=86400.0,
            chance=0.5,
        )
        return reconcile(facts)

    def settle(self, timeout: float = 20.0) -> None:
        """Wait until no operation is under way and nothing is left to reconcile."""

        def settled() -> bool:
            # One that waits for its provider's next look: it need not wait for the rhythm too.
            self.look()
            return not self.tables.active and self.plan().empty and not self.tables.active

        wait_until(settled, timeout=timeout, describe=self._unsettled)

    def _unsettled(self) -> object:
        rows = [(row.ref, str(row.status), str(row.desired), row.last_error)
                for row in self.tables.instances.values()]  # fmt: skip
        return self.plan(), self.tables.active, rows

    def check_consistent(self) -> None:
        """The records say exactly what the provider has, and nothing is under way."""
        self.settle()
        operations = self.tables.operations.values()
        assert [each for each in operations if not each.state.ended] == []
        seen = {each.id: each for found in self.seen().values() for each in found}
        shown = {row.id: (str(row.status), str(row.desired)) for row in
                 self.tables.instances.values()}  # fmt: skip
        assert seen.keys() == shown.keys(), (seen, shown)
        for instance_id, (status, _) in shown.items():
            there = str(seen[instance_id].status)
            if status != "error":
                same = {there, "stopped"} if there == "created" else {there}
                assert status in same | ({"created"} if there == "stopped" else set()), (
                    instance_id, status, there,
                )  # fmt: skip
        assert not self.tables.strays

    def restarts(self, name: str) -> int:
        """How often an actor was started anew; the supervisor's number is its generation."""
        child = self.daemon.parts.family.get(name)
        return child.restarts if child is not None else 0

    def child_state(self, name: str) -> str:
        """How an actor fares."""
        child = self.daemon.parts.family.get(name)
        return child.state if child is not None else "gone"

    def mailbox_empty(self) -> bool:
        """Whether the controller has nothing to do."""
        return self.daemon.parts.directory.depth(CONTROLLER) == 0


class Background:
    """A call in a thread: its result or its error, and that it ended in time."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run, name="test-caller", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._function()
        except BaseException as error:
            self.error = error

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def join(self, timeout: float = 30.0) -> Background:
        """Wait for its end."""
        self._thread.join(timeout)
        assert self.ended, "a caller waits past its deadline"
        return self

    def value(self, timeout: float = 30.0) -> Any:
        """Its result. Raises its error."""
        self.join(timeout)
        if self.error is not None:
            raise self.error
        return self.result


@contextlib.contextmanager
def daemon_in(settings: Settings, **wraps: Any) -> Iterator[Running]:
    """A running, ready daemon, ended afterwards; its instances are left to the caller."""
    running = Running(settings, **wraps)
    try:
        yield running.start().ready()
    finally:
        running.stop()
