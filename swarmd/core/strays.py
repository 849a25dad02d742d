"""Strays: what a provider has and no record explains; listed, adopted or discarded by a human."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from swarmd.core.naming import check_name, check_owner
from swarmd.core.reconcile import Found
from swarmd.errors import Conflict, InstanceNotFound
from swarmd.messages.enums import AuthType, DesiredState, InstanceStatus
from swarmd.messages.instance import Instance, InstanceConfig, Stray
from swarmd.messages.provider import Observed
from swarmd.messages.secret import Secret

_WISHED = {
    InstanceStatus.RUNNING: DesiredState.RUNNING,
    InstanceStatus.DELETED: DesiredState.DELETED,
}
"""What an adopted one goes on with: what was deleted stays in the trash, to be taken out of it."""


def stray_of(found: Found, node: str, found_at: datetime, record: Instance | None = None) -> Stray:
    """How a stray is shown.

    Args:
        found: What is shown.
        node: This daemon's id.
        found_at: When it was found first.
        record: The instance of its id, of which it is a copy.
    """
    observed = found.observed
    return Stray(
        id=observed.id,
        provider=found.provider,
        name=observed.name,
        owner=observed.owner,
        epoch=observed.epoch,
        found_at=found_at,
        reason=_reason(observed, node, record),
        node=observed.node,
        running=observed.status is InstanceStatus.RUNNING,
        bytes=observed.bytes,
    )


def _reason(observed: Observed, node: str, record: Instance | None) -> str:
    if observed.node != node:
        return f"made by node {observed.node}"
    if record is None:
        return "no record explains it"
    return (
        f"a copy of {record.ref} under epoch {observed.epoch}; the instance itself is at"
        f" {record.provider} under epoch {record.epoch}"
    )


def stand_in_for(observed: Observed) -> Instance:
    """A record for something that has none, so that its provider can be told to end it."""
    never = datetime.fromtimestamp(0, UTC)
    name = observed.name or observed.id
    return Instance(
        id=observed.id,
        name=name,
        owner=observed.owner or "",
        config=observed.config or InstanceConfig(name=name),
        provider="",
        provider_type="",
        desired=DesiredState.DELETED,
        status=InstanceStatus.UNKNOWN,
        created_at=never,
        updated_at=never,
        node=observed.node,
        epoch=observed.epoch,
    )


def adopted(
    observed: Observed | None,
    *,
    provider: str,
    provider_type: str,
    node: str,
    name: str | None,
    owner: str,
    password: str,
    taken: bool,
    now: datetime,
) -> Instance:
    """The record of a stray that a human wants to keep.

    Its password is not known any more: it gets this new one, at its next start.

    Raises:
        InstanceNotFound: It is not there any more.
        ValidationError: A name or an owner that no instance can have.
        Conflict: Its name is taken (``taken``).
    """
    if observed is None:
        raise _gone(provider)
    chosen = name or observed.name or observed.id
    check_name(chosen, "name")
    check_owner(owner)
    if taken:
        raise _taken(f"{owner}/{chosen}", observed.id, provider)
    in_trash = observed.status is InstanceStatus.DELETED
    config, waits = _config_of(observed, chosen, password)
    return Instance(
        id=observed.id,
        name=chosen,
        owner=owner,
        config=config,
        restart_required=waits,
        provider=provider,
        provider_type=provider_type,
        desired=_WISHED.get(observed.status, DesiredState.STOPPED),
        status=InstanceStatus.DELETED if in_trash else InstanceStatus.UNKNOWN,
        created_at=now,
        updated_at=now,
        deleted_at=now if in_trash else None,
        node=node,
        epoch=observed.epoch,
    )


def _gone(provider: str) -> InstanceNotFound:
    return InstanceNotFound(
        f"nothing like that is at provider {provider}",
        field="id",
        next_step="List the strays: swarmctl doctor.",
    )


def _taken(ref: str, stray_id: str, provider: str) -> Conflict:
    return Conflict(
        f"{ref} exists already",
        field="name",
        next_step=f"Give it another name: swarmctl doctor adopt {stray_id} {provider} --name NEW.",
    )


def _config_of(
    observed: Observed, name: str, password: str
) -> tuple[InstanceConfig, tuple[str, ...]]:
    """The configuration of an adopted one, and what of it waits for its next start."""
    config = observed.config or InstanceConfig(name=name)
    auth = config.auth
    if auth.type is AuthType.PASSWORD:
        auth = msgspec.structs.replace(auth, credentials=Secret(password))
    running = observed.status is InstanceStatus.RUNNING
    waits = ("auth.credentials",) if running and auth != config.auth else ()
    return msgspec.structs.replace(config, name=name, auth=auth), waits
