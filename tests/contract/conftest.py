"""The adapters that the suite runs over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarmd.messages.instance import Instance
from swarmd.ports import Call, Provider
from tests.contract.cases import LocalCase, ProviderCase
from tests.contract.kit import fresh_call
from tests.docker_engine import engine_client

Maker = Callable[[pytest.FixtureRequest, Path], ProviderCase]


def _local(request: pytest.FixtureRequest, path: Path) -> ProviderCase:
    del request
    return LocalCase(path)


def _local_real(request: pytest.FixtureRequest, path: Path) -> ProviderCase:
    from swarmd.setup import find_installed

    found = find_installed(request.getfixturevalue("code_server_dir"))
    assert found is not None
    return LocalCase(path, tuple(found.command))


def _docker(request: pytest.FixtureRequest, path: Path, *, server: bool = False) -> ProviderCase:
    from tests.contract.docker_case import DockerCase

    return DockerCase(path, request.getfixturevalue("docker_network"), server=server)


def _docker_real(request: pytest.FixtureRequest, path: Path) -> ProviderCase:
    return _docker(request, path, server=True)


ADAPTERS = [
    pytest.param(_local, id="local"),
    pytest.param(_local_real, id="local-code-server", marks=pytest.mark.code_server),
    pytest.param(_docker, id="docker", marks=pytest.mark.docker),
    pytest.param(
        _docker_real,
        id="docker-code-server",
        # Who comes first makes the image, and the others wait for it.
        marks=[pytest.mark.docker, pytest.mark.code_server, pytest.mark.timeout(600)],
    ),
]


@pytest.fixture(scope="session")
def docker_network() -> Iterator[str]:
    """A network for the containers of one test process: the first provider makes it."""
    with engine_client() as client:
        name = f"swarmd-t{os.getpid()}"
        yield name
        for network in client.networks.list(names=[name]):
            network.remove()


WHATEVER_SERVES = {
    "test_a_call_that_was_ended_is_completed_or_undone_by_the_next",
    "test_a_cancelled_import_can_be_repeated",
    "test_an_older_epoch_is_refused",
    "test_closing_an_exec_wakes_its_reader_and_ends_it",
    "test_discard_removes_a_stray",
    "test_exec_ends_everything_at_its_timeout",
    "test_exec_of_what_is_not_there",
    "test_hostile_imports_are_refused_and_leave_nothing",
    "test_it_ends_before_or_after_a_call",
    "test_nothing_is_there_at_first",
    "test_only_errors_of_our_own_come_out",
    "test_purge_leaves_nothing",
    "test_what_is_not_there_cannot_be_renewed",
    "test_what_runs_is_exported_however_large_it_is",
}
"""Promises that no server has a part in: kept with the stand-in, they are kept with a real one."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run these with the stand-in alone: the minutes are better spent elsewhere."""
    left_out = {item for item in items if _has_no_part_in(item)}
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _has_no_part_in(item: pytest.Item) -> bool:
    return (
        item.path.parent == Path(__file__).parent
        and isinstance(item, pytest.Function)
        and item.originalname in WHATEVER_SERVES
        and "-code-server" in item.callspec.id
    )


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
    return fresh_call()


@pytest.fixture
def instance(provider_case: ProviderCase) -> Instance:
    """Not created yet."""
    return provider_case.instance()


@pytest.fixture
def running(provider: Provider, instance: Instance, call: Call) -> Instance:
    """Created and started."""
    provider.create(instance, call)
    provider.start(instance, call)
    return instance
