"""Which steps an installation has, which of them are done, and the room they need. Pure.

A step is done when its stamp holds the fingerprint of what is being installed now. Steps
build on each other, so everything after the first step that is not done runs again.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an installation.

    Args:
        name: Its name, also that of its stamp.
        message: What a person reads while it runs.
        megabytes: Disk space that it takes, in MB of 1,000,000 bytes, downloads included.
    """

    name: str
    message: str
    megabytes: int = 0


class SetupProgress(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation is doing right now.

    Args:
        step: Name of the step.
        index: Its number, from 1; 0 before the first.
        total: How many steps there are.
        message: One phrase for people.
        seconds: Seconds since the installation began.
    """

    step: str
    index: int
    total: int
    message: str
    seconds: float


# The megabytes are measured (4.139.1 on x86_64), rounded up.
NPM_STEPS = (
    Step(name="node", message="downloading node", megabytes=220),
    Step(name="code-server", message="downloading code-server", megabytes=360),
    Step(name="vscode", message="downloading the parts of VS Code", megabytes=560),
    Step(name="extensions", message="downloading the parts of the extensions", megabytes=40),
    Step(name="complete", message="completing the tree"),
    Step(name="verify", message="starting it once", megabytes=10),
    Step(name="seal", message="writing it to disk"),
)

ARCHIVE_STEPS = (
    Step(name="fetch", message="fetching the release archive", megabytes=200),
    Step(name="unpack", message="unpacking the release archive", megabytes=800),
    Step(name="complete", message="completing the tree"),
    Step(name="verify", message="starting it once", megabytes=10),
    Step(name="seal", message="writing it to disk"),
)


def remaining(
    steps: tuple[Step, ...], stamps: Mapping[str, str], fingerprint: str
) -> tuple[Step, ...]:
    """The steps that still have to run, in order.

    Args:
        steps: All steps of the installation.
        stamps: Step name to the fingerprint that its stamp holds.
        fingerprint: What is being installed now.
    """
    for number, step in enumerate(steps):
        if stamps.get(step.name) != fingerprint:
            return steps[number:]
    return ()


def megabytes_needed(steps: tuple[Step, ...]) -> int:
    """Disk space that these steps take together, in MB."""
    return sum(step.megabytes for step in steps)
