"""What tells our containers and volumes from everyone else's: labels and names (DESIGN 2).

Labels are given at birth and cannot change: who it is and whose. The epoch, which does change,
is carried by the container's name, and so is whether it is complete and whether it lies in the
trash: a rename is one call that has happened or has not.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from swarmd.messages.enums import Transport
from swarmd.messages.instance import Instance

ID = "dev.swarmd.id"
NODE = "dev.swarmd.node"
PROVIDER = "dev.swarmd.provider"
_NAME = "dev.swarmd.name"
_OWNER = "dev.swarmd.owner"
_EPOCH = "dev.swarmd.epoch"
_PORTS = "dev.swarmd.ports"
_SPEC = "dev.swarmd.spec"
_IMAGE = "dev.swarmd.image"
JOB = "dev.swarmd.job"
"""On a container that installs or clones for an instance, and is removed right after."""

_ULID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")
_CONTAINER = re.compile(r"swarmd-(?P<id>[0-9a-hjkmnp-tv-z]{26})-e(?P<epoch>\d+)(?P<state>-[a-z]+)?")

Published = Mapping[tuple[int, Transport], int]
"""Ports of an instance and the ports of the engine's host where they are reached."""


class State(enum.StrEnum):
    """What a container's name says of it."""

    COMPLETE = ""
    NEW = "-new"
    """Its creation has not come to an end."""
    TRASHED = "-trash"


@dataclass(frozen=True, slots=True)
class Name:
    """A container's name, read."""

    id: str
    epoch: int
    state: State = State.COMPLETE

    def __str__(self) -> str:
        return f"swarmd-{self.id}-e{self.epoch}{self.state}"


def read_name(text: str) -> Name | None:
    """A container's name; None if it is none that we give."""
    found = _CONTAINER.fullmatch(text.removeprefix("/"))
    if found is None or (found["state"] or "") not in set(State):
        return None
    return Name(found["id"], int(found["epoch"]), State(found["state"] or ""))


def volume_name(instance_id: str) -> str:
    """The volume of an instance's files."""
    return f"swarmd-{instance_id}"


def job_name(instance_id: str) -> str:
    """The container that installs or clones for an instance: one at a time."""
    return f"swarmd-{instance_id}-job"


@dataclass(frozen=True, slots=True)
class Marks:
    """The labels of a container or a volume.

    Args:
        epoch: The one of its birth.
        spec: A digest of what the container was made with; empty on a volume.
        image: The image as it was named; empty on a volume.
    """

    id: str
    node: str
    provider: str
    name: str
    owner: str
    epoch: int
    ports: Published
    spec: str = ""
    image: str = ""

    def labels(self) -> dict[str, str]:
        """As Docker takes them."""
        text = ",".join(
            f"{port}/{transport}={host}" for (port, transport), host in sorted(self.ports.items())
        )
        return {
            ID: self.id,
            NODE: self.node,
            PROVIDER: self.provider,
            _NAME: self.name,
            _OWNER: self.owner,
            _EPOCH: str(self.epoch),
            _PORTS: text,
            **({_SPEC: self.spec} if self.spec else {}),
            **({_IMAGE: self.image} if self.image else {}),
        }


def marks_of(instance: Instance, node: str, provider: str, ports: Published) -> Marks:
    """The marks that an instance's volume gets."""
    return Marks(
        id=instance.id,
        node=node,
        provider=provider,
        name=instance.name,
        owner=instance.owner,
        epoch=instance.epoch,
        ports=dict(ports),
    )


def read_marks(labels: Mapping[str, str] | None) -> Marks | None:
    """The labels of something; None if it is not ours, or its labels were made by hand."""
    found = labels or {}
    if _ULID.fullmatch(found.get(ID, "")) is None or JOB in found:
        return None
    epoch = found.get(_EPOCH, "")
    return Marks(
        id=found[ID],
        node=found.get(NODE, ""),
        provider=found.get(PROVIDER, ""),
        name=found.get(_NAME, ""),
        owner=found.get(_OWNER, ""),
        epoch=int(epoch) if epoch.isdecimal() else 1,
        ports=_read_ports(found.get(_PORTS, "")),
        spec=found.get(_SPEC, ""),
        image=found.get(_IMAGE, ""),
    )


def _read_ports(text: str) -> dict[tuple[int, Transport], int]:
    ports = {}
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"(\d{1,5})/(tcp|udp)=(\d{1,5})", part)
        if found is not None:
            ports[int(found[1]), Transport(found[2])] = int(found[3])
    return ports
