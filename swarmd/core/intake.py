"""From a request to a wish: names, placement, checks and the fresh record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from swarmd.core.breaker import refusal_of
from swarmd.core.changes import merge_patch
from swarmd.core.fallback import planned
from swarmd.core.idle.rules import check_watched
from swarmd.core.kept import LASTING
from swarmd.core.naming import check_name, check_owner
from swarmd.core.notes import reason_of
from swarmd.core.placement import Rules, place, told
from swarmd.core.recovery.by_hand import by_hand
from swarmd.core.tables import Change, Tables
from swarmd.core.validation import check_config, check_itself
from swarmd.core.views import candidates, find, find_deleted
from swarmd.core.wishes import Verdict, Wish, accept, accept_new, answered
from swarmd.errors import InternalError, SwarmError, Unavailable
from swarmd.messages import codec
from swarmd.messages.enums import (
    AuthType,
    DesiredState,
    InstanceStatus,
    OperationKind,
    Origin,
)
from swarmd.messages.instance import Instance, InstanceConfig
from swarmd.messages.operation import Caller
from swarmd.messages.provider import BreakerInfo, Capabilities
from swarmd.messages.replies import Placement
from swarmd.messages.requests import (
    CreateInstance,
    DeleteInstance,
    ImportInstance,
    Mutation,
    PlacementProvider,
    RecoverInstance,
    RestartInstance,
    StartInstance,
    StopInstance,
    UndeleteInstance,
    UpdateInstance,
)
from swarmd.messages.secret import Secret

_KINDS: Mapping[type[Mutation], OperationKind] = {
    CreateInstance: OperationKind.CREATE,
    ImportInstance: OperationKind.IMPORT,
    StartInstance: OperationKind.START,
    StopInstance: OperationKind.STOP,
    RestartInstance: OperationKind.RESTART,
    RecoverInstance: OperationKind.RESTART,
    UpdateInstance: OperationKind.UPDATE,
    DeleteInstance: OperationKind.DELETE,
    UndeleteInstance: OperationKind.UNDELETE,
}


@dataclass(frozen=True, slots=True)
class Intake:
    """Chance, time, ids and settings for one request.

    Args:
        password: A fresh one, for a new instance that brings none.
        digest: Of the request's parameters.
        lasts: Seconds that the operation may take.
    """

    operation_id: str
    instance_id: str
    caller: Caller
    now: datetime
    node: str
    password: str
    digest: str
    lasts: float
    rules: Rules


def decide(tables: Tables, request: Mutation, intake: Intake) -> Verdict:
    """Accept a request or refuse it.

    Raises:
        SwarmError: Refused; nothing is changed.
    """
    kind = _KINDS.get(type(request))
    if kind is None:
        raise InternalError(f"no operation for a {type(request).__name__}")
    wish = _wish(kind, request, intake)
    earlier = answered(tables, wish)
    if earlier is not None:
        return earlier
    if isinstance(request, CreateInstance | ImportInstance):
        return _new(tables, request, wish, intake)
    instance = _target(tables, request, intake)
    check_driven(tables, instance.provider)
    if kind not in LASTING:
        # The others are written down, and carried out once it answers.
        check_answering(tables, instance.provider)
    arguments = _arguments(tables, request, instance, intake)
    return accept(tables, replace(wish, arguments=arguments), instance.id)


def _target(tables: Tables, request: Mutation, intake: Intake) -> Instance:
    """The instance that a request names; what lies in the trash is refused later, by name."""
    ref: str = request.id  # type: ignore[attr-defined]  # all but the creations have one
    if isinstance(request, UndeleteInstance):
        return find_deleted(tables, ref, intake.caller.name)
    return find(tables, ref, intake.caller.name, trash=True)


def _wish(kind: OperationKind, request: Mutation, intake: Intake) -> Wish:
    return Wish(
        operation_id=intake.operation_id,
        kind=kind,
        origin=Origin.USER,
        caller=intake.caller,
        now=intake.now,
        lasts=intake.lasts,
        key=request.idempotency_key,
        digest=intake.digest,
    )


def check_driven(tables: Tables, provider: str) -> None:
    """Refuse what a disabled provider would have to do. Raises ``Unavailable``."""
    record = tables.providers.get(provider)
    if record is None:
        raise Unavailable(
            f"provider {provider} is not configured any more",
            next_step="Configure it again, or register it: swarmctl providers register.",
        )
    if not record.enabled:
        raise Unavailable(
            f"provider {provider} is disabled (providers[].enabled)",
            next_step=f"Enable it: swarmctl providers enable {provider}.",
        )


def check_answering(tables: Tables, provider: str) -> None:
    """Refuse what would have to wait for a provider that is left alone. Raises ``CircuitOpen``."""
    refused = refusal_of(provider, tables.breakers.get(provider, BreakerInfo()))
    if refused is not None:
        raise refused


def _arguments(
    tables: Tables, request: Mutation, instance: Instance, intake: Intake
) -> dict[str, Any]:
    match request:
        case UpdateInstance():
            config = merge_patch(instance.config, request.changes)
            config = msgspec.structs.replace(config, auth=_auth(config, intake))
            _check_update(tables, config, instance, intake)
            return {
                "config": codec.to_plain(config, reveal=True),
                "restart": request.restart,
                "if_revision": request.if_revision,
            }
        case StopInstance() | RestartInstance() | DeleteInstance():
            return {"force": request.force}
        case RecoverInstance():
            return by_hand(request.action, instance)
        case UndeleteInstance():
            if request.name is not None:
                check_name(request.name, "name")
            return {"name": request.name}
        case _:
            return {}


def _check_update(
    tables: Tables, config: InstanceConfig, instance: Instance, intake: Intake
) -> None:
    """``_check``; what is blamed is the field of the changes that were sent."""
    try:
        _check(tables, config, instance.provider, intake)
        if not intake.rules.watched:
            check_watched(config, instance.config)
    except SwarmError as error:
        if error.field is not None and error.field.startswith("config."):
            error.field = "changes." + error.field.removeprefix("config.")
        raise


def _new(
    tables: Tables, request: CreateInstance | ImportInstance, wish: Wish, intake: Intake
) -> Verdict:
    asked = _asked(request)
    config = msgspec.structs.replace(asked, auth=_auth(asked, intake))
    owner = request.owner or intake.caller.name
    placement = _placed(tables, config, owner, intake.rules)
    upload = {"upload": request.upload} if isinstance(request, ImportInstance) else {}
    arguments = {"start": request.start, **upload, **planned(placement, intake.rules)}
    record = _record(tables, config, owner, placement.chosen, request, intake)
    verdict = accept_new(tables, replace(wish, arguments=arguments), record)
    reasons = tuple(
        (record.id, reason_of(operation, f"placed at {placement.chosen}", told(placement)))
        for operation in verdict.change.operations
    )
    return replace(verdict, change=verdict.change.plus(Change(reasons=reasons)))


def where(tables: Tables, request: PlacementProvider, caller: Caller, rules: Rules) -> Placement:
    """Where a create of this would go; whether its name is free is not looked at.

    Raises:
        SwarmError: The create would be refused.
    """
    return _placed(tables, _asked(request), request.owner or caller.name, rules)


def _asked(request: CreateInstance | ImportInstance | PlacementProvider) -> InstanceConfig:
    """The configuration with the provider that the request names besides, if it does."""
    if request.at_provider is None:
        return request.config
    return msgspec.structs.replace(request.config, provider=request.at_provider)


def _placed(tables: Tables, config: InstanceConfig, owner: str, rules: Rules) -> Placement:
    check_owner(owner)
    check_itself(config)
    if not rules.watched:
        check_watched(config)
    return place(config, candidates(tables, owner), rules)


def _record(
    tables: Tables,
    config: InstanceConfig,
    owner: str,
    provider: str,
    request: CreateInstance | ImportInstance,
    intake: Intake,
) -> Instance:
    return Instance(
        id=intake.instance_id,
        name=config.name,
        owner=owner,
        config=config,
        provider=provider,
        provider_type=tables.providers[provider].type,
        desired=DesiredState.RUNNING if request.start else DesiredState.STOPPED,
        status=InstanceStatus.CREATING,
        created_at=intake.now,
        updated_at=intake.now,
        node=intake.node,
        metadata=dict(config.metadata),
    )


def _auth(config: InstanceConfig, intake: Intake) -> Any:
    if config.auth.type is AuthType.PASSWORD and config.auth.credentials is None:
        return msgspec.structs.replace(config.auth, credentials=Secret(intake.password))
    return config.auth


def _check(tables: Tables, config: InstanceConfig, provider: str, intake: Intake) -> None:
    elsewhere: dict[str, Capabilities] = {}
    for name, view in tables.views.items():
        if view.capabilities is not None:
            elsewhere[name] = view.capabilities
    capabilities = elsewhere.pop(provider, None)
    if capabilities is None:
        view_now = tables.views.get(provider)
        raise Unavailable(
            f"provider {provider} is not ready: "
            + (view_now.health.message if view_now else "it has not been asked yet"),
            next_step=f"Look at it: swarmctl providers get {provider}.",
        )
    check_config(
        config,
        capabilities,
        provider=provider,
        elsewhere=elsewhere,
        insecure=intake.rules.insecure,
        tls=capabilities.tls,
    )
