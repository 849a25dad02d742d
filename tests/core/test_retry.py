from __future__ import annotations

import pytest

from swarmd.core.retry import CAP, is_repeatable, pause_after
from swarmd.core.steps import Step
from swarmd.errors import (
    CircuitOpen,
    DeadlineExceeded,
    OperationCancelled,
    ProviderError,
    ProviderUnreachable,
    SwarmError,
)

GONE = ProviderUnreachable("no such socket")


def test_three_times_with_full_jitter() -> None:
    assert [pause_after(n, GONE, 0.1, 0.5) for n in (1, 2, 3, 4)] == [0.25, 0.5, 1.0, None]
    assert pause_after(1, GONE, 0.1, 0.0) == 0.0
    assert CAP == 30.0


@pytest.mark.parametrize(
    "error",
    [ProviderError("no"), CircuitOpen("later"), OperationCancelled("no"), DeadlineExceeded("no")],
)
def test_an_answer_stays_the_same(error: SwarmError) -> None:
    assert pause_after(1, error, 0.1, 0.5) is None


def test_what_hung_is_not_asked_to_hang_again() -> None:
    assert pause_after(1, GONE, 10.0, 0.5) is None


def test_an_archive_is_read_once() -> None:
    assert [step for step in Step if not is_repeatable(step)] == [Step.IMPORT]
