"""Fixtures of the local provider's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmd.providers.local import tree
from swarmd.providers.local.endings import Endings
from swarmd.providers.local.provider import LocalProvider
from tests.providers.local.endings_kit import Heard, Sleeper, sleepers
from tests.providers.local.kit import make_provider

Make = Callable[..., LocalProvider]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A DATA folder."""
    return tmp_path / "data"


@pytest.fixture
def make(data: Path) -> Iterator[Make]:
    """Makes providers on that folder; at the end everything that they started is ended."""
    made: list[LocalProvider] = []

    def factory(**changes: Any) -> LocalProvider:
        provider = make_provider(changes.pop("data", data), **changes)
        made.append(provider)
        return provider

    yield factory
    ids = {observed.id for provider in made for observed in provider.list()}
    for instance_id in ids:
        tree.end(
            lambda found=instance_id: tree.scan().members(found),  # type: ignore[misc]
            grace=0.0,
            check=lambda: None,
        )
    for provider in made:
        remove_groups(provider)
        provider.dispose()


def remove_groups(provider: LocalProvider) -> None:
    """Remove the control groups of what the test left."""
    from swarmd.providers.local import cgroups

    for record in provider._context.index.all().values():
        cgroups.remove(provider._runner.group_paths(record))


@pytest.fixture
def provider(make: Make) -> LocalProvider:
    """A provider on the stand-in."""
    return make()


@pytest.fixture
def heard() -> Heard:
    """Counts what it is told."""
    return Heard()


@pytest.fixture
def endings(heard: Heard) -> Iterator[Endings]:
    """Tells that one; nothing is followed yet."""
    found = Endings("test")
    found.begin(heard)
    yield found
    found.close()


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    """Starts processes that do nothing; they end with the test."""
    with sleepers() as start:
        yield start
