"""Providers: where instances run."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from swarmd.messages.instance import InstanceConfig
from swarmd.messages.requests.base import Request
from swarmd.messages.units import Duration

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
    cost_per_hour: (
        Annotated[
            float,
            Meta(
                ge=0, description="What the largest instance there costs an hour; null: not known."
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
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


class DrainProvider(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cordon a provider and stop all that runs there; nothing starts it again by itself."""

    name: ProviderName
    wait: Annotated[bool, Meta(description="Answer when the stops have ended.")] = True
    timeout: Annotated[
        Duration | None, Meta(description="End the wait (not the stops) after this time.")
    ] = None
