"""kill -9 of the owner at every step of every operation: nothing doubled, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.messages.enums import InstanceStatus
from swarmd.messages.provider import Observed
from swarmd.providers.local.provider import LocalProvider
from tests.providers.local.conftest import Make
from tests.providers.local.driver import apply
from tests.providers.local.kit import call, make_instance, running, ulid
from tests.support import CHECKOUT, wait_until

AFTERWARDS = {
    "create": InstanceStatus.CREATED,
    "start": InstanceStatus.RUNNING,
    "stop": InstanceStatus.STOPPED,
    "trash": InstanceStatus.DELETED,
    "restore": InstanceStatus.STOPPED,
    "purge": None,
}
LEAST_STEPS = {"create": 4, "start": 7, "stop": 2, "trash": 3, "restore": 2, "purge": 3}


def drive(data: Path, instance_id: str, operation: str, number: int) -> str:
    """Run the driver to its end; what it said last."""
    environment = os.environ | {"COVERAGE_PROCESS_START": ""}
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "tests.providers.local.driver"),
            *(str(data), instance_id, operation, str(number)),
        ],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in (0, -9), ended.stderr
    return ended.stdout.strip()


def seen(provider: LocalProvider, instance_id: str) -> Observed | None:
    """What the list says of this one; there is nothing else in it."""
    found = list(provider.list())
    assert [observed.id for observed in found] in ([], [instance_id])
    return found[0] if found else None


def check_consistent(provider: LocalProvider, instance_id: str) -> None:
    """What runs is on record."""
    wait_until(lambda: not waiting_shells(instance_id))
    observed = seen(provider, instance_id)
    if running(instance_id):
        assert observed is not None
        assert observed.status in (InstanceStatus.RUNNING, InstanceStatus.ERROR)


def waiting_shells(instance_id: str) -> list[int]:
    """Shells that were never told to go; they leave by themselves."""
    found = []
    for pid in running(instance_id):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(b"/bin/sh\0-c\0read"):
            found.append(pid)
    return found


@pytest.mark.parametrize("operation", AFTERWARDS)
def test_killed_at_every_step(make: Make, tmp_path: Path, operation: str) -> None:
    number = 0
    while True:
        number += 1
        data, instance_id = tmp_path / f"data{number}", ulid()
        said = drive(data, instance_id, operation, number)
        provider = make(data=data, node=f"driver-{instance_id}")
        check_consistent(provider, instance_id)
        complete(provider, instance_id, operation)
        provider.purge(replace(make_instance("fork-web"), id=instance_id), call())
        assert seen(provider, instance_id) is None
        assert running(instance_id) == []
        left = [path for path in data.rglob("*") if path.is_file() and path.name != ".ports.jsonl"]
        assert left == []
        if said == "done":
            break
    assert number > LEAST_STEPS[operation]


def complete(provider: LocalProvider, instance_id: str, operation: str) -> None:
    """The same asked again completes it."""
    instance = replace(make_instance("fork-web"), id=instance_id)
    apply(provider, operation, instance, call())
    observed = seen(provider, instance_id)
    assert (observed.status if observed else None) == AFTERWARDS[operation]
    assert observed is None or observed.complete
    if operation == "start":
        wait_until(lambda: len(running(instance_id)) == 3, describe=lambda: running(instance_id))
        assert observed is not None
        assert observed.address is not None
    else:
        assert running(instance_id) == []
