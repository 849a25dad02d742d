"""The daemon's state and its reasons; what the doctor says of the facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from swarmd.core.condition import Condition, condition_of
from swarmd.core.doctor import NOTE, OK, PROBLEM, WARNING, Disk, Facts, examine
from swarmd.core.tables import Change, ProviderView
from swarmd.messages.alert import SinkInfo
from swarmd.messages.enums import BreakerState, DaemonState
from swarmd.messages.instance import Stray
from swarmd.messages.provider import BreakerInfo, ProviderHealth, ProviderInfo, ProviderRecord
from swarmd.messages.replies import ActorInfo
from tests.core.desk import LOCAL, tables_of
from tests.core.samples import NOW, caps, make_id, provider

ILL = ProviderView(ProviderHealth(ok=False, message="no server"))
MUTE = ProviderView(ProviderHealth(ok=False))


OPEN = BreakerInfo(
    state=BreakerState.OPEN, failures=5, opened_at=NOW, retry_at=NOW, last_error="no line"
)
LEFT_ALONE = (
    "its circuit breaker is open since 12:00:00 UTC after 5 failures; it is asked again at"
    " 12:00:00 UTC"
)


def actor(name: str, state: str, failure: str | None = None) -> ActorInfo:
    return ActorInfo(name=name, state=state, restarts=0, mailbox=0, last_failure=failure)


def condition(change: Change = Change(), **values: object) -> Condition:  # noqa: B008
    defaults: dict[str, object] = {
        "actors": (actor("registry", "running"), actor("ticker", "restarting")),
        "write_error": None,
        "fatal": None,
        "ending": False,
    }
    return condition_of(tables_of().apply(change), **defaults | values)  # type: ignore[arg-type]


OTHERS = (LOCAL, ProviderRecord(name="b", type="local"), ProviderRecord(name="a", type="local"))


@pytest.mark.parametrize(
    ("found", "state", "reasons"),
    [
        (condition(), DaemonState.READY, ()),
        (condition(fatal="no disk", ending=True), DaemonState.FAILED, ("no disk",)),
        (condition(ending=True), DaemonState.SHUTTING_DOWN, ()),
        (
            condition(Change(providers=OTHERS)),
            DaemonState.INITIALIZING,
            ("waits for provider a", "waits for provider b"),
        ),
        (
            condition(Change(providers=(ProviderRecord(name="x", type="local", enabled=False),))),
            DaemonState.READY,
            (),
        ),
        (
            condition(Change(views={"local": ILL})),
            DaemonState.DEGRADED,
            ("provider local: no server",),
        ),
        (
            condition(Change(views={"local": MUTE})),
            DaemonState.DEGRADED,
            ("provider local: does not answer",),
        ),
        (
            condition(Change(views={"local": ILL}, breakers={"local": OPEN})),
            DaemonState.DEGRADED,
            (f"provider local: no server; {LEFT_ALONE}",),
        ),
        (
            condition(Change(breakers={"local": OPEN})),
            DaemonState.DEGRADED,
            (f"provider local: no line; {LEFT_ALONE}",),
        ),
        (
            condition(actors=(actor("controller", "hung"), actor("ticker", "failed"))),
            DaemonState.DEGRADED,
            ("actor controller is hung", "actor ticker is failed"),
        ),
        (
            condition(write_error="disk full"),
            DaemonState.DEGRADED,
            ("the state cannot be written: disk full",),
        ),
        (
            condition(endpoint_error="the port is taken"),
            DaemonState.DEGRADED,
            ("metrics: the port is taken",),
        ),
    ],
)
def test_condition(found: Condition, state: DaemonState, reasons: tuple[str, ...]) -> None:
    assert found == Condition(state, reasons)


# --- the doctor -------------------------------------------------------------------------------

GIB = 1 << 30
KEEP_OR_REMOVE = (
    f"Keep it: swarmctl doctor adopt {make_id(7)} local; or remove it with"
    f" its data: swarmctl doctor discard {make_id(7)} local."
)
WELL = Facts(
    providers=(), actors=(), disks=(), quarantined=(), strays=(), write_error=None, insecure=False
)


OPS = SinkInfo(name="ops", where="https://a.example.org")


def down(sink: SinkInfo) -> SinkInfo:
    """The same, failing for a while."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    return msgspec.structs.replace(sink, waiting=3, failing_since=since, error="no answer")


def stray(name: str | None) -> Stray:
    return Stray(
        id=make_id(7),
        provider="local",
        name=name,
        owner=None,
        epoch=1,
        found_at=NOW,
        reason="no record explains it",
    )


