from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swarmd.core.health.facts import Seen, Usage, Verdict
from swarmd.core.health.track import Track
from swarmd.core.health.verdict import is_out_of_memory
from swarmd.core.lifecycle import BUSY
from swarmd.core.sight import lost_failure
from swarmd.messages.enums import (
    DesiredState,
    HealthStatus,
    InstanceStatus,
    Origin,
    ProbeKind,
)
from swarmd.messages.health import CheckKind, Illness
from swarmd.messages.instance import Failure, Instance, Resources
from swarmd.messages.units import Size
from tests.core.health.samples import FAR, THERE, asked, check, judged, outcome
from tests.core.samples import NOW, config, instance, later

HEALTHY, DEGRADED = HealthStatus.HEALTHY, HealthStatus.DEGRADED
UNHEALTHY, UNKNOWN = HealthStatus.UNHEALTHY, HealthStatus.UNKNOWN
STOPPED, ERROR, RUNNING = InstanceStatus.STOPPED, InstanceStatus.ERROR, InstanceStatus.RUNNING
GB = 1 << 30
MEMORY = "end something in it, or raise resources.memory"
DISK = "make room where its files lie"


def failed(message: str, kind: str = "provider_error", **details: Any) -> Instance:
    failure = Failure(type=kind, message=message, details=details)
    return instance(status=ERROR, last_error=failure)


def down(words: str | None = None, **values: Any) -> Verdict:
    record = instance(status=STOPPED, **values)
    return judged(record=record, seen=replace(THERE, exit=words))


# --- above every illness -----------------------------------------------------------------------


def test_a_provider_that_does_not_answer_says_nothing_of_the_instance() -> None:
    track = asked(True, False, False, False)
    found = judged(track, seen=Seen(provider_ok=False, provider_message="no such socket"))
    assert outcome(found) == (UNKNOWN, Illness.PROVIDER)
    assert found.details == "its provider does not answer: no such socket"
    assert check(found, CheckKind.EXISTS).verdict is UNKNOWN
    told = check(found, CheckKind.STATUS).message
    assert told == "what it does now is not known; last seen running"


def test_a_provider_that_gives_no_reason() -> None:
    assert "no reason is known" in judged(seen=Seen(provider_ok=False)).details


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"desired": DesiredState.STOPPED, "status": STOPPED}, "it is not to run"),
        ({"desired": DesiredState.STOPPED, "status": RUNNING}, "it is not to run"),
        ({"desired": DesiredState.STOPPED, "status": ERROR}, "it is not to run"),
        ({"desired": DesiredState.DELETED, "status": RUNNING}, "it is deleted, or about to be"),
        ({"status": InstanceStatus.DELETING}, "it is deleted, or about to be"),
        ({"status": InstanceStatus.DELETED}, "it is deleted, or about to be"),
    ],
)
def test_what_is_not_to_run_is_not_ill(values: dict[str, Any], words: str) -> None:
    found = judged(asked(True, False, False, False), instance(**values))
    assert outcome(found) == (UNKNOWN, None)
    assert found.details == words


@pytest.mark.parametrize("origin", [Origin.RECOVERY, Origin.RECONCILE])
def test_what_is_brought_back_is_recovering(origin: Origin) -> None:
    found = judged(record=instance(status=STOPPED), seen=replace(THERE, busy=origin))
    assert outcome(found) == (HealthStatus.RECOVERING, None)
    assert origin in found.details
    assert check(found, CheckKind.STATUS).verdict is UNKNOWN


def test_while_a_user_acts_the_status_stays() -> None:
    track = asked(True, False, False, False)
    track.conclude(judged(track), FAR)
    found = judged(track, instance(status=STOPPED), seen=replace(THERE, busy=Origin.USER))
    assert outcome(found) == (UNHEALTHY, Illness.HUNG)
    assert outcome(judged(Track(), seen=replace(THERE, busy=Origin.USER))) == (UNKNOWN, None)
    stopped = judged(Track(), seen=replace(THERE, busy=Origin.POLICY))
    assert stopped.details == "an operation is under way (policy)"


