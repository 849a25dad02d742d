"""At which provider a new instance is made, or why at none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swarmd.core.naming import nearest
from swarmd.errors import Conflict, ProviderNotFound, ResourceLimitError, Unavailable
from swarmd.messages.instance import InstanceConfig
from swarmd.messages.provider import ProviderInfo

FIELD = "config.provider"


def choose(
    config: InstanceConfig,
    default_provider: str,
    providers: Sequence[ProviderInfo],
    *,
    owned: Mapping[str, int] | None = None,
) -> str:
    """The name of the provider that a new instance goes to.

    The configured one, else the default, else the only one that accepts instances.

    Args:
        config: What was asked for.
        default_provider: ``daemon.default_provider``; may name none that exists.
        providers: Every provider, with its instances counted.
        owned: Instances of this owner by provider, for the limits per user.

    Raises:
        ProviderNotFound: None of this name, or none to choose.
        Unavailable: It is disabled.
        Conflict: It is cordoned.
        ResourceLimitError: It is full.
    """
    by_name = {provider.name: provider for provider in providers}
    chosen = _named(config, by_name) or by_name.get(default_provider) or _only(providers)
    _check_accepts(chosen)
    _check_room(chosen, (owned or {}).get(chosen.name, 0))
    return chosen.name


def _named(config: InstanceConfig, by_name: Mapping[str, ProviderInfo]) -> ProviderInfo | None:
    name = config.provider
    if name is None:
        return None
    if name not in by_name:
        raise unknown_provider(name, tuple(by_name), field=FIELD)
    return by_name[name]


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


def _only(providers: Sequence[ProviderInfo]) -> ProviderInfo:
    enabled = [provider for provider in providers if provider.enabled]
    if len(enabled) == 1:
        return enabled[0]
    if not enabled:
        raise ProviderNotFound(
            "no provider is enabled",
            field=FIELD,
            next_step="Enable one with swarmctl providers enable NAME."
            if providers
            else "Add one under [[providers]], or with swarmctl providers register.",
            details={"known": sorted(provider.name for provider in providers)},
        )
    raise ProviderNotFound(
        "several providers are enabled and none is the default",
        field=FIELD,
        next_step="Name one (provider) or set daemon.default_provider: "
        + ", ".join(sorted(provider.name for provider in enabled))
        + ".",
        details={"known": sorted(provider.name for provider in providers)},
    )


def _check_accepts(provider: ProviderInfo) -> None:
    enable = f"Run swarmctl providers enable {provider.name}, or name another provider."
    if not provider.enabled:
        raise Unavailable(
            f"provider {provider.name} is disabled",
            field=FIELD,
            next_step=enable,
            details={"provider": provider.name},
        )
    if provider.cordoned:
        raise Conflict(
            f"provider {provider.name} is cordoned: it takes no new instances",
            field=FIELD,
            next_step=enable,
            details={"provider": provider.name},
        )


def _check_room(provider: ProviderInfo, owned: int) -> None:
    caps = provider.capabilities
    if caps is None:
        return
    if caps.max_instances and provider.instances >= caps.max_instances:
        raise ResourceLimitError(
            f"provider {provider.name} has {provider.instances} instances, its most",
            field=FIELD,
            next_step="Delete instances (swarmctl rm), or name another provider.",
            details={"limit": caps.max_instances},
        )
    if caps.max_instances_per_user and owned >= caps.max_instances_per_user:
        raise ResourceLimitError(
            f"the owner has {owned} instances at provider {provider.name}, the most for one user",
            field=FIELD,
            next_step="Delete instances (swarmctl rm), or name another provider.",
            details={"limit": caps.max_instances_per_user},
        )
