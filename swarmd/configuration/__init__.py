"""The configuration: found, read, checked, compared, written as an example (DESIGN 7 and 8).

Its parts are imported when they are first asked for: the terminal app only wants to know whether
there is a file, and people wait for its first picture.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmd.configuration.example import render_example, render_options
    from swarmd.configuration.factories import (
        check_provider_options,
        load_factory,
        provider_types,
    )
    from swarmd.configuration.loader import LoadedConfig, find_file, load, parse, usual_file
    from swarmd.configuration.places import resolve_places
    from swarmd.configuration.reload import ReloadDecision, apply, diff

_PARTS = {
    "example": ("render_example", "render_options"),
    "factories": ("check_provider_options", "load_factory", "provider_types"),
    "loader": ("LoadedConfig", "find_file", "load", "parse", "usual_file"),
    "places": ("resolve_places",),
    "reload": ("ReloadDecision", "apply", "diff"),
}
_PLACES = {name: part for part, names in _PARTS.items() for name in names}

__all__ = [
    "LoadedConfig",
    "ReloadDecision",
    "apply",
    "check_provider_options",
    "diff",
    "find_file",
    "load",
    "load_factory",
    "parse",
    "provider_types",
    "render_example",
    "render_options",
    "resolve_places",
    "usual_file",
]


def __getattr__(name: str) -> Any:
    """Import the part that has it (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
