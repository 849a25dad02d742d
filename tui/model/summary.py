"""The daemon in a few lines of counts, and what to do next. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from swarmd.messages.enums import InstanceStatus
from swarmd.messages.operation import Operation
from tui.model.snapshot import Snapshot
from tui.model.text import Line
from tui.model.trouble import Kind, Trouble
from tui.model.words import HEALTH_TONES, since, tone_of_status

_LABEL = 12


def verdict(found: Sequence[Trouble], snapshot: Snapshot) -> Line:
    """One line: whether all is well."""
    if not snapshot.link.online and snapshot.status is None and not found:
        return (("… ", "busy"), ("Connecting to the daemon.", "busy"))
    bad = sum(each.kind < Kind.NOTE for each in found)
    if bad:
        words = "One thing needs you." if bad == 1 else f"{bad} things need you, the first first."
        return (("✗ ", "bad"), (words, "bad"))
    if found:
        return (("! ", "warn"), ("All runs; something is worth a look.", "warn"))
    return (("✓ ", "good"), ("All is well.", "good"))


def counts(snapshot: Snapshot, now: datetime) -> Iterator[Line]:
    """Instances by status and health, providers, operations, the daemon.

    Args:
        snapshot: What is known.
        now: The time, UTC.
    """
    if snapshot.status is None:
        return  # nothing was told yet: no figure would be true
    rows = snapshot.instances.values()
    by_status = Counter(str(row.status) for row in rows)
    running = [row for row in rows if row.status is InstanceStatus.RUNNING]
    by_health = Counter(str(row.health) for row in running)
    more = "" if snapshot.loaded else " so far"
    total = [(f"{len(rows)}{more}  ", "title")]
    yield _row("Instances", total + _parts(by_status, _STATUS_TONES))
    if by_health:
        of = (" of those that run", "dim")
        yield _row("Health", [*_parts(by_health, HEALTH_TONES), of])
    yield _row("Providers", list(_providers(snapshot)))
    yield _row("Operations", list(_operations(snapshot.operations.values())))
    yield _row("Daemon", list(_daemon(snapshot, now)))


_STATUS_TONES = {str(status): tone_of_status(status) for status in InstanceStatus}


def _row(label: str, pieces: Iterable[tuple[str, str]]) -> Line:
    return ((label.ljust(_LABEL), "dim"), *pieces)


def _parts(counted: Counter[str], tones: Mapping[str, str]) -> list[tuple[str, str]]:
    """``3 running · 1 stopped``, in the order of the words' own list."""
    pieces: list[tuple[str, str]] = []
    for word in tones:
        if counted[word]:
            pieces.append((" · " if pieces else "", "dim"))
            pieces.append((f"{counted[word]} {word}", tones[word]))
    return pieces


def _providers(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    providers = [each for each in snapshot.providers.values() if each.enabled]
    if not providers:
        yield "none is enabled", "warn"
        return
    well = sum(each.health.ok for each in providers)
    yield f"{well} of {len(providers)} well", "good" if well == len(providers) else "bad"
    for each in providers:
        most = each.capabilities.max_instances if each.capabilities is not None else 0
        room = f"/{most}" if most else ""
        cordoned = " (cordoned)" if each.cordoned else ""
        yield f" · {each.name} {each.instances}{room}{cordoned}", "" if each.health.ok else "bad"


def _operations(operations: Iterable[Operation]) -> Iterator[tuple[str, str]]:
    under_way = [each for each in operations if not each.state.ended]
    if not under_way:
        yield "none under way", ""
        return
    yield f"{len(under_way)} under way", "busy"
    for each in under_way[:2]:
        done = "" if each.progress.fraction is None else f" {each.progress.fraction:.0%}"
        yield f" · {each.kind} {each.target_ref}{done}", ""


def _daemon(snapshot: Snapshot, now: datetime) -> Iterator[tuple[str, str]]:
    status = snapshot.status
    if status is None:
        yield "not heard of yet", "dim"
        return
    if not snapshot.link.online:
        yield "no connection", "bad"
        yield " · what is shown is how it was", "dim"
        return
    tone = "good" if status.state == "ready" else "warn"
    yield str(status.state).replace("_", " "), tone
    yield f" · swarmd {status.version} · up {since(status.started_at, now)}", ""


def next_steps(snapshot: Snapshot) -> Line:
    """What one can do from here."""
    if snapshot.status is None:
        again = "It is tried again by itself; " if snapshot.link.attempt else ""
        return ((again, "dim"), ("ctrl+r", "title"), (" tries now", "dim"))
    if snapshot.link.online and snapshot.loaded and not snapshot.instances:
        return (
            ("Nothing runs here yet: ", ""),
            ("press c to create your first instance", "title"),
            (".", ""),
        )
    return (
        ("2", "title"),
        (" all instances   ", "dim"),
        ("c", "title"),
        (" create one   ", "dim"),
        ("5", "title"),
        (" what happens   ", "dim"),
        ("?", "title"),
        (" all keys", "dim"),
    )
