"""How full a provider is, and how it does: bars and words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from swarmd.messages.enums import BreakerState
from swarmd.messages.provider import BreakerInfo, Capabilities, ProviderInfo
from tui.model.bars import bar
from tui.model.text import BLANK, Line, facts, line, titled
from tui.model.words import duration, since, size, span

_SECRET: Final = ("password", "token", "secret", "credential", "key")


def tone_of_share(part: float | None, whole: float | None) -> str:
    """The colour of how full something is."""
    if part is None or not whole:
        return "dim"
    share = part / whole
    return "bad" if share >= 0.95 else "warn" if share >= 0.8 else "good"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the instances of one provider were made with; what nobody asked for is not in it."""

    cores: float = 0.0
    memory: int = 0
    storage: int = 0


def asked_of(items: Iterable[Mapping[str, Any]]) -> dict[str, Asked]:
    """What is asked of each provider.

    Args:
        items: Items of ``instance.list`` with ``provider`` and ``config.resources``.
    """
    sums: dict[str, Asked] = {}
    for item in items:
        name, of = item.get("provider"), item.get("config.resources") or {}
        if not isinstance(name, str):
            continue
        before = sums.get(name, Asked())
        sums[name] = Asked(
            before.cores + _number(of.get("cpu")),
            before.memory + _bytes(of.get("memory")),
            before.storage + _bytes(of.get("storage")),
        )
    return sums


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _bytes(value: object) -> int:
    """A size as the wire has it: a number of bytes, or text with a unit."""
    if isinstance(value, int | float):
        return int(value)
    if not isinstance(value, str):
        return 0
    units = {"k": 10, "m": 20, "g": 30, "t": 40}
    text = value.strip().lower().removesuffix("ib").removesuffix("b")
    power = units.get(text[-1:], 0)
    try:
        return int(float(text.rstrip("kmgt")) * (1 << power))
    except ValueError:
        return 0


def state_of(info: ProviderInfo) -> tuple[str, str]:
    """One or two words for how a provider is, and their tone.

    Its breaker is told if it is not closed: then nothing but looks is sent there.
    """
    if not info.enabled:
        return "disabled", "dim"
    if info.breaker.state is BreakerState.OPEN:
        return "open", "bad"
    if not info.health.ok:
        return "down", "bad"
    if info.breaker.state is BreakerState.HALF_OPEN:
        return "half open", "warn"
    return ("cordoned", "warn") if info.cordoned else ("up", "good")


def most_of(info: ProviderInfo) -> int:
    """How many instances it takes; 0: without a limit, or not known."""
    return info.capabilities.max_instances if info.capabilities is not None else 0


def cores_of(info: ProviderInfo) -> float | None:
    """Its cores, if it has told."""
    return info.capabilities.max_resources_per_instance.cpu.cores if info.capabilities else None


def memory_of(info: ProviderInfo) -> int | None:
    """Its memory in bytes, if it has told."""
    return info.capabilities.max_resources_per_instance.memory.max if info.capabilities else None


def room(info: ProviderInfo, width: int) -> str:
    """``███··· 3/10``."""
    most = most_of(info)
    if not most:
        return f"{info.instances}, {'limit unknown' if info.capabilities is None else 'no limit'}"
    return f"{bar(info.instances, most, width)} {info.instances}/{most}"


def details(
    info: ProviderInfo, asked: Asked | None, *, now: datetime, width: int
) -> Iterator[Line]:
    """Everything that is known of a provider.

    Args:
        info: It.
        asked: What is asked of it; None: not heard of yet.
        now: The time, UTC.
        width: Cells of a line.
    """
    word, tone = state_of(info)
    yield ((f"{info.name} ", "title"), (f"{info.type}  ", "dim"), (word, tone))
    if info.health.message:
        yield from facts([("says", info.health.message, "" if info.health.ok else "bad")], width)
    if not info.health.ok and info.health.next_step:
        yield from facts([("do", info.health.next_step, "")], width)
    yield from facts(list(_breaker(info.breaker, now)), width)
    yield BLANK
    yield from _shares(info, asked)
    yield BLANK
    yield from facts(list(_record(info, now)), width)
    if info.capabilities is not None:
        yield from _capabilities(info.capabilities, width)
    if info.options:
        yield BLANK
        yield titled("Options")
        yield from facts(
            [(key, _option(key, value), "") for key, value in info.options.items()], width, 20
        )


