"""Which batches are written together, and which wait for the next time."""

from __future__ import annotations

import pytest

from swarmd.messages.operation import Progress
from swarmd.ports import Batch
from swarmd.store.commit import Group
from tests.store.samples import alerts, ended, instance, operation, reason


def test_progress_of_one_operation_is_written_once_per_group() -> None:
    group = Group()
    for number in range(5):
        later = Batch(operations=(operation("o1", progress=Progress(fraction=number / 5)),))
        assert group.accepts(later)
        group.add(later)
    assert [one.progress.fraction for one in group.operations().values()] == [0.8]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            Batch(operations=(operation("o1"),), instances=(instance("i1"),)),
            Batch(operations=(ended("o1"),)),
        ),
        (Batch(drop_instances=("i1",)), Batch(instances=(instance("i1"),))),
        (Batch(drop_operations=("o1",)), Batch(operations=(operation("o1"),))),
        (Batch(drop_instances=("i1",)), Batch(reasons=(("i1", reason("told later")),))),
        (Batch(operations=(operation("o1"),), providers=()), Batch(providers=())),
        (Batch(operations=(operation("o1"),), alerts=alerts("a1")), Batch(alerts=alerts())),
    ],
)
def test_a_record_is_not_rewritten_within_a_group_if_a_prefix_would_be_lost(
    first: Batch, second: Batch
) -> None:
    group = Group()
    group.add(first)
    assert not group.accepts(second)


def test_a_group_does_not_grow_without_end() -> None:
    group = Group()
    while group.accepts(Batch(events=())):
        group.add(Batch(events=()))
    assert len(group.batches) == 256
