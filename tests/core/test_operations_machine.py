"""Whatever is wished, fails, is cancelled or cut off: operations end, and instances can go."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.core.world import DEEDS, World

WALKS, PACES = 40, 120


class Operations(RuleBasedStateMachine):
    """A world whose fate is drawn, and shrunk if something does not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(data=st.data(), deed=st.sampled_from(DEEDS))
    def happens(self, data: st.DataObject, deed: object) -> None:
        assert callable(deed)
        deed(self.world, lambda several: data.draw(st.sampled_from(several)))

    @invariant()
    def holds(self) -> None:
        self.world.check()
        self.world.everything_can_be_deleted()


Operations.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestOperations = Operations.TestCase


@pytest.mark.parametrize("seed", range(WALKS))
def test_a_long_walk(seed: int) -> None:
    """The same by chance, far longer: most of what draws begin with stays shallow."""
    world, chance = World(), random.Random(seed)
    for pace in range(PACES):
        deed = chance.choice(DEEDS)
        deed(world, chance.choice)
        world.check()
        if pace % 10 == 0:
            world.everything_can_be_deleted()
