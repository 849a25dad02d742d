"""Where a creation goes on that a provider could not carry out (seed 000, section 4.4).

The operation keeps what was tried and what comes next (``arguments``), so that a daemon that was
killed between two attempts goes on where it was. At one provider everything is undone before the
next one is asked: an instance is never at two.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from swarmd.core.course import PLACEMENT, Step, enter
from swarmd.core.notes import cancellation, event_of, failure_of, reason_of
from swarmd.core.placement import Ask, Rules, refusal, strategy_named
from swarmd.core.placement.asking import abilities
from swarmd.core.tables import Change, Tables
from swarmd.core.views import candidates
from swarmd.errors import (
    InitializationError,
    OperationCancelled,
    ProviderError,
    ResourceLimitError,
    SwarmError,
    Unavailable,
)
from swarmd.messages.enums import EventType
from swarmd.messages.instance import Failure, Instance
from swarmd.messages.operation import Operation, Progress
from swarmd.messages.replies import Placement

_ELSEWHERE = frozenset(
    {ProviderError.type, ResourceLimitError.type, Unavailable.type, InitializationError.type}
)
"""Errors that are the provider's matter: another one may do better."""


@dataclass(frozen=True, slots=True)
class Onward:
    """What comes after a failed attempt.

    Args:
        operation: With what was tried so far.
        provider: Where it goes on; None: nowhere.
        passed: Those that were to be next and do not take it any more, each with its reason.
    """

    operation: Operation
    provider: str | None
    passed: tuple[tuple[str, str], ...] = ()


def planned(placement: Placement, rules: Rules) -> dict[str, Any]:
    """What a creation's arguments keep of its placement; nothing if no other may be tried."""
    following = [each.provider for each in placement.ranked[1:]]
    if not following or not rules.fallback:
        return {}
    plan = {
        "strategy": placement.strategy,
        "insecure": rules.insecure,
        "tried": [],
        "next": following,
    }
    return {PLACEMENT: plan}


def may_go_on(operation: Operation) -> bool:
    """Whether a creation that went wrong may be tried elsewhere."""
    plan = operation.arguments.get(PLACEMENT)
    if not plan or not plan["next"] or operation.cancel_requested or operation.error is None:
        return False
    return operation.error.type in _ELSEWHERE


def given_up(operation: Operation) -> Operation:
    """The same without a next attempt."""
    plan = operation.arguments.get(PLACEMENT)
    return operation if not plan else _with_plan(operation, {**plan, "next": []})


def onward(tables: Tables, operation: Operation, instance: Instance) -> Onward:
    """The next attempt of a creation: the first of the ranking that still takes the instance.

    Args:
        tables: The tables now: a provider may have become full meanwhile.
        operation: With the error of the last attempt; ``may_go_on`` holds.
        instance: At the provider of that attempt, where nothing is left of it.
    """
    plan = operation.arguments[PLACEMENT]
    tried = [*plan["tried"], _attempt(instance.provider, operation.error)]
    everyone = candidates(tables, instance.owner)
    strategy = strategy_named(plan["strategy"])
    able = abilities(everyone)
    unheard = tables.providers.keys() - tables.views.keys()
    ask = Ask(instance.config, plan["insecure"], strategy.weighs_region, able, unheard)
    by_name = {each.name: each for each in everyone}
    passed: list[tuple[str, str]] = []
    for place, name in enumerate(plan["next"], 1):
        found = by_name.get(name)
        error = refusal(found, ask) if found is not None else Unavailable(f"{name} is gone")
        if error is None and found is not None:
            at = {"provider": name, "type": found.info.type}
            after = {**plan, "tried": tried, "next": plan["next"][place:], "at": at}
            clean = msgspec.structs.replace(operation, error=None)
            return Onward(_with_plan(clean, after), name, tuple(passed))
        if error is not None:
            passed.append((name, error.message))
            tried.append(_attempt(name, Failure(type=error.type, message=error.message)))
    return Onward(_with_plan(operation, {**plan, "tried": tried, "next": []}), None, tuple(passed))


