"""Provider types, found by entry point (DESIGN 3): imported only when one is asked for."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from swarmd.errors import ConfigError
from swarmd.ports import ProviderFactory

GROUP = "swarmd.providers"


def load_factory(kind: str) -> ProviderFactory:
    """The factory of a provider type.

    Raises:
        ConfigError: No installed package brings this type, or it cannot be imported.
    """
    points = {point.name: point for point in metadata.entry_points(group=GROUP)}
    if kind not in points:
        raise ConfigError(
            f"unknown provider type {kind!r}",
            field="type",
            next_step=f"Installed types: {', '.join(sorted(points)) or 'none'}.",
        )
    try:
        factory: ProviderFactory = points[kind].load()
    except ImportError as error:
        raise ConfigError(
            f"the provider type {kind!r} cannot be imported: {error}",
            field="type",
            next_step="Install the package it needs.",
            details={"cause": str(error)},
        ) from error
    return factory


def check_provider_options(kind: str, options: dict[str, Any]) -> None:
    """Check one provider's own table; what ``load`` takes as ``check_options``.

    Raises:
        ConfigError: An unknown type (``field`` is ``type``) or wrong options.
    """
    load_factory(kind).check_options(options)


def provider_types() -> tuple[str, ...]:
    """The installed provider types, by name; none is imported for it."""
    return tuple(sorted({point.name for point in metadata.entry_points(group=GROUP)}))
