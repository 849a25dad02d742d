"""What is there: containers and volumes as ``Observed``. One list call answers for all.

The list says how each container is called and whether it runs. When it was started and how
it ended is learnt from the engine's events and from our own starts, not asked for one by one.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from swarmd.messages.enums import InstanceStatus, Transport
from swarmd.messages.instance import InstanceConfig
from swarmd.messages.provider import Address, Observed
from swarmd.providers.docker.container import CONFIG_DIR
from swarmd.providers.docker.contents import Contents, in_effect
from swarmd.providers.docker.context import SHORT, Context
from swarmd.providers.docker.engine import NotThere
from swarmd.providers.docker.errors import Going
from swarmd.providers.docker.files import Kept, read_kept
from swarmd.providers.docker.lives import Lives
from swarmd.providers.docker.marks import (
    ID,
    PROVIDER,
    Marks,
    Name,
    State,
    read_marks,
    read_name,
    volume_name,
)
from swarmd.providers.docker.options import DockerOptions
from swarmd.providers.shared.codeserver import CONTAINER_PORT

RUNNING = ("running", "paused", "restarting")
GOING = ("removing", "dead")
"""Someone removes it, or could not to the end: the next start makes another."""
_EXITED = re.compile(r"Exited \((\d+)\)")
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
_ASKED_AT_ONCE = 16
"""Containers whose end is looked into in one sweep: those that ended while nobody listened."""

GONE = "its container was removed"


@dataclass(frozen=True, slots=True)
class Seen:
    """A container of ours, as the list shows it; ``unchanged`` as ``Observed`` has it."""

    ref: str
    name: Name | None
    marks: Marks
    state: str
    words: str
    published: str = ""
    networks: tuple[str, ...] = ()
    unchanged: bool = False

    @property
    def id(self) -> str:
        """The instance's id."""
        return self.marks.id

    @property
    def epoch(self) -> int:
        """The epoch that its name carries; that of its birth if someone renamed it."""
        return self.name.epoch if self.name else self.marks.epoch

    @property
    def status(self) -> State:
        """What its name says: complete if it is none of ours."""
        return self.name.state if self.name else State.COMPLETE

    @property
    def runs(self) -> bool:
        """Whether anything of it runs."""
        return self.state in RUNNING


def read_seen(summary: Mapping[str, Any]) -> Seen | None:
    """A container of the engine's list; None if it is none of an instance."""
    marks = read_marks(summary.get("Labels"))
    if marks is None:
        return None
    names = [read_name(name) for name in summary.get("Names") or ()]
    own = next((name for name in names if name is not None and name.id == marks.id), None)
    ports = summary.get("Ports") or ()
    inner = [port for port in ports if port.get("PrivatePort") == CONTAINER_PORT]
    return Seen(
        ref=summary["Id"],
        name=own,
        marks=marks,
        state=str(summary.get("State", "")).lower(),
        words=str(summary.get("Status", "")),
        published=next((port["IP"] for port in inner if port.get("IP")), ""),
        networks=tuple((summary.get("NetworkSettings") or {}).get("Networks") or ()),
    )


