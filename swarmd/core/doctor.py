"""What the doctor says about the facts that were gathered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swarmd.core.breaker import refusal_of, words_of
from swarmd.messages.alert import SinkInfo
from swarmd.messages.enums import BreakerState
from swarmd.messages.instance import Stray
from swarmd.messages.provider import ProviderInfo
from swarmd.messages.replies import ActorInfo, DoctorReport, Finding

OK, NOTE, WARNING, PROBLEM = "ok", "note", "warning", "problem"
_LOW_BYTES = 1 << 30
_LOW_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Disk:
    """A directory and the room left on its disk, in bytes; or why that is not known."""

    what: str
    path: str
    free: int
    total: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the doctor looked at."""

    providers: Sequence[ProviderInfo]
    actors: Sequence[ActorInfo]
    disks: Sequence[Disk]
    quarantined: Sequence[str]
    strays: Sequence[Stray]
    write_error: str | None
    insecure: bool
    endpoint_error: str | None = None
    sinks: Sequence[SinkInfo] = ()


def examine(facts: Facts) -> DoctorReport:
    """One finding for each thing looked at, the worst first."""
    findings = [
        *(_provider(info) for info in facts.providers),
        *(note for info in facts.providers for note in _notes(info)),
        *(_actor(info) for info in facts.actors if info.state != "running"),
        *(_disk(disk) for disk in facts.disks),
        *_quarantine(facts.quarantined),
        *(_stray(stray) for stray in facts.strays),
        *_writing(facts.write_error),
        *_insecure(insecure=facts.insecure),
        *_endpoint(facts.endpoint_error),
        *(finding for sink in facts.sinks for finding in _sink(sink)),
    ]
    order = {PROBLEM: 0, WARNING: 1, NOTE: 2, OK: 3}
    findings.sort(key=lambda finding: order[finding.level])
    return DoctorReport(findings=tuple(findings), strays=tuple(facts.strays))


def _provider(info: ProviderInfo) -> Finding:
    subject = f"provider {info.name}"
    if not info.enabled:
        return Finding(
            level=NOTE,
            subject=subject,
            message="disabled",
            next_step=f"Enable it: swarmctl providers enable {info.name}.",
        )
    refused = refusal_of(info.name, info.breaker)
    if not info.health.ok or refused is not None:
        return Finding(
            level=PROBLEM,
            subject=subject,
            message=_illness(info),
            next_step=refused.next_step
            if refused is not None
            else f"Look at it: swarmctl providers get {info.name}.",
        )
    message = info.health.message or "works"
    if info.cordoned:
        message += "; cordoned: takes no new instances"
    return Finding(level=OK, subject=subject, message=message)


def _illness(info: ProviderInfo) -> str:
    said = info.health.message or "does not answer"
    if info.breaker.state is BreakerState.CLOSED:
        return said
    said = info.breaker.last_error or said if info.health.ok else said
    return f"{said}; {words_of(info.breaker)}"


def _notes(info: ProviderInfo) -> list[Finding]:
    notes = info.capabilities.notes if info.capabilities else ()
    return [Finding(level=NOTE, subject=f"provider {info.name}", message=note) for note in notes]


def _actor(info: ActorInfo) -> Finding:
    provider = info.name.partition(":")[2]
    given_up = provider and info.state == "failed"
    step = f"Start it anew: swarmctl providers enable {provider}." if given_up else ""
    return Finding(
        level=PROBLEM,
        subject=f"actor {info.name}",
        message=f"{info.state}: {info.last_failure or 'does not answer'}",
        next_step=step or "Restart the daemon; instances keep running.",
    )


def _disk(disk: Disk) -> Finding:
    if disk.problem is not None:
        return Finding(
            level=PROBLEM,
            subject=f"disk of {disk.what}",
            message=f"{disk.path}: {disk.problem}",
            next_step="Make the directory, or name another in the configuration.",
        )
    free = f"{disk.free / (1 << 30):.1f} GiB of {disk.total / (1 << 30):.1f} GiB free"
    if disk.free < least_free(disk):
        return Finding(
            level=WARNING,
            subject=f"disk of {disk.what}",
            message=f"{free} ({disk.path})",
            next_step="Free some: swarmctl ls --trash shows what swarmctl rm --force removes.",
        )
    return Finding(level=OK, subject=f"disk of {disk.what}", message=f"{free} ({disk.path})")


def least_free(disk: Disk) -> int:
    """Bytes that should be free on a disk: 1 GiB, and 5 % of a large one."""
    return int(max(_LOW_BYTES, disk.total * _LOW_SHARE))


def _quarantine(files: Sequence[str]) -> list[Finding]:
    return [
        Finding(
            level=WARNING,
            subject="quarantine",
            message=line,
            next_step="Mend the file and put it back, or delete it.",
        )
        for line in files
    ]


def _stray(stray: Stray) -> Finding:
    name = f" ({stray.name})" if stray.name else ""
    return Finding(
        level=WARNING,
        subject=f"stray {stray.id}{name}",
        message=f"at {stray.provider}: {stray.reason}",
        next_step=f"Keep it: swarmctl doctor adopt {stray.id} {stray.provider}; or remove it with"
        f" its data: swarmctl doctor discard {stray.id} {stray.provider}.",
    )


def _writing(error: str | None) -> list[Finding]:
    if error is None:
        return [Finding(level=OK, subject="state", message="can be written")]
    return [
        Finding(
            level=PROBLEM,
            subject="state",
            message=error,
            next_step="Free disk space, or make the state directory writable again.",
        )
    ]


def _sink(sink: SinkInfo) -> list[Finding]:
    """How one that is told of alerts fares."""
    subject, findings = f"alerts to {sink.name}", []
    if sink.failing_since is not None:
        findings.append(
            Finding(
                level=PROBLEM,
                subject=subject,
                message=f"fails since {sink.failing_since:%Y-%m-%d %H:%M:%S} UTC,"
                f" {sink.waiting} waiting: {sink.error}",
                next_step=f"Mend it, or change {sink.name} in [alerting] and swarmctl reload.",
            )
        )
    else:
        findings.append(Finding(level=OK, subject=subject, message=f"{sink.where} takes them"))
    if sink.given_up:
        findings.append(
            Finding(
                level=WARNING,
                subject=subject,
                message=f"{sink.given_up} given up since the daemon's start; last: {sink.error}",
                next_step="Look at all of them: swarmctl alerts list --state resolved.",
            )
        )
    if sink.insecure:
        findings.append(
            Finding(
                level=WARNING,
                subject=subject,
                message=f"{sink.where} is sent alerts in the clear",
                next_step="Give it an https:// URL and take insecure = true away.",
            )
        )
    return findings


def _insecure(*, insecure: bool) -> list[Finding]:
    if not insecure:
        return []
    return [
        Finding(
            level=WARNING,
            subject="daemon.insecure",
            message="instances may be reached from outside without TLS",
            next_step="Set daemon.insecure = false and give the provider a certificate.",
        )
    ]


def _endpoint(error: str | None) -> list[Finding]:
    if error is None:
        return []
    return [
        Finding(
            level=PROBLEM,
            subject="metrics",
            message=error,
            next_step="Set telemetry.listen to an address and port that are free, then: "
            "swarmctl reload.",
        )
    ]
