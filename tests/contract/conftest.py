"""The adapters that the suite runs over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarmd.ports import Call, Provider
from tests.contract.cases import LocalCase, ProviderCase

Maker = Callable[[pytest.FixtureRequest, Path], ProviderCase]


def _local(request: pytest.FixtureRequest, path: Path) -> ProviderCase:
    del request
    return LocalCase(path)


def _local_real(request: pytest.FixtureRequest, path: Path) -> ProviderCase:
    from swarmd.setup import find_installed

    found = find_installed(request.getfixturevalue("code_server_dir"))
    assert found is not None
    return LocalCase(path, tuple(found.command))


ADAPTERS = [
    pytest.param(_local, id="local"),
    pytest.param(_local_real, id="local-code-server", marks=pytest.mark.code_server),
]


@pytest.fixture(params=ADAPTERS)
def provider_case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProviderCase]:
    """One adapter in a place of the test's own; at the end nothing of it runs."""
    make: Maker = request.param
    case = make(request, tmp_path)
    yield case
    case.close()


@pytest.fixture
def provider(provider_case: ProviderCase) -> Provider:
    """A fresh provider."""
    return provider_case.open()


@pytest.fixture
def call() -> Call:
    """A call with a minute to go."""
    return Call(deadline=time.monotonic() + 60, clock=time.monotonic)