@pytest.mark.parametrize("status", sorted(BUSY - {InstanceStatus.DELETING}))
def test_a_status_that_passes_is_not_judged(status: InstanceStatus) -> None:
    track = asked(True)
    track.conclude(judged(track), FAR)
    found = judged(track, instance(status=status))
    expected = HealthStatus.RECOVERING if status is InstanceStatus.RECOVERING else HEALTHY
    assert outcome(found) == (expected, None)


def test_a_status_that_is_not_known() -> None:
    found = judged(record=instance(status=InstanceStatus.UNKNOWN))
    assert outcome(found) == (UNKNOWN, None)
    assert found.details == "what became of it is not known yet"


# --- what does not run -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "illness"),
    [
        ("exit status 1", Illness.EXITED),
        ("ended by SIGKILL", Illness.EXITED),
        ("its container is paused", Illness.EXITED),
        (None, Illness.EXITED),
        ("ended by SIGKILL (the memory limit was reached)", Illness.OUT_OF_MEMORY),
        ("exit status 137: OOMKilled", Illness.OUT_OF_MEMORY),
        ("its container was removed", Illness.MISSING),
        ("its folder is gone", Illness.LOST),
        ("its volume is missing", Illness.LOST),
    ],
)
def test_how_it_ended_tells_the_illness(words: str | None, illness: Illness) -> None:
    found = down(words)
    assert outcome(found) == (UNHEALTHY, illness)
    assert (words or "no reason is known") in found.details
    exists = check(found, CheckKind.EXISTS).verdict
    assert exists is (UNHEALTHY if illness in (Illness.LOST, Illness.MISSING) else HEALTHY)
    assert check(found, CheckKind.STATUS).verdict is UNHEALTHY
    assert check(found, CheckKind.RESPONDS).message == "it is not asked: it does not run"


@pytest.mark.parametrize(
    ("record", "illness"),
    [
        (failed("code-server ended before it answered: exit status 1"), Illness.EXITED),
        (failed("it ended", exit="ended by SIGKILL (the memory limit was reached)"),
         Illness.OUT_OF_MEMORY),
        (failed("ended before it answered: its container was removed"), Illness.MISSING),
        (failed("ana/web is not at this provider", "instance_not_found"), Illness.LOST),
        (instance(status=ERROR, last_error=lost_failure(instance())), Illness.LOST),
        (instance(status=ERROR), Illness.EXITED),
        (instance(status=InstanceStatus.CREATED), Illness.EXITED),
    ],
)  # fmt: skip
def test_an_error_tells_the_illness(record: Instance, illness: Illness) -> None:
    assert outcome(judged(record=record)) == (UNHEALTHY, illness)


def test_an_old_error_does_not_count_once_the_status_is_another() -> None:
    old = Failure(type="instance_not_found", message="out of memory")
    assert outcome(down("exit status 1", last_error=old)) == (UNHEALTHY, Illness.EXITED)


def test_the_memory_limit_is_named() -> None:
    limited = config(resources=Resources(memory=Size(512 << 20)))
    found = down("ended by SIGKILL (the memory limit was reached)", config=limited)
    assert found.details.startswith("it reached its memory limit of 512m: ")
    plain = down("ended by SIGKILL (the memory limit was reached)")
    assert plain.details.startswith("it reached its memory limit: ")


@pytest.mark.parametrize(
    ("words", "is_it"),
    [
        ("exit status 137 (the memory limit was reached)", True),
        ("Out of memory", True),
        ("oom-killed", True),
        ("OOMKilled", True),
        ("ended by SIGKILL", False),
        ("no room left", False),
        ("", False),
    ],
)
def test_out_of_memory_in_words(words: str, is_it: bool) -> None:
    assert is_out_of_memory(words) is is_it


# --- what runs ---------------------------------------------------------------------------------


def test_what_answers_is_healthy() -> None:
    found = judged()
    assert outcome(found) == (HEALTHY, None)
    assert found.details == "it answers"
    responds = check(found, CheckKind.RESPONDS)
    assert (responds.value, responds.limit, responds.seconds) == (0.01, 1.0, 0.01)
    status = check(found, CheckKind.STATUS)
    assert (status.value, status.limit, status.verdict) == ("running", "running", HEALTHY)
    assert status.message == "it is running, as it is to be"
    assert check(found, CheckKind.EXISTS).verdict is HEALTHY


