"""The daemon itself, in lines: its state, its store, what its doctor found. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from swarmd.messages.enums import DaemonState
from swarmd.messages.replies import DoctorReport, Finding, ReloadReport, StatusReport
from tui.model.snapshot import Link
from tui.model.text import BLANK, Line, facts, folded, line, titled
from tui.model.words import clock, since

_TONES = {
    DaemonState.READY: "good",
    DaemonState.DEGRADED: "warn",
    DaemonState.FAILED: "bad",
}
_MARKS = {
    "problem": ("✗", "bad"),
    "warning": ("!", "warn"),
    "note": ("·", "dim"),
    "ok": ("✓", "good"),
}


_DISK: Final = "disk of "


def disks_of(report: DoctorReport) -> tuple[Finding, ...]:
    """What the doctor tells of the disks: where the state and the data lie, and the room there."""
    return tuple(each for each in report.findings if each.subject.startswith(_DISK))


def about(
    status: StatusReport | None,
    link: Link,
    socket: str,
    disks: Sequence[Finding] = (),
    *,
    now: datetime,
    width: int,
) -> Iterator[Line]:
    """State and reasons, version and age, socket and store.

    Args:
        status: What the daemon told last.
        link: The connection.
        socket: Where it listens.
        disks: What the doctor told of them.
        now: The time, UTC.
        width: Cells of a line.
    """
    if not link.online:
        yield line(f"{link.message or 'connecting'}", "warn")
        if link.next_step:
            yield from facts([("do", link.next_step, "")], width)
    if status is None:
        return
    pairs = [("state", str(status.state).replace("_", " "), _TONES.get(status.state, "busy"))]
    pairs += [("because", reason, "warn") for reason in status.reasons]
    begun = f"{since(status.started_at, now)} (since {clock(status.started_at)})"
    pairs += [
        ("version", f"swarmd {status.version}, node {status.node}", ""),
        ("up", f"{begun}, pid {status.pid}", ""),
        ("socket", socket or "-", ""),
        ("journal", f"{status.journal}, event {status.last_seq}", ""),
        *(_disk(each) for each in disks),
        ("under way", f"{status.operations_running} operations", ""),
        ("quarantine", _count(status.quarantined, "file"), "warn" if status.quarantined else ""),
        ("strays", _count(status.strays, "stray"), "warn" if status.strays else ""),
    ]
    yield from facts(pairs, width)


def _disk(finding: Finding) -> tuple[str, str, str]:
    what = finding.subject.removeprefix(_DISK)
    tone = "" if finding.level == "ok" else _MARKS.get(finding.level, ("", ""))[1]
    return "disk", f"{what}: {finding.message}", tone


def _count(count: int, noun: str) -> str:
    if not count:
        return "none"
    return f"{count} {noun}{'' if count == 1 else 's'}: f asks the doctor"


def findings(report: DoctorReport, width: int) -> Iterator[Line]:
    """What the doctor found, the worst first."""
    for each in report.findings:
        mark, tone = _MARKS.get(each.level, ("·", ""))
        words = list(folded(f"{each.subject}: {each.message}", width - 2))
        for number, part in enumerate(words):
            yield (
                (f"{mark} " if number == 0 else "  ", tone),
                (part, tone if tone == "bad" else ""),
            )
        for part in folded(f"→ {each.next_step}", width - 4) if each.next_step else ():
            yield line(f"    {part}", "dim")
    if report.strays:
        yield BLANK
        yield titled("Strays")
        for stray in report.strays:
            who = (
                f"{stray.owner or '?'}/{stray.name or stray.id} at {stray.provider}: {stray.reason}"
            )
            for part in folded(who, width):
                yield line(part)
        yield line("Adopt or discard: swarmctl doctor adopt, swarmctl doctor discard.", "dim")


def reloaded(report: ReloadReport, width: int) -> Iterator[Line]:
    """What a reload of the configuration changed."""
    if not report.applied and not report.restart_required:
        yield line("Nothing in it is different.", "good")
    for key in report.applied:
        yield from facts([("applied", key, "good")], width)
    for key in report.restart_required:
        yield from facts([("restart", key, "warn")], width)
    if report.restart_required:
        yield BLANK
        yield line("What needs a restart holds once the daemon was started anew.", "dim")
