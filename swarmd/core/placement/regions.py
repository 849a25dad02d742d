"""Regions and areas: ``eu-west-1`` is a region, what stands before its first hyphen its area."""

from __future__ import annotations

from swarmd.messages.provider import ProviderInfo


def is_in(wanted: str, info: ProviderInfo) -> bool:
    """Whether an instance at this provider can be in this region."""
    return wanted in _regions(info)


def is_near(wanted: str, info: ProviderInfo) -> bool:
    """Whether it can be in a region of the same area."""
    area = _area(wanted)
    return any(_area(region) == area for region in _regions(info))


def _regions(info: ProviderInfo) -> tuple[str, ...]:
    own = (info.region,) if info.region else ()
    return (*own, *(info.capabilities.supported_regions if info.capabilities else ()))


def _area(region: str) -> str:
    return region.partition("-")[0]
