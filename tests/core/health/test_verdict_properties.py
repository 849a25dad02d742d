"""A verdict, whatever the facts are."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.health.facts import Seen, Usage
from swarmd.core.health.track import Track
from swarmd.core.health.verdict import verdict
from swarmd.messages.enums import (
    DesiredState,
    HealthStatus,
    InstanceStatus,
    Origin,
    ProbeKind,
)
from swarmd.messages.health import CheckKind, Illness
from swarmd.messages.instance import Failure, Instance
from tests.core.health.samples import FAR, asked, check, judged, outcome, rules
from tests.core.samples import NOW, instance, later

UNHEALTHY, UNKNOWN = HealthStatus.UNHEALTHY, HealthStatus.UNKNOWN

WORDS = st.sampled_from(
    ["", "exit status 1", "its folder is gone", "its container was removed", "out of memory"]
)
RECORDS = st.builds(
    instance,
    desired=st.sampled_from(DesiredState),
    status=st.sampled_from(InstanceStatus),
    started_at=st.sampled_from([None, NOW, later(3590)]),
    last_error=st.none()
    | st.builds(
        Failure,
        type=st.sampled_from(["provider_error", "instance_not_found"]),
        message=WORDS,
        details=st.sampled_from([{}, {"lost": True}, {"exit": "OOMKilled"}]),
    ),
)
SIGHTS = st.builds(
    Seen,
    provider_ok=st.booleans(),
    present=st.sampled_from([None, True, False]),
    runs=st.sampled_from([None, True, False]),
    busy=st.none() | st.sampled_from(Origin),
    exit=st.none() | WORDS,
)
SHARES = st.none() | st.integers(0, 10)
TRACKS = st.builds(asked, st.booleans(), st.booleans(), seconds=st.sampled_from([0.1, 3.0])) | (
    st.lists(st.booleans(), max_size=6).map(lambda answers: asked(*answers))
)
PROBES = st.sampled_from(ProbeKind)


@given(RECORDS, SIGHTS, TRACKS, PROBES, SHARES)
def test_there_is_always_a_verdict_with_four_checks_and_always_the_same(
    record: Instance, seen: Seen, track: Track, probe: ProbeKind, share: int | None
) -> None:
    track.used(Usage(memory_bytes=share, memory_limit_bytes=10), NOW)
    first = verdict(record, track, rules(probe=probe), seen=seen, now=FAR)
    assert first == verdict(record, track, rules(probe=probe), seen=seen, now=FAR)
    assert tuple(each.kind for each in first.checks) == tuple(CheckKind)
    assert all(each.message for each in first.checks)
    assert first.details
    ill = first.illness not in (None, Illness.PROVIDER)
    assert ill is (first.status is UNHEALTHY or first.illness in (Illness.SLOW, Illness.STARVED))


@given(RECORDS, SIGHTS, TRACKS)
def test_a_provider_that_is_down_and_a_wish_not_to_run_make_nothing_ill(
    record: Instance, seen: Seen, track: Track
) -> None:
    found = judged(track, record, seen=seen)
    if not seen.provider_ok:
        assert outcome(found) == (UNKNOWN, Illness.PROVIDER)
    elif record.desired is not DesiredState.RUNNING:
        assert outcome(found) == (UNKNOWN, None)


def test_every_status_and_wish_is_judged() -> None:
    for status, desired in itertools.product(InstanceStatus, DesiredState):
        found = judged(record=instance(status=status, desired=desired))
        standing = check(found, CheckKind.STATUS)
        assert (standing.value, standing.limit) == (status.value, desired.value)
