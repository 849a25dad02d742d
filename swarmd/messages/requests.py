"""One Struct per method of the socket: its docstring is the help, its fields the options.

The methods' names, replies and kinds stand in ``methods.py``.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from swarmd.messages.enums import (
    DesiredState,
    EventType,
    HealthStatus,
    InstanceStatus,
    OperationKind,
    OperationState,
    RecoveryAction,
)
from swarmd.messages.instance import InstanceConfig
from swarmd.messages.units import Duration

Ref = Annotated[str, Meta(description="Id, owner/name, own name or unique id prefix.")]
Limit = Annotated[int, Meta(ge=1, le=1000, description="At most so many.")]


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every request is."""


class Mutation(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every request for an operation takes (DESIGN 6)."""

    wait: Annotated[
        bool,
        Meta(
            description="Answer when the operation has ended, with the instance; with the "
            "operation if the instance is gone by then."
        ),
    ] = True
    timeout: Annotated[
        Duration | None, Meta(description="End the wait (not the operation) after this time.")
    ] = None
    idempotency_key: Annotated[
        str | None, Meta(description="The same key within 24 h gives the same operation.")
    ] = None


# --- instances -------------------------------------------------------------------------------


class CreateInstance(Mutation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Create an instance and start it."""

    config: InstanceConfig
    at_provider: Annotated[
        str | None, Meta(description="Where it runs, whatever config.provider says.")
    ] = None
    owner: Annotated[str | None, Meta(description="Whose it is; default: the caller's.")] = None
    start: Annotated[bool, Meta(description="Start it at once.")] = True


class GetInstance(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show one instance."""

    id: Ref


class ListInstances(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """List instances, by owner and name. Text filters are globs."""

    name: Annotated[str | None, Meta(description="Glob over the name.")] = None
    owner: Annotated[str | None, Meta(description="Glob over the owner.")] = None
    provider: Annotated[str | None, Meta(description="Glob over the provider.")] = None
    status: Annotated[tuple[InstanceStatus, ...], Meta(description="Any of these.")] = ()
    health: Annotated[tuple[HealthStatus, ...], Meta(description="Any of these.")] = ()
    desired: Annotated[tuple[DesiredState, ...], Meta(description="Any of these.")] = ()
    label: Annotated[tuple[str, ...], Meta(description="key or key=glob; all must fit.")] = ()
    metadata: Annotated[tuple[str, ...], Meta(description="key or key=glob; all must fit.")] = ()
    swarm: Annotated[str | None, Meta(description="Glob over the swarm.")] = None
    trash: Annotated[bool, Meta(description="Those in the trash instead.")] = False
    fields: Annotated[tuple[str, ...], Meta(description="Only these fields.")] = ()
    limit: Limit = 200
    cursor: Annotated[str | None, Meta(description="From the page before.")] = None


class StartInstance(Mutation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Start a stopped instance and wait until it answers."""

    id: Ref


class StopInstance(Mutation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stop an instance and everything that runs in it. It stays stopped."""

    id: Ref
    force: Annotated[bool, Meta(description="Kill at once, without the grace time.")] = False


class RestartInstance(Mutation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stop an instance and start it again, on the same address."""

    id: Ref
    force: Annotated[bool, Meta(description="Kill at once, without the grace time.")] = False


class RecoverInstance(Mutation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Recover an instance by hand: end all that runs in it, and start it again.

    With ``recreate`` all but its data is made anew in between.
    """

    id: Ref
    action: Annotated[
        RecoveryAction, Meta(description="restart, recreate, or migrate to another provider.")
    ] = RecoveryAction.RESTART


class HealthInstance(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Check an instance's health now, and show it with its history."""

    id: Ref


class DeleteInstance(Mutation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Delete an instance. Its data stays in the trash for a day unless forced."""

    id: Ref
    force: Annotated[bool, Meta(description="Remove its data now; there is no undo.")] = False


class UndeleteInstance(Mutation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a deleted instance out of the trash, stopped."""

    id: Ref
    name: Annotated[str | None, Meta(description="A new name, if the old one is taken.")] = None


class UpdateInstance(Mutation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change an instance's configuration. What needs a restart is said, or done with restart.

    ``changes`` is a JSON merge patch (RFC 7396) of the configuration: null resets a field.
    """

    id: Ref
    changes: dict[str, Any]
    if_revision: Annotated[int | None, Meta(description="Refuse if it changed since.")] = None
    restart: Annotated[bool, Meta(description="Restart it if a change needs that.")] = False


class ImportInstance(Mutation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Create an instance from an exported archive that was sent by upload.open."""

    upload: str
    config: InstanceConfig
    at_provider: Annotated[
        str | None, Meta(description="Where it runs, whatever config.provider says.")
    ] = None
    owner: Annotated[str | None, Meta(description="Whose it is; default: the caller's.")] = None
    start: Annotated[bool, Meta(description="Start it at once.")] = True


class LogsInstance(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stream an instance's log."""

    id: Ref
    follow: Annotated[bool, Meta(description="Go on as it grows.")] = False
    tail: Annotated[int, Meta(ge=0, description="Only the last lines.")] | None = None
    since: Annotated[Duration | None, Meta(description="Only what is younger than this.")] = None
    timestamps: Annotated[
        bool, Meta(description="Each line begins with its time, where the provider keeps it.")
    ] = False


class ExecInstance(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Run a command in a running instance and stream its output."""

    id: Ref
    command: Annotated[tuple[str, ...], Meta(min_length=1, description="argv, no shell.")]
    workdir: Annotated[str | None, Meta(description="Below the workspace.")] = None
    env: Annotated[dict[str, str], Meta(description="Added to the instance's.")] = {}
    stdin: Annotated[bool, Meta(description="Take input by stream.write.")] = False
    timeout: Annotated[Duration | None, Meta(description="End it after this time.")] = None


class ExportInstance(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stream an instance's data as a tar archive."""

    id: Ref


class OpenUpload(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open a stream towards the daemon, for instance.import."""


class StatsInstance(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show what running instances use; all of them if none is named."""

    id: tuple[Ref, ...] = ()


class CredentialsInstance(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show an instance's URL and password."""

    id: Ref


class WhyInstance(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tell why an instance is as it is: its story, oldest first."""

    id: Ref


# --- operations ------------------------------------------------------------------------------


class ListOperations(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """List operations, newest first."""

    target: Annotated[Ref | None, Meta(description="Only those of this instance.")] = None
    state: Annotated[tuple[OperationState, ...], Meta(description="Any of these.")] = ()
    kind: Annotated[tuple[OperationKind, ...], Meta(description="Any of these.")] = ()
    limit: Limit = 50


class GetOperation(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show one operation."""

    id: Annotated[str, Meta(description="Id or unique prefix.")]


class CancelOperation(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask a running operation to end."""

    id: Annotated[str, Meta(description="Id or unique prefix.")]


class WaitOperation(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer when an operation has ended, or as it is at the timeout."""

    id: Annotated[str, Meta(description="Id or unique prefix.")]
    timeout: Annotated[Duration | None, Meta(description="Wait at most this long.")] = None


# --- providers -------------------------------------------------------------------------------

Cost = Annotated[
    float, Meta(ge=0, description="What the largest instance there costs an hour, in any currency.")
]
ProviderName = Annotated[str, Meta(description="The provider's configured name.")]


class ListProviders(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """List providers, what each can do and how it does."""


class GetProvider(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show one provider."""

    name: ProviderName


class ProviderCapabilities(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show what a provider can do, as the probe of its host found out."""

    name: ProviderName


class PlacementProvider(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show at which provider an instance would be made, and why at no other. Makes nothing."""

    config: InstanceConfig
    at_provider: Annotated[
        str | None, Meta(description="Where it runs, whatever config.provider says.")
    ] = None
    owner: Annotated[str | None, Meta(description="Whose it is; default: the caller's.")] = None


class RegisterProvider(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Add a provider while the daemon runs; kept over restarts."""

    name: ProviderName
    type: Annotated[str, Meta(description="local, docker, …: an installed type.")]
    enabled: bool = True
    priority: Annotated[float, Meta(description="Higher is preferred.")] = 0.0
    region: Annotated[str | None, Meta(description="Where it is: eu-west.")] = None
    labels: Annotated[dict[str, str], Meta(description="What an instance can ask of it.")] = {}
    cost_per_hour: Cost | None = None
    options: Annotated[dict[str, Any], Meta(description="The type's own options.")] = {}


class UpdateProvider(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change a registered provider (a merge patch); it is started anew."""

    name: ProviderName
    priority: Annotated[float | None, Meta(description="Higher is preferred.")] = None
    region: Annotated[str | None, Meta(description="Where it is; empty: nowhere said.")] = None
    labels: Annotated[dict[str, str | None] | None, Meta(description="Merge patch of labels.")] = (
        None
    )
    cost_per_hour: Cost | None = None
    options: Annotated[dict[str, Any] | None, Meta(description="Merge patch of options.")] = None


class RemoveProvider(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Remove a registered provider that has no instances."""

    name: ProviderName


class EnableProvider(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Start a provider that was disabled, or accept instances again after cordon."""

    name: ProviderName


class DisableProvider(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stop driving a provider. Its instances keep running, unwatched."""

    name: ProviderName


class CordonProvider(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Place no new instances at a provider. Undone by provider.enable."""

    name: ProviderName


# --- events and the daemon -------------------------------------------------------------------


class SubscribeEvents(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stream events: from the journal since a position, a snapshot marker, then as they come."""

    since: Annotated[int, Meta(ge=0, description="After this sequence number.")] | None = None
    journal: Annotated[str | None, Meta(description="The journal that since belongs to.")] = None
    type: Annotated[tuple[EventType, ...], Meta(description="Any of these.")] = ()
    target: Annotated[Ref | None, Meta(description="Only those of this instance.")] = None


class UnsubscribeEvents(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End an event stream of this connection."""

    stream: str


class HistoryEvents(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read a page of the journal."""

    since: Annotated[int, Meta(ge=0, description="After this sequence number.")] = 0
    limit: Limit = 200
    type: Annotated[tuple[EventType, ...], Meta(description="Any of these.")] = ()
    target: Annotated[Ref | None, Meta(description="Only those of this instance.")] = None


class WriteStream(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give bytes to a stream of this connection: an upload, or a command's input."""

    stream: str
    data_b64: str = ""
    end: bool = False


class CloseStream(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End a stream of this connection."""

    stream: str


class DaemonStatus(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show the daemon's state and counts."""


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