def elsewhere(
    tables: Tables, operation: Operation, instance: Instance, now: datetime
) -> Change | None:
    """The beginning of the next attempt, at the next provider of the ranking; None: there is none.

    The record goes to that provider, under another epoch, before anything is asked of it.
    """
    if not may_go_on(operation):
        return None
    found = onward(tables, operation, instance)
    if found.provider is None:
        return None
    before, why = instance.provider, operation.error.message if operation.error else ""
    entered, instance = enter(found.operation, instance, Step.VALIDATE, now)
    message = f"{before} could not make it, trying {found.provider}"
    entered = msgspec.structs.replace(entered, progress=Progress(message=message))
    lines = [(f"not placed at {name}", reason) for name, reason in found.passed]
    lines.append((f"create at {found.provider}", f"{before} could not: {why}"))
    facts = {"message": message, "fraction": None}
    return Change(
        operations=(entered,),
        instances=(instance,),
        events=(event_of(EventType.OPERATION_PROGRESS, instance, entered, **facts),),
        reasons=tuple((instance.id, reason_of(entered, *line, now)) for line in lines),
    )


def final(tables: Tables, operation: Operation, instance: Instance) -> Operation:
    """A creation that goes on nowhere, with what kept each provider from it."""
    if operation.cancel_requested and operation.error is not None:
        error = failure_of(cancellation(operation, operation.error.message))
        operation = msgspec.structs.replace(operation, error=error)
    elif may_go_on(operation):
        operation = onward(tables, operation, instance).operation
    return msgspec.structs.replace(operation, error=failure(operation, instance))


def not_undone(operation: Operation, instance: Instance, error: SwarmError) -> SwarmError:
    """Both errors of a creation that went wrong and could not be undone either."""
    first = operation.error.message if operation.error is not None else "the creation failed"
    last = ", so that no other provider was tried" if may_go_on(operation) else ""
    attempts = attempts_of(operation, instance)
    several = {"attempts": attempts} if len(attempts) > 1 else {}
    return ProviderError(
        f"{first}; undoing it failed: {error.message}{last}",
        next_step=f"It is tried again; or remove it: swarmctl rm --force {operation.target_ref}.",
        details={**error.details, "cause": error.message, **several},
    )


def failure(operation: Operation, instance: Instance) -> Failure | None:
    """The error of a creation that goes on nowhere: that of its only attempt, or all of them."""
    error, attempts = operation.error, attempts_of(operation, instance)
    if error is None or len(attempts) < 2:
        return error
    if error.type == OperationCancelled.type:
        return msgspec.structs.replace(error, details={**error.details, "attempts": attempts})
    causes = "; ".join(f"{each['provider']}: {each['message']}" for each in attempts)
    return Failure(
        type=ProviderError.type,
        message=f"{operation.target_ref} could be made at no provider: {causes}",
        details={
            "attempts": attempts,
            "next_step": "See what each of them says: swarmctl providers.",
        },
    )


def attempts_of(operation: Operation, instance: Instance) -> list[dict[str, Any]]:
    """Every provider that was to make it so far, with what kept it from that."""
    plan = operation.arguments.get(PLACEMENT) or {}
    tried: list[dict[str, Any]] = list(plan.get("tried", ()))
    if any(each["provider"] == instance.provider for each in tried):
        return tried
    return [*tried, _attempt(instance.provider, operation.error)]


def _attempt(provider: str, error: Failure | None) -> dict[str, Any]:
    kind, message = (error.type, error.message) if error else ("", "")
    return {"provider": provider, "type": kind, "message": message}


def _with_plan(operation: Operation, plan: dict[str, Any]) -> Operation:
    arguments = {**operation.arguments, PLACEMENT: plan}
    return msgspec.structs.replace(operation, arguments=arguments)
