"""The configuration: found, read, checked, compared, written as an example (DESIGN 7 and 8)."""

from swarmd.configuration.example import render_example, render_options
from swarmd.configuration.factories import (
    check_provider_options,
    load_factory,
    provider_types,
)
from swarmd.configuration.loader import LoadedConfig, find_file, load, parse, usual_file
from swarmd.configuration.places import resolve_places
from swarmd.configuration.reload import ReloadDecision, apply, diff

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