def test_not_asked_yet() -> None:
    found = judged(Track(), seen=Seen())
    assert outcome(found) == (UNKNOWN, None)
    assert found.details == "it was not asked yet"
    assert check(found, CheckKind.EXISTS).message == "its provider was not asked for it yet"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((True, False), (DEGRADED, None)),
        ((True, False, False), (DEGRADED, None)),
        ((False, False), (DEGRADED, None)),
        ((True, False, False, False), (UNHEALTHY, Illness.HUNG)),
        ((False, False, False), (UNHEALTHY, Illness.HUNG)),
        ((False, False, False, True), (HEALTHY, None)),
    ],
)
def test_failures_in_a_row(answers: tuple[bool, ...], expected: object) -> None:
    assert outcome(judged(asked(*answers))) == expected


def test_the_check_tells_how_often_it_failed() -> None:
    found = judged(asked(True, False, False))
    assert found.details == "it did not answer lately: connection refused"
    responds = check(found, CheckKind.RESPONDS)
    assert responds.message == "connection refused"
    assert (responds.value, responds.limit) == ("2 failed in a row", "3 in a row")
    assert responds.verdict is DEGRADED


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((False,) * 5, (UNKNOWN, None)),
        ((True, *(False,) * 5), (DEGRADED, None)),
    ],
)
def test_in_the_grace_nothing_is_unhealthy(answers: tuple[bool, ...], expected: object) -> None:
    track = asked(*answers)
    record = instance(started_at=NOW)
    assert outcome(judged(track, record, now=later(59.9), grace=60.0)) == expected
    over = judged(track, record, now=later(60), grace=60.0)
    assert outcome(over) == (UNHEALTHY, Illness.HUNG)


def test_failures_that_do_not_count_are_told() -> None:
    track = Track()
    track.started(NOW, grace=30)
    track.answered(False, 0.1, "refused", later(10))
    found = judged(track, now=later(11))
    assert (found.status, found.details) == (UNKNOWN, "it has not answered yet: refused")
    assert check(found, CheckKind.RESPONDS).message == "refused"


def test_whether_it_hangs_or_has_ended_is_told_by_a_look_that_is_newer() -> None:
    track = asked(True, False, False, False)
    assert track.suspected(3, 50.0)
    assert not track.suspected(3, 60.0)
    running, over = replace(THERE, runs=True), replace(THERE, runs=False, exit="exit status 9")
    for before in (running, over):
        found = judged(track, seen=replace(before, at=49.0))
        assert outcome(found) == (DEGRADED, None)
        assert "whether it runs is looked at" in found.details
    assert outcome(judged(track, seen=replace(running, at=50.0))) == (UNHEALTHY, Illness.HUNG)
    ended = judged(track, seen=replace(over, at=50.0))
    assert (outcome(ended), ended.details) == ((DEGRADED, None), "it has ended: exit status 9")
    track.answered(True, 0.1, "200", later(60))
    assert track.suspected_at is None


def test_without_a_start_time_there_is_no_grace() -> None:
    found = judged(asked(False, False, False), instance(), now=NOW)
    assert outcome(found) == (UNHEALTHY, Illness.HUNG)


def test_slow_answers() -> None:
    track = asked(True, seconds=1.5)
    found = judged(track)
    assert outcome(found) == (DEGRADED, Illness.SLOW)
    assert found.details == "it is slow: the p95 of its last answers is over 1 s"
    assert outcome(judged(track, degraded_latency=1.5)) == (HEALTHY, None)


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (
            Usage(memory_bytes=9, memory_limit_bytes=10),
            f"it uses 90 % of its memory (10b): {MEMORY}",
        ),
        (Usage(disk_bytes=GB, disk_limit_bytes=GB), f"it uses 100 % of its disk (0b left): {DISK}"),
        (Usage(disk_bytes=0, disk_limit_bytes=0), f"it uses 100 % of its disk (0b left): {DISK}"),
        (
            Usage(memory_bytes=GB, memory_limit_bytes=GB, disk_bytes=99, disk_limit_bytes=100),
            f"it uses 100 % of its memory (1g) and 99 % of its disk (1b left): {MEMORY} and {DISK}",
        ),
    ],
)
def test_a_full_memory_or_disk(usage: Usage, words: str) -> None:
    track = asked(True)
    track.used(usage, NOW)
    found = judged(track)
    assert outcome(found) == (DEGRADED, Illness.STARVED)
    assert found.details == words
    resources = check(found, CheckKind.RESOURCES)
    assert resources.verdict is DEGRADED
    assert resources.limit == 0.9
    assert isinstance(resources.value, float)
    assert resources.value >= 0.9


