"""When something is done about a difference: at once if it is new, else once in a while."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.actors.base import REGISTRY
from swarmd.actors.provider import Looked
from swarmd.actors.published import Published
from swarmd.actors.reconciler import Reconciler
from swarmd.core.tables import Change, Tables
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import DesiredState, InstanceStatus, OperationKind
from swarmd.messages.instance import Instance
from tests.actors.health_kit import BLIND, WELL, SetClock, Told, running, shown
from tests.actors.kit import LOCAL

STOPPED = InstanceStatus.STOPPED


class Bed:
    """A reconciler, and what it asked for."""

    def __init__(self, row: Instance) -> None:
        self.published = Published(Tables.build((row,), (), (LOCAL,), 0), "j")
        self.directory, self.clock = Told(), SetClock()
        numbers = itertools.count()
        self.reconciler = Reconciler(
            directory=self.directory,
            published=self.published,
            clock=self.clock,
            node="n1",
            new_id=lambda: f"o{next(numbers)}",
            accepted=lambda _verdict: None,
        )

    def row(self) -> Instance:
        return self.published.tables.instances["i1"]

    def change(self, row: Instance) -> None:
        self.published.tables = self.published.tables.apply(Change(instances=(row,)))

    def look(self, row: Instance | None, **changes: Any) -> list[OperationKind]:
        """What is begun after a look that shows this; None: it did not answer."""
        observed = None if row is None else (shown(row, **changes),)
        view = BLIND if row is None else WELL
        self.reconciler.looked(
            Looked("local", time.monotonic(), observed, view),
            every=1e9, trash_retention=1e9, lasts=60.0, health=HealthConfig(),
        )  # fmt: skip
        return [kind for each in self.directory.take(REGISTRY) for kind in self._begun(each)]

    def _begun(self, message: Any) -> list[OperationKind]:
        change, _ = message.decide(self.published.tables)
        self.published.tables = self.published.tables.apply(Change(instances=change.instances))
        return [each.kind for each in change.operations]


def to_stop(row: Instance) -> Instance:
    return replace(row, desired=DesiredState.STOPPED)


def to_start(row: Instance) -> Instance:
    return replace(row, status=STOPPED, started_at=None)


@pytest.mark.parametrize(
    ("wished", "seen", "kind"),
    [
        (to_stop, {}, OperationKind.STOP),
        (to_start, {"status": STOPPED}, OperationKind.START),
    ],
)
def test_a_wish_that_was_kept_is_carried_out_as_soon_as_its_provider_answers(
    wished: Callable[[Instance], Instance], seen: dict[str, Any], kind: OperationKind
) -> None:
    row = running()
    bed = Bed(row)
    assert bed.look(row) == []
    bed.change(wished(bed.row()))
    assert bed.look(row, **seen) == []  # nothing new, and not yet its time
    assert bed.look(None) == []
    assert bed.look(row, **seen) == [kind]


def test_a_stop_that_fails_is_tried_again_after_a_pause() -> None:
    """It shows as running again each time, which is new, and is no reason to hurry."""
    row = running()
    bed = Bed(row)
    bed.look(row)
    bed.change(to_stop(bed.row()))
    bed.look(None)
    assert bed.look(row) == [OperationKind.STOP]
    for _ in range(2):
        bed.change(replace(bed.row(), status=InstanceStatus.ERROR))
        assert bed.look(row) == []
    bed.clock.forward(1.0)
    bed.change(replace(bed.row(), status=InstanceStatus.ERROR))
    assert bed.look(row) == [OperationKind.STOP]
    assert bed.look(row) == []
    bed.clock.forward(2.0)
    # Once it is stopped that is over: the next wish is carried out at once.
    assert bed.look(row, status=STOPPED) == []
    assert bed.look(row) == [OperationKind.STOP]
