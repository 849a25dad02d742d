"""Upkeep of the logs: everyone's turn comes, whatever one of them holds against it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from swarmd.messages.instance import Instance
from swarmd.providers.local.data import logs
from swarmd.providers.local.provider import LocalProvider
from swarmd.providers.local.upkeep import LogKeeper
from tests.providers.local.kit import call, make_instance, make_provider

MOST = 10_000


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[LocalProvider]:
    made = make_provider(tmp_path / "data", log_max_size=MOST)
    yield made
    made.dispose()


def with_log(provider: LocalProvider, name: str) -> Instance:
    instance = make_instance(name)
    provider.create(instance, call())
    live = logs.log_path(provider._context.layout.instance(instance.id))
    live.write_bytes(b"0123456789abcde\n" * (5 * MOST // 16))
    return instance


def size(provider: LocalProvider, instance: Instance) -> int:
    live = logs.log_path(provider._context.layout.instance(instance.id))
    return live.stat().st_blocks * 512


def test_what_was_written_before_the_end_is_cut_too(provider: LocalProvider) -> None:
    instance = with_log(provider, "web")
    provider.upkeep(datetime.now(UTC))
    assert size(provider, instance) <= MOST


def test_a_log_that_cannot_be_rotated_holds_up_no_other(provider: LocalProvider) -> None:
    one, bad, other = (with_log(provider, name) for name in "abc")
    # where a rotation writes first
    obstacle = provider._context.layout.instance(bad.id).log / "server.log.new"
    obstacle.mkdir()
    provider.upkeep(datetime.now(UTC))
    assert size(provider, one) <= MOST
    assert size(provider, other) <= MOST
    health = provider.probe()
    assert health.ok
    assert f"the log of {bad.id} cannot be rotated" in (health.message or "")
    obstacle.rmdir()
    provider.upkeep(datetime.now(UTC))
    assert size(provider, bad) <= MOST
    assert "cannot be rotated" not in (provider.probe().message or "")


def test_a_round_goes_on_where_the_last_one_ended(provider: LocalProvider) -> None:
    instances = sorted((with_log(provider, name) for name in "abc"), key=lambda one: one.id)
    keeper = LogKeeper(provider._context, 0.0)
    asked: list[str] = []
    keeper._keep = lambda record: asked.append(record.id)  # type: ignore[method-assign]
    keeper.run()
    assert asked == [], "no time, no work"
    assert [one.id for one in keeper._in_turn()] == [one.id for one in instances]
    keeper._last = instances[0].id
    order = [one.id for one in keeper._in_turn()]
    assert order == [instances[1].id, instances[2].id, instances[0].id]
    keeper._last = instances[2].id
    assert next(keeper._in_turn()).id == instances[0].id