@pytest.mark.parametrize(
    ("usage", "status", "value"),
    [
        (None, UNKNOWN, None),
        (Usage(memory_bytes=5), UNKNOWN, None),
        (Usage(memory_bytes=5, memory_limit_bytes=0), UNKNOWN, None),
        (Usage(memory_bytes=5, memory_limit_bytes=10, disk_bytes=1), HEALTHY, 0.5),
    ],
)
def test_room_that_is_left_or_not_known(
    usage: Usage | None, status: HealthStatus, value: float | None
) -> None:
    track = asked(True)
    if usage is not None:
        track.used(usage, NOW)
    found = judged(track)
    assert outcome(found) == (HEALTHY, None)
    resources = check(found, CheckKind.RESOURCES)
    assert (resources.verdict, resources.value) == (status, value)


def test_the_share_of_the_cores_is_told() -> None:
    track = asked(True)
    track.used(Usage(memory_bytes=1, memory_limit_bytes=10, cpu_share=0.931), NOW)
    message = check(judged(track), CheckKind.RESOURCES).message
    assert message == "it has memory and disk to spare; 93 % of its cores"


def test_what_is_worse_is_told_first() -> None:
    track = asked(True, seconds=2.0)
    track.used(Usage(memory_bytes=10, memory_limit_bytes=10), NOW)
    assert judged(track).illness is Illness.SLOW
    track.answered(False, 1.0, "refused", later(50))
    assert outcome(judged(track)) == (DEGRADED, None)
    track.answered(False, 1.0, "refused", later(60))
    track.answered(False, 1.0, "refused", later(70))
    assert judged(track).illness is Illness.HUNG


def test_after_an_illness_it_has_to_answer_several_times() -> None:
    track = asked(False, False, False)
    seen = []
    for number in range(4):
        found = judged(track, successes=3)
        track.conclude(found, later(100 + number))
        seen.append(found.status)
        track.answered(True, 0.01, "200", later(200 + number))
    assert seen == [UNHEALTHY, DEGRADED, DEGRADED, HEALTHY]
    track.answered(False, 0.01, "refused", later(300))
    track.answered(True, 0.01, "200", later(301))
    assert judged(track, successes=3).status is HEALTHY


def test_without_a_probe_its_status_is_enough() -> None:
    track = asked(False, False, False)
    track.mending = True
    found = judged(track, probe=ProbeKind.NONE, successes=3)
    assert outcome(found) == (HEALTHY, None)
    assert check(found, CheckKind.RESPONDS).verdict is UNKNOWN
    assert check(found, CheckKind.RESPONDS).message == "it is never asked: its probe is none"
    track.used(Usage(disk_bytes=10, disk_limit_bytes=10), NOW)
    assert judged(track, probe=ProbeKind.NONE).illness is Illness.STARVED


@pytest.mark.parametrize(
    ("answers", "probe", "status"),
    [
        ((True,), ProbeKind.SERVER, HEALTHY),
        ((), ProbeKind.SERVER, UNKNOWN),
        ((True, False), ProbeKind.SERVER, DEGRADED),
        ((True, False, False, False), ProbeKind.SERVER, DEGRADED),
        ((), ProbeKind.NONE, UNKNOWN),
    ],
)
def test_one_list_that_lacks_it_is_no_proof_and_no_illness(
    answers: tuple[bool, ...], probe: ProbeKind, status: HealthStatus
) -> None:
    found = judged(asked(*answers), seen=Seen(present=False), probe=probe)
    assert outcome(found) == (status, None)
    assert check(found, CheckKind.EXISTS).verdict is DEGRADED