@pytest.mark.parametrize(
    ("facts", "level", "subject", "message", "next_step"),
    [
        (WELL, OK, "state", "can be written", None),
        (replace(WELL, sinks=(OPS,)), OK, "alerts to ops", f"{OPS.where} takes them", None),
        (
            replace(WELL, sinks=(down(OPS),)),
            PROBLEM,
            "alerts to ops",
            "fails since 2026-01-01 00:00:00 UTC, 3 waiting: no answer",
            "Mend it, or change ops in [alerting] and swarmctl reload.",
        ),
        (
            replace(WELL, sinks=(msgspec.structs.replace(OPS, given_up=2, error="no answer"),)),
            WARNING,
            "alerts to ops",
            "2 given up since the daemon's start; last: no answer",
            "Look at all of them: swarmctl alerts list --state resolved.",
        ),
        (
            replace(WELL, sinks=(msgspec.structs.replace(OPS, insecure=True),)),
            WARNING,
            "alerts to ops",
            "https://a.example.org is sent alerts in the clear",
            "Give it an https:// URL and take insecure = true away.",
        ),
        (
            replace(WELL, write_error="no space left"),
            PROBLEM,
            "state",
            "no space left",
            "Free disk space, or make the state directory writable again.",
        ),
        (replace(WELL, providers=(provider(),)), OK, "provider local", "works", None),
        (
            replace(WELL, providers=(provider(cordoned=True),)),
            OK,
            "provider local",
            "works; cordoned: takes no new instances",
            None,
        ),
        (
            replace(WELL, providers=(provider(enabled=False),)),
            NOTE,
            "provider local",
            "disabled",
            "Enable it: swarmctl providers enable local.",
        ),
        (
            replace(WELL, providers=(provider(health=ProviderHealth(ok=False, message="ill")),)),
            PROBLEM,
            "provider local",
            "ill",
            "Look at it: swarmctl providers get local.",
        ),
        (
            replace(WELL, providers=(provider(health=ProviderHealth(ok=False)),)),
            PROBLEM,
            "provider local",
            "does not answer",
            "Look at it: swarmctl providers get local.",
        ),
        (
            replace(WELL, providers=(provider(capabilities=caps(notes=("no cgroups",))),)),
            NOTE,
            "provider local",
            "no cgroups",
            None,
        ),
        (
            replace(WELL, actors=(actor("ticker", "hung"), actor("registry", "running"))),
            PROBLEM,
            "actor ticker",
            "hung: does not answer",
            "Restart the daemon; instances keep running.",
        ),
        (
            replace(WELL, actors=(actor("ticker", "failed", "KeyError"),)),
            PROBLEM,
            "actor ticker",
            "failed: KeyError",
            "Restart the daemon; instances keep running.",
        ),
        (
            replace(WELL, actors=(actor("health:box1", "failed", "KeyError"),)),
            PROBLEM,
            "actor health:box1",
            "failed: KeyError",
            "Start it anew: swarmctl providers enable box1.",
        ),
        (
            replace(WELL, disks=(Disk("state", "/s", GIB - 1, 8 * GIB),)),
            WARNING,
            "disk of state",
            "1.0 GiB of 8.0 GiB free (/s)",
            "Free some: swarmctl ls --trash shows what swarmctl rm --force removes.",
        ),
        (
            replace(WELL, disks=(Disk("data", "/d", 2 * GIB, 100 * GIB),)),
            WARNING,
            "disk of data",
            "2.0 GiB of 100.0 GiB free (/d)",
            "Free some: swarmctl ls --trash shows what swarmctl rm --force removes.",
        ),
        (
            replace(WELL, disks=(Disk("data", "/d", 5 * GIB, 100 * GIB),)),
            OK,
            "disk of data",
            "5.0 GiB of 100.0 GiB free (/d)",
            None,
        ),
        (
            replace(WELL, disks=(Disk("data", "/d", 0, 0, "no such directory"),)),
            PROBLEM,
            "disk of data",
            "/d: no such directory",
            "Make the directory, or name another in the configuration.",
        ),
        (
            replace(WELL, quarantined=("x.json: torn",)),
            WARNING,
            "quarantine",
            "x.json: torn",
            "Mend the file and put it back, or delete it.",
        ),
        (
            replace(WELL, strays=(stray("web"),)),
            WARNING,
            f"stray {make_id(7)} (web)",
            "at local: no record explains it",
            KEEP_OR_REMOVE,
        ),
        (
            replace(WELL, insecure=True),
            WARNING,
            "daemon.insecure",
            "instances may be reached from outside without TLS",
            "Set daemon.insecure = false and give the provider a certificate.",
        ),
    ],
)
def test_a_finding(
    facts: Facts, level: str, subject: str, message: str, next_step: str | None
) -> None:
    report = examine(facts)
    found = [each for each in report.findings if (each.subject, each.message) == (subject, message)]
    assert [(each.level, each.next_step) for each in found] == [(level, next_step)]


def test_the_worst_comes_first_and_strays_are_listed() -> None:
    report = examine(
        replace(
            WELL,
            providers=(provider(enabled=False),),
            actors=(actor("ticker", "failed"),),
            strays=(stray(None),),
        )
    )
    assert [each.level for each in report.findings] == [PROBLEM, WARNING, NOTE, OK]
    assert report.findings[1].subject == f"stray {make_id(7)}"
    assert report.strays == (stray(None),)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (provider(breaker=OPEN), "no line"),
        (provider(breaker=OPEN, health=ILL.health), "no server"),
    ],
)
def test_a_provider_that_is_left_alone(info: ProviderInfo, words: str) -> None:
    (found,) = (
        each for each in examine(replace(WELL, providers=(info,))).findings
        if each.subject == "provider local" and each.level == PROBLEM
    )  # fmt: skip
    assert found.message == f"{words}; {LEFT_ALONE}"
    assert "swarmctl providers enable local" in (found.next_step or "")
