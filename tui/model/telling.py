"""The story of an instance, and what it uses, as lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from swarmd.messages.instance import InstanceStats, Reason
from tui.model.bars import bar
from tui.model.text import BLANK, Line, folded, line, titled
from tui.model.words import clock, size

_BAR = 30


def story(items: Sequence[Reason], *, width: int) -> Iterator[Line]:
    """When, what, why and on whose wish, newest last; a new day has a line of its own.

    Args:
        items: Oldest first.
        width: Cells of a line.
    """
    day = None
    for each in items:
        if (date := f"{each.at.astimezone():%A, %d %B %Y}") != day:
            day = date
            yield titled(day)
        yield ((f"{clock(each.at)}  ", "dim"), *line(each.what), (f"  {each.by}", "busy"))
        for part in folded(each.why, width - 10) if each.why else ():
            yield line(f"{'':10}{part}", "dim")


def use(samples: Sequence[InstanceStats], cores: float | None) -> Iterator[Line]:
    """CPU, memory, processes and disk, with a bar where there is a limit.

    Args:
        samples: What was measured, oldest first; the last two tell how busy it is.
        cores: What it may have, if that is known.
    """
    if not samples:
        yield line("It does not run: it uses nothing but disk.", "dim")
        return
    last = samples[-1]
    yield titled("Uses now")
    busy = busy_cores(samples)
    yield _measure("cpu", busy, cores, _cores)
    yield _measure("memory", last.memory_bytes, last.memory_limit_bytes, size)
    yield _measure("disk", last.disk_bytes, last.disk_limit_bytes, size)
    yield _measure("processes", last.pids, None, lambda n: "-" if n is None else f"{n:.0f}")
    yield BLANK
    seconds = "-" if last.cpu_seconds is None else f"{last.cpu_seconds:.1f} s"
    yield line(
        f"{seconds} of processor time since its start; measured at {clock(last.taken_at)}", "dim"
    )
    yield line("a measures again.", "dim")
    if len(samples) > 1:
        yield BLANK
        yield titled("Lately")
        yield ((f"{'AT':<10}{'CPU':>12}{'MEMORY':>10}{'DISK':>10}{'PROCESSES':>11}", "dim"),)
        pairs = zip((samples[0], *samples), samples, strict=False)
        for before, each in list(pairs)[::-1]:
            rate = busy_cores((before, each)) if before is not each else None
            pids = "-" if each.pids is None else str(each.pids)
            yield line(
                f"{clock(each.taken_at):<10}{_cores(rate):>12}{size(each.memory_bytes):>10}"
                f"{size(each.disk_bytes):>10}{pids:>11}"
            )


def busy_cores(samples: Sequence[InstanceStats]) -> float | None:
    """Cores that were busy between the last two samples; None: nobody can tell."""
    if len(samples) < 2:
        return None
    one, other = samples[-2:]
    seconds = (other.taken_at - one.taken_at).total_seconds()
    if one.cpu_seconds is None or other.cpu_seconds is None or seconds <= 0:
        return None
    # A new start counts from nothing again.
    return max(0.0, other.cpu_seconds - one.cpu_seconds) / seconds


def _cores(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} cores"


def _measure(
    name: str, value: float | None, limit: float | None, spell: Callable[[float | None], str]
) -> Line:
    shown = f"{spell(value):>12}"
    if value is None or not limit:
        return ((f"{name:<12}", "dim"), (shown, "" if value is not None else "dim"))
    share = value / limit
    tone = "bad" if share >= 0.9 else "warn" if share >= 0.75 else "good"
    return (
        (f"{name:<12}", "dim"),
        (shown, ""),
        (f"  {bar(value, limit, _BAR)} ", tone),
        (f"{share:4.0%} of {spell(limit)}", ""),
    )
