"""The daemon itself, and what its doctor finds."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from swarmd.messages.enums import MetricsFormat
from swarmd.messages.requests.base import Request
from swarmd.messages.requests.providers import ProviderName
from swarmd.messages.units import Duration


class DaemonStatus(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show the daemon's state and counts."""


class DaemonMetrics(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show what was measured over time.

    Instances, health, operations with how long they took, and the daemon itself.
    """

    since: Annotated[
        str, Meta(description="From when: how long ago (30m, 7d), or a time with its zone.")
    ] = "1h"
    until: Annotated[
        str | None, Meta(description="Until when, in the same words; default: now.")
    ] = None
    step: Annotated[
        Duration | None, Meta(description="Time of one point; default: some 30 points.")
    ] = None
    format: Annotated[
        MetricsFormat,
        Meta(description="points, or prometheus: a text for Prometheus, of now."),
    ] = MetricsFormat.POINTS


class DaemonVersion(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show the daemon's version."""


class DaemonPing(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask whether the daemon serves, and in which state it is."""


class DaemonReload(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read the configuration again; apply what can change live, say what needs a restart."""


class DaemonShutdown(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stop the daemon. Instances keep running."""


class DaemonActors(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show the daemon's actors: mailbox, restarts, last answer."""


class DaemonDoctor(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Look for strays, files in quarantine, full disks, missing servers."""


class AdoptStray(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make an instance of a stray that the doctor found."""

    id: str
    provider: ProviderName
    name: Annotated[str | None, Meta(description="Its name; default: the one it bears.")] = None
    owner: Annotated[str | None, Meta(description="Its owner; default: the caller.")] = None


class DiscardStray(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Remove a stray that the doctor found, with its data. There is no undo."""

    id: str
    provider: ProviderName


class Discover(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Describe every method of this socket (OpenRPC)."""
