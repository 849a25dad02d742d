"""Instances: what can be asked of one, and for one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from swarmd.messages.enums import DesiredState, HealthStatus, InstanceStatus, RecoveryAction
from swarmd.messages.instance import InstanceConfig
from swarmd.messages.requests.base import Limit, Mutation, Ref, Request
from swarmd.messages.units import Duration


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

    id: Annotated[tuple[str, ...], Meta(description="Only these, by their whole ids.")] = ()
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


class KeepInstance(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep an instance: neither idle_timeout nor max_age stops it until then."""

    id: Ref
    duration: Annotated[
        Duration | None, Meta(description="From now on, over a stop and a start; 0 ends it.")
    ] = None
    until: Annotated[
        Annotated[datetime, Meta(tz=True)] | None, Meta(description="Until then, instead.")
    ] = None


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


class StatsInstance(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show what running instances use; all of them if none is named."""

    id: tuple[Ref, ...] = ()
    measured: Annotated[
        bool, Meta(description="As it was measured last for their health: no provider is asked.")
    ] = False


class CredentialsInstance(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show an instance's URL and password."""

    id: Ref


class WhyInstance(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tell why an instance is as it is: its story, oldest first."""

    id: Ref
