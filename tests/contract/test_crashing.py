"""The wrapper that ends the process at a chosen call."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from swarmd.messages.enums import InstanceStatus
from swarmd.ports import Call, Provider
from tests.contract.cases import ProviderCase
from tests.contract.crashing import CALLS, CrashingProvider


class Ended(BaseException):
    """Instead of the process."""


def end() -> None:
    raise Ended


@pytest.mark.parametrize("at", range(1, 7))
def test_it_ends_before_or_after_a_call(
    provider_case: ProviderCase, provider: Provider, call: Call, at: int
) -> None:
    if provider_case.real:
        pytest.skip("it is the wrapper that is tried")
    instance = provider_case.instance()
    crashing = CrashingProvider(provider, at, end)
    assert crashing.name == provider.name
    steps = [crashing.create, crashing.start, crashing.stop]
    for number, step in enumerate(steps, 1):
        assert crashing.get(instance.id) == provider.get(instance.id)
        if at > 2 * number:
            step(instance, call)
            continue
        with pytest.raises(Ended):
            step(instance, call)
        break
    found = provider.get(instance.id)
    done: list[InstanceStatus | None] = [
        None,
        InstanceStatus.CREATED,
        InstanceStatus.RUNNING,
        InstanceStatus.STOPPED,
    ]
    assert (found.status if found else None) is done[at // 2]


def test_a_run_that_never_ends_tells_how_many_points_there_are(
    provider_case: ProviderCase, provider: Provider, call: Call
) -> None:
    instance = provider_case.instance()
    crashing = CrashingProvider(provider, 0, end)
    crashing.create(instance, call)
    crashing.purge(instance, call)
    assert crashing.passed == 4


def test_every_counted_call_is_one_of_the_contract() -> None:
    assert all(hasattr(Provider, name) for name in CALLS)


def test_the_process_really_ends(tmp_path: Path) -> None:
    program = (
        "from tests.contract.crashing import CrashingProvider\n"
        "class Nothing:\n"
        "    def create(self): print('made', flush=True)\n"
        "CrashingProvider(Nothing(), 2).create()\n"
        "print('never', flush=True)\n"
    )
    read, write = os.pipe()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", program],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)],
    )
    os.close(write)
    with os.fdopen(read) as output:
        told = output.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert told == "made\n"
