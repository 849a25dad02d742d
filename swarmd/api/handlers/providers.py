"""Providers: what is configured, and changing it while the daemon runs."""

from __future__ import annotations

from swarmd.api.call import Call, handles
from swarmd.errors import Unavailable
from swarmd.messages.provider import Capabilities, ProviderInfo
from swarmd.messages.replies import Placement, ProviderList
from swarmd.messages.requests import (
    AdoptStray,
    CordonProvider,
    DisableProvider,
    DiscardStray,
    EnableProvider,
    GetProvider,
    ListProviders,
    PlacementProvider,
    ProviderCapabilities,
    RegisterProvider,
    RemoveProvider,
    Request,
    UpdateProvider,
)


@handles(ListProviders)
def list_providers(call: Call, request: ListProviders) -> ProviderList:  # noqa: ARG001
    """``provider.list``."""
    return ProviderList(items=call.query.providers(call.caller))


@handles(GetProvider)
def get_provider(call: Call, request: GetProvider) -> ProviderInfo:
    """``provider.get``."""
    return call.query.provider(call.caller, request.name)


@handles(ProviderCapabilities)
def capabilities(call: Call, request: ProviderCapabilities) -> Capabilities:
    """``provider.capabilities``."""
    info = call.query.provider(call.caller, request.name)
    if info.capabilities is None:
        raise Unavailable(
            f"the provider {info.name} has not been probed: {info.health.message or 'not started'}",
            next_step=f"Enable it (provider.enable {info.name}), or see swarmctl doctor.",
        )
    return info.capabilities


@handles(PlacementProvider)
def placement(call: Call, request: PlacementProvider) -> Placement:
    """``provider.placement``."""
    return call.query.placement(call.caller, request)


@handles(
    RegisterProvider,
    UpdateProvider,
    RemoveProvider,
    EnableProvider,
    DisableProvider,
    CordonProvider,
    AdoptStray,
    DiscardStray,
)
async def administer(call: Call, request: Request) -> object:
    """Changes that are no operation of an instance."""
    return await call.commands.administer(call.caller, request)
