"""Configurations of instances."""

from __future__ import annotations

from swarmd.messages.instance import InstanceConfig


def config(**changes: object) -> InstanceConfig:
    """One that asks for this."""
    return InstanceConfig(name="web", **changes)  # type: ignore[arg-type]
