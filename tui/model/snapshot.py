"""Everything the app knows at one moment: replaced as a whole, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from swarmd.messages.alert import Alert
from swarmd.messages.events import Event
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderInfo
from swarmd.messages.replies import StatusReport
from tui.model.rows import Row

EVENTS_KEPT: Final = 1000
"""The latest events are at hand; the journal has the others."""


class LinkState(StrEnum):
    """How the app and its daemon get along."""

    CONNECTING = "connecting"
    ONLINE = "online"
    LOST = "lost"
    ABSENT = "absent"
    REFUSED = "refused"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Link:
    """The connection, and what a person can do about it.

    Args:
        state: How it is.
        message: Why, if it is not well.
        next_step: What to do about that.
        attempt: How often it was tried since it was well.
        retry_seconds: How long until it is tried again; 0: it is being tried.
    """

    state: LinkState = LinkState.CONNECTING
    message: str = ""
    next_step: str = ""
    attempt: int = 0
    retry_seconds: float = 0.0

    @property
    def online(self) -> bool:
        """Whether what is shown is what is."""
        return self.state is LinkState.ONLINE


@dataclass(frozen=True, slots=True)
class Snapshot:
    """See the module's docstring.

    Args:
        link: The connection.
        loaded: Whether all instances have been read at least once.
        instances: By id, those in the trash not among them.
        providers: By name.
        operations: By id: those under way and the latest that ended.
        status: The daemon, as it told last.
        alerts: By id: those that go on, acknowledged or not.
        alerts_off: Why there are none, if nothing is judged, and what switches that on.
        events: The latest, oldest first.
        journal: The journal that ``seq`` counts in.
        seq: The last event that is folded in.
    """

    link: Link = Link()
    loaded: bool = False
    instances: Mapping[str, Row] = field(default_factory=dict)
    providers: Mapping[str, ProviderInfo] = field(default_factory=dict)
    operations: Mapping[str, Operation] = field(default_factory=dict)
    status: StatusReport | None = None
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    alerts_off: str = ""
    events: tuple[Event, ...] = ()
    journal: str | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Changed:
    """What is different from the snapshot before: views look at nothing else again.

    ``everything`` stands for a snapshot that was read anew.
    """

    instances: frozenset[str] = frozenset()
    operations: frozenset[str] = frozenset()
    providers: bool = False
    status: bool = False
    alerts: bool = False
    events: int = 0
    link: bool = False
    everything: bool = False

    def plus(self, other: Changed) -> Changed:
        """Both."""
        return Changed(
            instances=self.instances | other.instances,
            operations=self.operations | other.operations,
            providers=self.providers or other.providers,
            status=self.status or other.status,
            alerts=self.alerts or other.alerts,
            events=self.events + other.events,
            link=self.link or other.link,
            everything=self.everything or other.everything,
        )


EVERYTHING: Final = Changed(everything=True)