class Looker:
    """Looks; changes nothing at the engine."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._volumes: dict[str, Marks] = {}
        self.lives = Lives(context.clock.monotonic)
        self.contents = Contents()

    # --- asking the engine -------------------------------------------------------------------

    def containers(self, instance_id: str | None = None, within: float = SHORT) -> list[Seen]:
        """All of ours at this provider, or those of one instance, the current one first."""
        labels = [f"{PROVIDER}={self._context.name}"]
        labels += [f"{ID}={instance_id}"] if instance_id else []
        read = map(read_seen, self._context.engine.containers(labels, within))
        found = [self._as_heard(seen) for seen in read if seen is not None]
        # Of two the one with our name is ours: the other was made of an image of the first.
        return sorted(found, key=lambda seen: (seen.id, seen.name is None, -seen.epoch))

    def _as_heard(self, seen: Seen) -> Seen:
        """A container as its last event left it, if the list is behind."""
        if seen.runs and self.lives.just_ended(seen.ref):
            return replace(seen, state="exited", words="", published="")
        return seen

    def find(self, instance_id: str, within: float = SHORT) -> Seen | None:
        """The container of an instance; None if it has none."""
        return next(iter(self.containers(instance_id, within)), None)

    def volume(self, instance_id: str, within: float = SHORT) -> Marks | None:
        """The marks of an instance's volume; None if it has none, or it is not ours."""
        try:
            found = self._context.engine.volume(volume_name(instance_id), within)
        except NotThere:
            return None
        marks = read_marks(found.get("Labels"))
        if marks is None or marks.provider != self._context.name:
            return None
        self.note_volume(marks)
        return marks

    def refresh(self) -> None:
        """Read which volumes there are: what has lost its container is known by its volume."""
        labels = [f"{PROVIDER}={self._context.name}"]
        read = [
            read_marks(one.get("Labels")) for one in self._context.engine.volumes(labels, SHORT)
        ]
        with self._lock:
            self._volumes = {marks.id: marks for marks in read if marks is not None}

    def with_volume(self) -> set[str]:
        """The ids of the instances that have a volume, as it was read or made last."""
        with self._lock:
            return set(self._volumes)

    def kept(self, seen: Seen, within: float = SHORT) -> Kept:
        """What the folder of settings in a container says.

        Raises:
            Going: Somebody is removing it.
        """
        self.check_stays(seen, within)
        try:
            chunks = self._context.engine.get_archive(seen.ref, CONFIG_DIR, within)
            with contextlib.closing(chunks):
                kept = read_kept(chunks)
        except NotThere:
            return Kept()
        if kept.made is None or kept.made.applied is not None or seen.state == "created":
            return kept
        # What was put in at its creation was in effect from its first start on.
        return replace(kept, made=in_effect(kept.made))

    def as_it_is(self, seen: Seen, within: float = SHORT) -> Seen:
        """A container that does not run, as the engine has it now: its list may be behind."""
        try:
            state = self._context.engine.inspect(seen.ref, within).get("State") or {}
        except NotThere:
            return replace(seen, state="removing")
        return replace(seen, state=str(state.get("Status") or seen.state))

    def check_stays(self, seen: Seen, within: float = SHORT) -> None:
        """Asked before a file of a container is read or put, unless we made it just now.

        Raises:
            Going: Somebody is removing it.
        """
        if self.as_it_is(seen, within).state in GOING:
            raise Going(
                f"the container {seen.name or seen.ref} is being removed by somebody else",
                next_step="Repeat this: it is made again around its volume.",
            )

    # --- notes -------------------------------------------------------------------------------

    def note_volume(self, marks: Marks) -> None:
        """A volume is there."""
        with self._lock:
            self._volumes[marks.id] = marks

    def forget(self, instance_id: str, refs: Iterable[str] = ()) -> None:
        """An instance, or containers of it, are gone."""
        with self._lock:
            self._volumes.pop(instance_id, None)
        gone = tuple(refs)
        self.lives.forget(gone)
        self.contents.forget(gone)

    def ports_taken(self, seen: Iterable[Seen]) -> dict[int, str]:
        """Ports of the engine's host and the instances that have them.

        A volume's are those of its birth: its container's count, if there is one.
        """
        marked = {one.id: one.marks for one in seen}
        with self._lock:
            everyone = [*(self._volumes | marked).values()]
        return {port: marks.id for marks in everyone for port in marks.ports.values()}

    # --- what it all means -------------------------------------------------------------------

    def everything(self) -> list[Observed]:
        """All instances here, in one sweep: those with a container, and those with a volume."""
        noted = self.lives.known(), self.contents.known()
        found = self.containers()
        there = {seen.ref for seen in found}
        self.lives.forget(noted[0] - there)
        self.contents.forget(noted[1] - there)
        self._look_into([seen for seen in found if seen.state == "exited"])
        known = {seen.id for seen in found}
        with self._lock:
            lonely = [marks for marks in self._volumes.values() if marks.id not in known]
        return [*map(self.observed, found), *map(without_container, lonely)]

    def one(self, instance_id: str, *, config: bool = False) -> Observed | None:
        """One instance, asked for directly."""
        seen = self.find(instance_id)
        if seen is None:
            marks = self.volume(instance_id)
            return None if marks is None else without_container(marks)
        self._look_into([seen] if seen.state == "exited" else [])
        return self.observed(seen, self._noted(seen) if config else None)

    def _noted(self, seen: Seen) -> InstanceConfig | None:
        """The configuration that a container tells, while it can be asked."""
        if (content := self.contents.of(seen.ref)) is not None:
            return content.made.config
        try:
            made = self.kept(seen).made
        except Going:
            return None
        return made.config if made else None

    def observed(self, seen: Seen, config: InstanceConfig | None = None) -> Observed:
        """A container as everyone else knows it."""
        started, ended = self.lives.started(seen.ref), self.lives.ended(seen.ref)
        runs = seen.runs and seen.status is not State.TRASHED
        return Observed(
            id=seen.id,
            epoch=seen.epoch,
            status=status_of(seen),
            node=seen.marks.node,
            name=seen.marks.name,
            owner=seen.marks.owner,
            complete=seen.status is not State.NEW,
            address=self.address(seen) if runs else None,
            started_at=started if runs else None,
            exit=None if runs else _exit(seen, ended),
            config=config,
            unchanged=seen.unchanged,
        )

    def address(self, seen: Seen) -> Address | None:
        """Where people reach it while it runs."""
        port = seen.marks.ports.get((CONTAINER_PORT, Transport.TCP))
        if port is None:
            return None
        options = self._context.options
        host = people_reach(options, seen.published or options.publish_address)
        return Address(host=host, port=port, tls=options.tls)

    def _look_into(self, ended: list[Seen]) -> None:
        """Ask how these ended, if nobody heard it, a few at a time."""
        unknown = [seen for seen in ended if self.lives.ended(seen.ref) is None]
        for seen in unknown[:_ASKED_AT_ONCE]:
            try:
                state = self._context.engine.inspect(seen.ref, SHORT).get("State") or {}
            except NotThere:
                continue
            if state.get("Status") == "exited":
                self.lives.note_end(seen.ref, ended_words(state))


