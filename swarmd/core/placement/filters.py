"""Who takes an instance: each filter lets a provider through or says why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from swarmd.core.breaker import refusal_of
from swarmd.core.naming import nearest
from swarmd.core.placement.asking import Ask, Candidate
from swarmd.core.placement.regions import is_in
from swarmd.core.validation import check_fits
from swarmd.errors import (
    Conflict,
    ProviderNotFound,
    ResourceLimitError,
    SwarmError,
    Unavailable,
    ValidationError,
)

FIELD = "config.provider"

Filter = Callable[[Candidate, Ask], SwarmError | None]


def refusal(candidate: Candidate, ask: Ask) -> SwarmError | None:
    """Why this provider does not take what is asked for: the first reason; None if it does."""
    for accepts in FILTERS:
        error = accepts(candidate, ask)
        if error is not None:
            return error
    return None


def unknown_provider(
    name: str, known: Sequence[str], *, field: str | None = None
) -> ProviderNotFound:
    """The error for a name that no provider has; it lists those that there are."""
    near = nearest(name, known)
    listed = ", ".join(sorted(known))
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return ProviderNotFound(
        f"there is no provider {name!r}",
        field=field,
        next_step=f"{hint}Known providers: {listed}."
        if known
        else "Add one under [[providers]], or with swarmctl providers register.",
        details={"known": sorted(known)},
    )


def _enabled(candidate: Candidate, _ask: Ask) -> SwarmError | None:
    if candidate.info.enabled:
        return None
    return Unavailable(
        f"provider {candidate.name} is disabled",
        field=FIELD,
        next_step=_enable(candidate),
        details={"provider": candidate.name},
    )


def _not_cordoned(candidate: Candidate, _ask: Ask) -> SwarmError | None:
    if not candidate.info.cordoned:
        return None
    return Conflict(
        f"provider {candidate.name} is cordoned: it takes no new instances",
        field=FIELD,
        next_step=_enable(candidate),
        details={"provider": candidate.name},
    )


def _enable(candidate: Candidate) -> str:
    return f"Run swarmctl providers enable {candidate.name}, or name another provider."


def _answers(candidate: Candidate, ask: Ask) -> SwarmError | None:
    """Its last look was well."""
    info = candidate.info
    if (info.health.ok and info.capabilities is not None) or info.name in ask.unheard:
        return None
    next_step = info.health.next_step or f"Look at it: swarmctl providers get {info.name}."
    said = info.health.message.removesuffix(next_step).rstrip() or "it does not answer"
    return Unavailable(
        f"provider {info.name} is not ready: {said}",
        next_step=next_step,
        details={"provider": info.name},
    )


def _breaker_closed(candidate: Candidate, _ask: Ask) -> SwarmError | None:
    """Nor half-open: the probe is a look, not somebody's instance."""
    return refusal_of(candidate.name, candidate.info.breaker)


def _has_room(candidate: Candidate, _ask: Ask) -> SwarmError | None:
    caps = candidate.info.capabilities
    if caps is None or not caps.max_instances or candidate.info.instances < caps.max_instances:
        return None
    return ResourceLimitError(
        f"provider {candidate.name} has {candidate.info.instances} instances, its most",
        field=FIELD,
        next_step="Delete instances (swarmctl rm), or name another provider.",
        details={"limit": caps.max_instances},
    )


def _owner_has_room(candidate: Candidate, _ask: Ask) -> SwarmError | None:
    caps = candidate.info.capabilities
    most = caps.max_instances_per_user if caps is not None else 0
    if not most or candidate.owned < most:
        return None
    return ResourceLimitError(
        f"the owner has {candidate.owned} instances at provider {candidate.name}, the most for"
        " one user",
        field=FIELD,
        next_step="Delete instances (swarmctl rm), or name another provider.",
        details={"limit": most},
    )


def _in_region(candidate: Candidate, ask: Ask) -> SwarmError | None:
    wanted = ask.config.region
    if wanted is None or ask.weighs_region or is_in(wanted, candidate.info):
        return None
    where = f"in region {candidate.info.region}" if candidate.info.region else "in no known region"
    return ValidationError(
        f"provider {candidate.name} is {where}, not in {wanted}",
        field="config.region",
        next_step="Leave region out, or set the provider's region (providers[].region).",
        details={"provider": candidate.name},
    )


def _labelled(candidate: Candidate, ask: Ask) -> SwarmError | None:
    has = candidate.info.labels
    for key, value in ask.config.provider_labels.items():
        if has.get(key) != value:
            return ValidationError(
                f"provider {candidate.name} has no label {key}={value}",
                field=f"config.provider_labels.{key}",
                next_step="Ask for a label that a provider has (providers[].labels).",
                details={"provider": candidate.name},
            )
    return None


def _fits(candidate: Candidate, ask: Ask) -> SwarmError | None:
    """Every field takes effect there, and one instance may have what is asked for."""
    caps = candidate.info.capabilities
    if caps is None:
        return None
    elsewhere = {name: able for name, able in ask.able.items() if name != candidate.name}
    try:
        check_fits(
            ask.config,
            caps,
            provider=candidate.name,
            elsewhere=elsewhere,
            insecure=ask.insecure,
            tls=caps.tls,
        )
    except SwarmError as error:
        return error
    return None


FILTERS: tuple[Filter, ...] = (
    _enabled,
    _not_cordoned,
    _breaker_closed,
    _answers,
    _has_room,
    _owner_has_room,
    _in_region,
    _labelled,
    _fits,
)
"""In this order: the first one that refuses gives the reason."""
