"""What the promises share: calls, and what is put into an instance and found in it."""

from __future__ import annotations

import time
from typing import Any

from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Instance
from swarmd.messages.requests import LogsInstance
from swarmd.ports import Call, Provider
from tests.contract.cases import execute


def fresh_call(seconds: float = 60) -> Call:
    """A call with so many seconds to go."""
    return Call(deadline=time.monotonic() + seconds, clock=time.monotonic)


def cancelled_call() -> Call:
    """A call that was cancelled already."""
    call = fresh_call()
    call.cancelled.set()
    return call


def put(provider: Provider, instance: Instance, text: str = "work") -> None:
    """Write a text into a file of a running one."""
    code, _, errors = execute(provider, instance, "sh", "-c", f"printf {text} > file")
    assert code == 0, errors


def content(provider: Provider, instance: Instance) -> bytes:
    """What ``put`` wrote; nothing where it wrote nothing."""
    return execute(provider, instance, "cat", "file")[1]


def status(provider: Provider, instance: Instance) -> InstanceStatus | None:
    """How it is seen; None: it is not there."""
    found = provider.get(instance.id)
    return None if found is None else found.status


# --- logs ---


def log_of(provider: Provider, instance: Instance, **options: Any) -> bytes:
    """The whole log that these options of ``LogsInstance`` ask for."""
    session = provider.logs(instance, LogsInstance(id=instance.id, **options))
    try:
        return b"".join(data for _, data in iter(session.read, None))
    finally:
        session.close()