def status_of(seen: Seen) -> InstanceStatus:
    """An instance's status, by its container's."""
    if seen.status is State.TRASHED:
        return InstanceStatus.DELETED
    if seen.state == "paused":
        return InstanceStatus.ERROR
    if seen.runs:
        return InstanceStatus.RUNNING
    return InstanceStatus.CREATED if seen.state == "created" else InstanceStatus.STOPPED


def _exit(seen: Seen, ended: str | None) -> str | None:
    if seen.state in ("paused", *GOING):
        return f"its container is {seen.state}"
    found = _EXITED.match(seen.words)
    return ended or (code_words(int(found[1])) if found else None)


def without_container(marks: Marks) -> Observed:
    """What has a volume and no container: the next start makes one, with the same files."""
    return Observed(
        id=marks.id,
        epoch=marks.epoch,
        status=InstanceStatus.STOPPED,
        node=marks.node,
        name=marks.name,
        owner=marks.owner,
        exit=GONE,
    )


def people_reach(options: DockerOptions, address: str) -> str:
    """The host in a URL, for what is published at an address of the engine's host."""
    if options.url_host:
        return options.url_host
    if address in _WILDCARDS:
        return options.engine_host or socket.gethostname()
    return address


def ended_words(state: Mapping[str, Any]) -> str:
    """How a container ended, from its inspected state."""
    words = code_words(int(state.get("ExitCode") or 0))
    if state.get("OOMKilled"):
        words += " (the memory limit was reached)"
    error = str(state.get("Error") or "")
    return f"{words}: {error}" if error else words


def code_words(code: int) -> str:
    """An exit code, in words."""
    import signal

    if code > 128:
        try:
            return f"ended by {signal.Signals(code - 128).name}"
        except ValueError:
            return f"exit status {code}"
    return f"exit status {code}"
