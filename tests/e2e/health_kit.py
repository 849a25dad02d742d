"""A daemon whose health is watched fast, and what the tests of health look at in it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.daemon import DaemonProcess
from tests.e2e.looking import healthz, output
from tests.support import Process, mentions, wait_until

FAST: Mapping[str, object] = {
    "check_interval": "0.5s",
    "timeout": "0.5s",
    "grace": "1s",
    "failures": 2,
    "max_recovery_attempts": 2,
}
INSTANCES: Mapping[str, object] = {"stop_grace": "1s"}
SEEN = 30.0
"""Seconds for what takes three or four of them on a machine of one's own."""


def fast(**health: object) -> dict[str, dict[str, object]]:
    """Tables of a configuration in which health is watched fast."""
    return {"health": {**FAST, **health}, "instances": dict(INSTANCES)}


# --- looking ---------------------------------------------------------------------------------


def get(daemon: DaemonProcess, name: str) -> dict[str, Any]:
    """An instance as it is recorded."""
    found: dict[str, Any] = daemon.call("instance.get", id=name)
    return found


def ask(daemon: DaemonProcess, name: str) -> dict[str, Any]:
    """An instance's health, asked now."""
    found: dict[str, Any] = daemon.call("instance.health", id=name)
    return found


def server_of(daemon: DaemonProcess, made: Mapping[str, Any]) -> Process:
    """The one process of a local instance."""
    folder = daemon.data / made["id"]
    (found,) = [each for each in daemon.instance_processes() if mentions(each.pid, folder)]
    return found


def told(daemon: DaemonProcess, name: str) -> str:
    """An instance's story: what and why, a line for each."""
    lines = daemon.call("instance.why", id=name)["items"]
    return "\n".join(f"{each['what']}: {each['why']} ({each['by']})" for each in lines)


def turns(daemon: DaemonProcess, name: str) -> list[str]:
    """What an instance's health became, by its events, oldest first."""
    items = daemon.call("events.history", limit=1000, target=name)["items"]
    return [item["data"]["health"] for item in items if item["type"] == "instance_health_changed"]


def automatic(daemon: DaemonProcess, name: str) -> list[str]:
    """The kinds of the operations that nobody asked for, newest first."""
    items = daemon.call("operation.list", target=name, limit=200)["items"]
    return [f"{item['origin']} {item['kind']}" for item in items if item["origin"] != "user"]


def is_held(found: Mapping[str, Any]) -> bool:
    """Whether an instance waits for a human."""
    error = found["last_error"]
    return found["status"] == "error" and error is not None and bool(error["details"].get("held"))


# --- waiting ---------------------------------------------------------------------------------


def await_health(daemon: DaemonProcess, name: str, wanted: str, timeout: float = SEEN) -> None:
    """Wait until an instance's recorded health is this."""
    wait_until(
        lambda: get(daemon, name)["health"] == wanted,
        timeout=timeout,
        describe=lambda: (get(daemon, name)["health"], told(daemon, name)),
    )


def await_turns(daemon: DaemonProcess, name: str, *wanted: str, after: int = 0) -> None:
    """Wait until the health went through these, in this order; others may lie between."""

    def went() -> bool:
        rest = iter(turns(daemon, name)[after:])
        return all(each in rest for each in wanted)

    wait_until(went, timeout=SEEN, describe=lambda: (turns(daemon, name), told(daemon, name)))


def await_well(daemon: DaemonProcess, name: str) -> None:
    """Wait until it runs, is healthy, and answers."""
    url = get(daemon, name)["url"]
    wait_until(
        lambda: (
            (found := get(daemon, name))["status"] == "running"
            and found["health"] == "healthy"
            and healthz(url) == 200
        ),
        timeout=SEEN,
        describe=lambda: (get(daemon, name), told(daemon, name)),
    )


def await_looks(daemon: DaemonProcess, count: int = 2, provider: str = "local") -> None:
    """Wait until the provider was looked at so many times more: time for whatever follows."""

    def last() -> str:
        return str(daemon.call("provider.get", name=provider)["health"]["checked_at"])

    for _ in range(count):
        before = last()
        wait_until(lambda before=before: last() != before, timeout=SEEN)  # type: ignore[misc]


# --- doing -----------------------------------------------------------------------------------


@contextmanager
def hung(process: Process) -> Iterator[None]:
    """Let a process hang; it goes on at the end, if it still is there."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if Path(f"/proc/{process.pid}").exists():
            os.kill(process.pid, signal.SIGCONT)


def make(daemon: DaemonProcess, name: str, **config: Any) -> dict[str, Any]:
    """An instance that is well, with a file of its own."""
    made = daemon.create(name, **config)
    keep = ["sh", "-c", "echo mine >kept"]
    assert daemon.call_stream("instance.exec", id=name, command=keep)[-1]["exit_code"] == 0
    await_well(daemon, name)
    return made


def whole(daemon: DaemonProcess, made: Mapping[str, Any]) -> None:
    """Check that it is the same one: its URL, its files."""
    name = made["name"]
    assert get(daemon, name)["url"] == made["url"]
    kept = daemon.call_stream("instance.exec", id=name, command=["cat", "kept"])
    assert output(kept).strip() == "mine"


def crash_until_held(daemon: DaemonProcess, made: Mapping[str, Any]) -> None:
    """End its server each time that its start has succeeded, until it is held."""
    folder = daemon.data / made["id"]

    def ended() -> bool:
        # One that ends before it answered is another matter: that start has failed.
        found = get(daemon, made["name"])
        if found["status"] == "running":
            for each in daemon.instance_processes():
                if mentions(each.pid, folder):
                    each.kill()
        return is_held(found)

    wait_until(
        ended,
        timeout=60,
        describe=lambda: (get(daemon, made["name"]), told(daemon, made["name"])),
    )
