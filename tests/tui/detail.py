"""What the daemon tells of single instances, for the tests of their view and of the forms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

import msgspec

from swarmd.errors import ResourceLimitError
from swarmd.messages.enums import (
    DesiredState,
    HealthStatus,
    InstanceStatus,
    OperationKind,
    OperationState,
)
from swarmd.messages.health import Check, CheckKind, HealthPoint, Illness, InstanceHealth
from swarmd.messages.instance import (
    Failure,
    Instance,
    InstanceConfig,
    InstanceStats,
    Network,
    PortSpec,
    Reason,
    Resources,
)
from swarmd.messages.operation import Progress
from swarmd.messages.replies import (
    Placement,
    RankedProvider,
    RefusedProvider,
    StatsList,
    Story,
)
from swarmd.messages.requests import (
    GetInstance,
    HealthInstance,
    LogsInstance,
    PlacementProvider,
    Request,
    StatsInstance,
    WhyInstance,
)
from swarmd.messages.secret import Location
from swarmd.messages.units import Size
from swarmd.messages.wire import Chunk
from tests.tui import scene
from tests.tui.fake import Answer, FakeDaemon
from tui.navigation import Place

CONFIG = InstanceConfig(
    name="web",
    workspace=Location("https://ana:pw@example.org/course.git"),
    resources=Resources(cpu=2.0, memory=Size.parse("2g")),
    network=Network(ports=(PortSpec(container_port=3000), PortSpec(container_port=5432))),
    labels={"course": "VS Code", "team": "red"},
    env={"LANG": "en_GB.UTF-8"},
    extensions=("ms-python.python", "golang.go@0.41.0"),
    protect=True,
)
WEB = scene.instance("web", number=1, config=CONFIG, restart_required=("env",))
DOCS = scene.instance(
    "docs",
    number=2,
    status=InstanceStatus.ERROR,
    health=HealthStatus.UNHEALTHY,
    url=None,
    last_error=Failure(
        type="provider_error",
        message="the server ended with status 3 after 2 s: address already in use (port 21002)",
        details={"next_step": "Free the port, or let another one be chosen; then s starts it."},
    ),
)


def history(count: int = 240) -> Iterator[HealthPoint]:
    """Twenty minutes: well, then slow, then ill, recovered, and well again."""
    for n in range(count):
        at = scene.ago((count - n) * 5)
        seconds: float | None = 0.012 + 0.006 * math.sin(n / 7) + 0.002 * (n % 3)
        status, words = HealthStatus.HEALTHY, ""
        if 100 <= n < 130:
            status, words = HealthStatus.DEGRADED, "it answered slowly"
            seconds = 0.012 + 0.004 * (n - 100)
        elif 130 <= n < 140:
            status, seconds = HealthStatus.UNHEALTHY, None
            words = "no answer within 5 s: connection refused"
        elif 140 <= n < 146:
            status, seconds, words = HealthStatus.RECOVERING, None, "it is restarted"
        yield HealthPoint(at=at, status=status, seconds=seconds, message=words)


def well(instance: Instance) -> InstanceHealth:
    """All four checks are well."""
    return InstanceHealth(
        id=instance.id,
        ref=instance.ref,
        status=HealthStatus.HEALTHY,
        last_checked=scene.ago(4),
        since=scene.ago(470),
        details="it answers within 14 ms, and has room",
        checks=(
            Check(kind=CheckKind.EXISTS, verdict=HealthStatus.HEALTHY,
                  message="its provider has it"),
            Check(kind=CheckKind.STATUS, verdict=HealthStatus.HEALTHY, value="running",
                  limit="running", message="it is running, as it is to be"),
            Check(kind=CheckKind.RESPONDS, verdict=HealthStatus.HEALTHY, value=0.0142, limit=1.0,
                  seconds=0.0139, message="95 % of its answers came within 14 ms"),
            Check(kind=CheckKind.RESOURCES, verdict=HealthStatus.HEALTHY, value=0.61, limit=0.9,
                  message="61 % of its memory; 12 % of its cores"),
        ),
        history=tuple(history()),
    )  # fmt: skip


def ill(instance: Instance) -> InstanceHealth:
    """It does not answer."""
    return InstanceHealth(
        id=instance.id,
        ref=instance.ref,
        status=HealthStatus.UNHEALTHY,
        last_checked=scene.ago(4),
        since=scene.ago(65),
        details="its status is error, and it is to be running",
        illness=Illness.EXITED,
        failures=7,
        checks=(
            Check(kind=CheckKind.EXISTS, verdict=HealthStatus.HEALTHY,
                  message="its provider has it"),
            Check(kind=CheckKind.STATUS, verdict=HealthStatus.UNHEALTHY, value="error",
                  limit="running", message="its status is error, and it is to be running"),
            Check(kind=CheckKind.RESPONDS, verdict=HealthStatus.UNKNOWN,
                  message="it is not asked: it does not run"),
            Check(kind=CheckKind.RESOURCES, verdict=HealthStatus.UNKNOWN,
                  message="nothing is known of it"),
        ),
        history=tuple(history(140)),
    )  # fmt: skip


STORY = (
    Reason(at=scene.ago(90000), what="create", why="asked for by ana", by="ana"),
    Reason(at=scene.ago(89990), what="creating → running", why="it answered after 3.1 s", by="ana"),
    Reason(at=scene.ago(7300), what="running → error", by="reconcile",
           why="its process ended with status 137: it took more memory than its limit of 2g, and "
           "the kernel ended it"),
    Reason(at=scene.ago(7290), what="restart", by="recovery", why="out of memory; attempt 1 of 3"),
    Reason(at=scene.ago(7200), what="recovering → running", by="recovery", why="it answers again"),
    Reason(at=scene.ago(60), what="update", by="ana", why="env; waits for a restart"),
)  # fmt: skip

PLACEMENT = Placement(
    chosen="local",
    strategy="balanced",
    ranked=(
        RankedProvider(provider="local", score=0.82, parts={"memory": 0.9, "cpu": 0.74}),
        RankedProvider(
            provider="box1", score=0.41, parts={"memory": 0.5, "cpu": 0.32}, note="full"
        ),
    ),
    refused=(
        RefusedProvider(
            provider="box2",
            reason="image has no effect at provider box2",
            field="config.image",
        ),
    ),
)


def placed(request: PlacementProvider) -> Placement | ResourceLimitError:
    """Where it would be made; what is too large nowhere."""
    if (request.config.resources.memory or 0) > 1 << 40:
        return ResourceLimitError(
            "no provider takes it: memory 9t: provider local gives one instance at most 32g; "
            "memory 9t: provider box1 gives one instance at most 16g",
            field="config.resources.memory",
            next_step="Ask for at most 32g.",
        )
    return PLACEMENT


def stats(instance_id: str, number: int = 1) -> InstanceStats:
    """The n-th measurement."""
    return InstanceStats(
        id=instance_id,
        cpu_seconds=100 + number * 0.7,
        memory_bytes=1_610_612_736,
        memory_limit_bytes=2 << 30,
        pids=41,
        disk_bytes=9 << 30,
        disk_limit_bytes=10 << 30,
        taken_at=scene.NOW + timedelta(seconds=number),
    )


def log_lines(count: int = 40) -> list[str]:
    """What a server writes; one line is long, one in colours."""
    lines = [
        f"[12:00:{n % 60:02d}] info  request {n} /static/out/vs/code.js 200" for n in range(count)
    ]
    lines[-8] = (
        "[12:00:32] " + "\x1b[31merror\x1b[0m " + "the extension host ended unexpectedly " * 5
    )
    return lines


def chunks(lines: list[str]) -> Iterator[Chunk]:
    """The same as a stream has it."""
    for text in lines:
        yield Chunk(stream="s1", seq=0, data=f"{text}\n")


def busy(daemon: FakeDaemon) -> FakeDaemon:
    """The fake daemon, answering whatever is asked of an instance."""
    daemon.instances |= {each.id: each for each in (WEB, DOCS)}
    capable = msgspec.structs.replace(
        scene.CAPABILITIES,
        config_fields=("name", "resources", "labels", "env", "extensions", "network"),
        live_fields=("resources",),
    )
    daemon.providers["local"] = scene.provider("local", capabilities=capable)
    for op in (
        scene.operation(1, OperationKind.CREATE, WEB, state=OperationState.SUCCEEDED,
                        started_at=scene.ago(90000), ended_at=scene.ago(89990)),
        scene.operation(2, OperationKind.START, DOCS, state=OperationState.FAILED,
                        started_at=scene.ago(90), ended_at=scene.ago(65),
                        error=DOCS.last_error),
        scene.operation(3, OperationKind.START, scene.a_class()[5],
                        progress=Progress(message="waiting until it answers", fraction=0.6)),
    ):  # fmt: skip
        daemon.operations[op.id] = op
    counted, measured = iter(range(1, 1000)), daemon.answers[StatsInstance]
    answers: dict[type[Request], Answer] = {
        GetInstance: lambda request: daemon.instances[request.id],
        HealthInstance: lambda request: (ill if request.id == DOCS.id else well)(
            daemon.instances[request.id]
        ),
        WhyInstance: lambda request: Story(id=request.id, ref="ana/web", items=STORY),
        StatsInstance: lambda request: (
            measured(request)
            if request.measured
            else StatsList(items=(stats(request.id[0], next(counted)),))
        ),
        PlacementProvider: placed,
    }
    daemon.answers |= answers
    daemon.streams[LogsInstance] = lambda _: chunks(log_lines())
    return daemon


def at(instance: Instance) -> Place:
    """Where it is shown."""
    return Place("instance", instance.id, instance.ref)


STOPPED = scene.a_class()[4]
assert STOPPED.desired is DesiredState.STOPPED
