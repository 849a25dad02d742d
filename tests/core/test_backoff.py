from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.backoff import Jitter, ceiling, delay

attempts = st.integers(-3, 10_000)
chances = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("attempt", "jitter", "chance", "seconds"),
    [
        (0, "none", 0.9, 0.5),
        (3, "none", 0.9, 4.0),
        (9, "none", 0.9, 30.0),
        (10_000, "none", 0.9, 30.0),
        (1, "full", 0.0, 0.0),
        (1, "full", 0.5, 0.5),
        (1, "equal", 0.0, 0.5),
        (1, "equal", 0.5, 0.75),
    ],
)
def test_delay(attempt: int, jitter: Jitter, chance: float, seconds: float) -> None:
    assert delay(attempt, base=0.5, cap=30, chance=chance, jitter=jitter) == seconds


@given(attempts, chances, st.sampled_from(get_args(Jitter)))
def test_never_more_than_the_ceiling_never_negative(
    attempt: int, chance: float, jitter: Jitter
) -> None:
    seconds = delay(attempt, base=1, cap=300, chance=chance, jitter=jitter)
    assert 0 <= seconds <= ceiling(attempt, base=1, cap=300) <= 300
    if jitter == "equal":
        assert seconds >= ceiling(attempt, base=1, cap=300) / 2


@given(attempts, attempts)
def test_the_ceiling_never_falls(a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert ceiling(low, base=1, cap=300) <= ceiling(high, base=1, cap=300)