def _shares(info: ProviderInfo, asked: Asked | None) -> Iterator[Line]:
    """A bar for each thing that it has only so much of."""
    for name, part, whole, spell in (
        ("instances", info.instances, most_of(info), _count),
        ("cores", None if asked is None else asked.cores, cores_of(info), _count),
        ("memory", None if asked is None else asked.memory, memory_of(info), size),
    ):
        shown = f"{spell(part)} of {spell(whole)}" if whole else f"{spell(part)}, no limit"
        asked_for = "" if name == "instances" else " asked for"
        yield (
            (f"{name:<12}", "dim"),
            (bar(part, whole, 24), tone_of_share(part, whole)),
            (f" {shown}{asked_for}", ""),
        )


def _breaker(breaker: BreakerInfo, now: datetime) -> Iterator[tuple[str, str, str]]:
    """What it has against the provider, and when that is asked again."""
    if breaker.state is BreakerState.CLOSED and not breaker.failures:
        return
    tone = "bad" if breaker.state is BreakerState.OPEN else "warn"
    state = str(breaker.state).replace("_", " ")
    told = f"{state}, {breaker.failures} failures"
    if breaker.opened_at is not None and breaker.state is not BreakerState.CLOSED:
        told += f", since {since(breaker.opened_at, now)}"
    if breaker.retry_at is not None and breaker.retry_at > now:
        told += f"; asked again in {span((breaker.retry_at - now).total_seconds())}"
    yield "breaker", told, tone
    if breaker.last_error:
        yield "", breaker.last_error, "dim"


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _record(info: ProviderInfo, now: datetime) -> Iterator[tuple[str, str, str]]:
    yield "version", info.health.version or "-", ""
    yield (
        "looked at",
        f"{since(info.health.checked_at, now)} ago" if info.health.checked_at else "-",
        "",
    )
    yield "latency", duration(info.health.latency), ""
    yield "region", info.region or "-", ""
    yield "labels", ", ".join(f"{k}={v}" for k, v in sorted(info.labels.items())) or "-", ""
    yield "priority", f"{info.priority:g}", ""
    cost = info.cost_per_hour
    yield "cost/h", "-" if cost is None else f"{cost:g}", ""
    yield "comes from", "registered at run time" if info.registered else "the configuration", ""


def _capabilities(can: Capabilities, width: int) -> Iterator[Line]:
    yield BLANK
    yield titled("What it can do")
    words = [word for word, has in (
        ("exec", can.exec), ("logs", can.logs), ("export", can.export), ("tls", can.tls),
        ("live resize", can.supports_live_resize), ("snapshots", can.supports_snapshotting),
    ) if has]  # fmt: skip
    yield from facts(
        [
            ("isolation", str(can.isolation), ""),
            ("enforces", ", ".join(can.limits_enforced) or "no limit", ""),
            ("can", ", ".join(words) or "-", ""),
            ("per owner", str(can.max_instances_per_user or "no limit"), ""),
            ("live", ", ".join(can.live_fields) or "-", ""),
        ],
        width,
    )
    for note in can.notes:
        yield from facts([("note", note, "warn")], width)


def _option(key: str, value: object) -> str:
    """Options never hold a secret; what is called like one is not shown all the same."""
    if any(word in key.lower() for word in _SECRET):
        return "***"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def unknown(name: str) -> Iterator[Line]:
    """A provider that is gone."""
    yield line(f"There is no provider {name} any more.", "warn")
