"""A process that drives a provider and is killed at a chosen point (``test_kill.py``).

``python -m tests.providers.local.driver DATA ID OPERATION N``: everything before OPERATION is
done; OPERATION is ended by SIGKILL at its N-th step. Prints ``done`` if it has fewer steps.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from msgspec.structs import replace

from swarmd.messages.instance import Instance
from swarmd.ports import Call
from swarmd.providers.local.provider import LocalProvider
from tests.providers.local.kit import call, make_instance, make_provider

ORDER = ("create", "start", "stop", "trash", "restore", "trash", "purge")
"""A life. The first ``trash`` is looked at, the second only leads to ``purge``."""


def apply(provider: LocalProvider, operation: str, instance: Instance, given: Call) -> None:
    """Do one step of a life."""
    getattr(provider, operation)(instance, given)


def main() -> None:
    """See above."""
    data, instance_id, wanted, number = sys.argv[1:]
    left = [-1]

    def step(name: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            print("killed at", name, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    provider = make_provider(Path(data), step=step, node=f"driver-{instance_id}")
    instance = replace(make_instance("fork-web"), id=instance_id)
    for operation in ORDER[: ORDER.index(wanted)]:
        apply(provider, operation, instance, call())
    left[0] = int(number)
    apply(provider, wanted, instance, call())
    print("done", flush=True)


if __name__ == "__main__":
    main()
