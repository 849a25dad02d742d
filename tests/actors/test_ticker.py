"""The clock: rhythms, their changes, and its own death."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from swarmd.actors.base import Start, Tick
from swarmd.actors.ticker import Rhythms, Ticker
from tests.actors.kit import World
from tests.support import wait_until


def start(world: World, rhythms: Rhythms, generation: int = 1) -> Any:
    ref = Ticker.start(world.context, "ticker", generation, rhythms)
    world.directory.put("ticker", ref, Start())
    return ref


def ticks(heard: list[Any]) -> list[Tick]:
    return [each for each in heard if isinstance(each, Tick)]


def more_than(heard: list[Any], count: int) -> bool:
    return len(ticks(heard)) > count


def test_each_at_its_rhythm(world: World) -> None:
    quick, slow = world.listen("quick"), world.listen("slow")
    start(world, Rhythms({"quick": 0.01, "slow": 0.1, "nobody": 0.01}))
    wait_until(lambda: len(ticks(slow)) >= 2)
    assert len(ticks(quick)) > len(ticks(slow))
    nows = [each.now for each in ticks(quick)]
    assert nows == sorted(nows)
    assert world.directory.dead_letters == 0


def test_a_rhythm_begins_changes_and_ends(world: World) -> None:
    heard, rhythms = world.listen("one"), Rhythms({})
    start(world, rhythms)
    rhythms.set("one", 0.01)
    wait_until(lambda: len(ticks(heard)) >= 3)
    rhythms.set("one", 60.0)
    rhythms.set("one", None)
    last = [0]

    def quiet() -> bool:
        before, last[0] = last[0], len(ticks(heard))
        return before == last[0]

    wait_until(quiet)
    rhythms.set("one", 0.01)
    wait_until(lambda: len(ticks(heard)) > last[0])


def test_one_that_ends_and_begins_again_is_not_ticked_twice(world: World) -> None:
    """A provider that is switched off and on again."""
    heard, rhythms = world.listen("one"), Rhythms({"one": 0.2, "other": 0.01})
    other = world.listen("other")
    start(world, rhythms)
    wait_until(lambda: ticks(heard))
    for _ in range(5):
        rhythms.set("one", None)
        count = len(ticks(other))
        wait_until(partial(more_than, other, count + 2))  # the clock looks meanwhile
        rhythms.set("one", 0.2)
    heard.clear()
    wait_until(lambda: len(ticks(heard)) >= 4)
    nows = [each.now for each in ticks(heard)]
    assert all(after - before > 0.15 for before, after in pairwise(nows))


def test_a_crowded_mailbox_is_spared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    crowded, other = world.listen("crowded"), world.listen("other")
    monkeypatch.setattr(world.directory, "depth", lambda name: 256 if name == "crowded" else 0)
    start(world, Rhythms({"crowded": 0.01, "other": 0.01}))
    wait_until(lambda: len(ticks(other)) > 5)
    assert ticks(crowded) == []


def test_a_new_ticker_goes_on_where_the_old_one_died(world: World) -> None:
    heard, rhythms = world.listen("one"), Rhythms({"one": 0.01})
    world.listen("supervisor")
    ref = start(world, rhythms)
    wait_until(lambda: ticks(heard))
    world.strike("ticker", Tick)
    world.directory.tell("ticker", Tick(0.0))
    wait_until(lambda: not ref.is_alive())
    start(world, rhythms, 2)
    count = len(ticks(heard))
    wait_until(lambda: len(ticks(heard)) > count + 3)
