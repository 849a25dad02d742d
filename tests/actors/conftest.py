"""A world of actors for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.actors.kit import World, instance


@pytest.fixture
def world() -> Iterator[World]:
    """A registry's world with one instance."""
    made = World(instance(1))
    yield made
    made.close()
