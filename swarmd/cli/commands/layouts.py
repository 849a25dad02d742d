"""The tables, written by hand; everything else derives from the Structs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from swarmd.cli.grid import Column, Row, column
from swarmd.cli.output import dumps
from swarmd.cli.text import age, clock, dash, left, pairs, safe, size, took, yes


def _ref(row: Row) -> str:
    return f"{safe(row['owner'])}/{safe(row['name'])}"


def _config(row: Row, key: str) -> Any:
    return (row.get("config") or {}).get(key)


def _resources(row: Row) -> str:
    given = _config(row, "resources") or {}
    return " ".join(f"{key}={value}" for key, value in given.items() if value is not None) or "-"


def _idle(row: Row, key: str) -> Any:
    return (row.get("idle") or {}).get(key)


def next_step(row: Row) -> str:
    """What will be done about an instance by itself, and when: ``stop in 12m``."""
    step, kept = _idle(row, "next_step"), row.get("keep_until")
    if step is not None:
        return f"{step} in {left(_idle(row, 'next_at')) or '0s'}"
    return f"kept for {kept_for}" if (kept_for := left(kept)) else "-"


INSTANCES = (
    Column("NAME", _ref),
    column("STATUS", coloured=True, fixed=True),
    column("HEALTH", coloured=True),
    column("PROVIDER"),
    Column("AGE", lambda row: age(row.get("created_at")), fixed=True),
    column("URL"),
    column("ID", wide=True),
    column("DESIRED", wide=True, coloured=True),
    Column("RESOURCES", _resources, wide=True),
    Column("LABELS", lambda row: pairs(_config(row, "labels")), wide=True),
    Column("IDLE", lambda row: age(_idle(row, "last_used")), wide=True),
    Column("NEXT", next_step, wide=True),
    column("NODE", wide=True),
    Column("ERROR", lambda row: dash((row.get("last_error") or {}).get("message")), wide=True),
)

OPERATIONS = (
    column("ID", fixed=True),
    column("KIND", fixed=True),
    column("TARGET", "target_ref"),
    column("STATE", coloured=True, fixed=True),
    Column("AGE", lambda row: age(row.get("created_at")), fixed=True),
    Column("DOING", lambda row: dash(_doing(row))),
    Column("BY", lambda row: dash((row.get("caller") or {}).get("name"))),
    column("TARGET-ID", "target", wide=True),
    column("ORIGIN", wide=True),
    Column("STARTED", lambda row: clock(row.get("started_at")), wide=True),
    Column("ENDED", lambda row: clock(row.get("ended_at")), wide=True),
)


def _doing(row: Row) -> str | None:
    error = (row.get("error") or {}).get("message")
    progress = (row.get("progress") or {}).get("message")
    text: str | None = error or row.get("reason") or progress or row.get("step")
    return text


def provider_state(row: Row) -> str:
    """One word for whether a provider takes instances."""
    if not row.get("enabled"):
        return "disabled"
    health = row.get("health") or {}
    if not row.get("ok", health.get("ok")):
        return "failed" if "ok" in row or health.get("checked_at") else "starting"
    return "cordoned" if row.get("cordoned") else "ok"


def breaker_state(row: Row) -> str:
    """Whether a provider is left alone, and for how long still."""
    breaker = row.get("breaker") or {}
    pause = left(breaker.get("retry_at"))
    return " ".join(filter(None, (dash(breaker.get("state")), pause)))


def _limits(row: Row, of: str) -> dict[str, Any]:
    """What a provider has of something, as far as its capabilities are known."""
    limits = (row.get("capabilities") or {}).get("max_resources_per_instance") or {}
    return limits.get(of) or {}


PROVIDERS = (
    column("NAME", fixed=True),
    column("TYPE", fixed=True),
    Column("STATE", provider_state, coloured=True, fixed=True),
    Column("BREAKER", breaker_state, fixed=True),
    Column("INSTANCES", lambda row: str(row.get("instances", row.get("instance_count", 0)))),
    Column("CORES", lambda row: dash(_limits(row, "cpu").get("cores"))),
    Column("MEMORY", lambda row: size(_limits(row, "memory").get("max"))),
    Column("SAYS", lambda row: dash((row.get("health") or {}).get("message"))),
    Column("LATENCY", lambda row: took((row.get("health") or {}).get("latency")), wide=True),
    column("PRIORITY", wide=True),
    column("REGION", wide=True),
    Column("LABELS", lambda row: pairs(row.get("labels")), wide=True),
    Column("COST/H", lambda row: dash(_number(row.get("cost_per_hour"))), wide=True),
    Column(
        "ISOLATION", lambda row: dash((row.get("capabilities") or {}).get("isolation")), wide=True
    ),
    Column("REGISTERED", lambda row: yes(row.get("registered")), wide=True),
    Column("VERSION", lambda row: dash((row.get("health") or {}).get("version")), wide=True),
)


PLACEMENT = (
    column("RANK", fixed=True),
    column("PROVIDER", fixed=True),
    Column("SCORE", lambda row: dash(_number(row.get("score"))), fixed=True),
    Column("WHY", lambda row: dash(_placement_why(row))),
)


def placement_rows(placement: Row) -> Iterator[dict[str, Any]]:
    """Those that take it, the best first, then those that do not."""
    for rank, each in enumerate(placement["ranked"], 1):
        yield {"rank": rank, **each}
    yield from placement["refused"]


def _placement_why(row: Row) -> str | None:
    if (reason := row.get("reason")) is not None:
        return safe(reason)
    parts = ", ".join(f"{name} {_number(value)}" for name, value in row["parts"].items())
    return safe("; ".join(filter(None, (row.get("note"), parts)))) or None


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"


STATS = (
    column("NAME"),
    Column("CPU", lambda row: _seconds(row.get("cpu_seconds"))),
    Column("MEMORY", lambda row: size(row.get("memory_bytes"))),
    Column("LIMIT", lambda row: size(row.get("memory_limit_bytes"))),
    column("PIDS"),
    Column("DISK", lambda row: size(row.get("disk_bytes"))),
    column("ID", wide=True),
)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}s"


ACTORS = (
    column("NAME"),
    column("STATE", coloured=True),
    column("MAILBOX"),
    column("RESTARTS"),
    Column("ANSWERED", lambda row: _ago(row.get("last_pong_seconds"))),
    column("LAST-FAILURE", "last_failure"),
)


def _ago(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}s ago"


REASONS = (
    Column("AT", lambda row: clock(row.get("at")), fixed=True),
    column("WHAT"),
    column("WHY"),
    column("BY"),
    column("OPERATION", wide=True),
)

STRAYS = (
    column("ID", fixed=True),
    column("PROVIDER"),
    column("NAME"),
    column("OWNER"),
    Column("RUNNING", lambda row: yes(row.get("running"))),
    Column("DISK", lambda row: size(row.get("bytes"))),
    column("REASON"),
)


def outlook(story: Row) -> Iterator[str]:
    """What comes next for an instance, as far as that is known: no more than three lines."""
    idle, kept = story.get("idle") or {}, story.get("keep_until")
    if idle:
        yield f"used last: {clock(idle['last_used'])} ({safe(idle['used_by'])})"
    if left(kept):
        yield f"kept until: {clock(kept)} (for {left(kept)})"
    if idle.get("next_at"):
        when = f"{clock(idle['next_at'])} (in {left(idle['next_at']) or '0s'})"
        yield f"next: {idle['next_step']} at {when}: {safe(idle['why'])}"
    elif idle.get("why"):
        yield f"next: nothing: {safe(idle['why'])}"


def event_line(event: Row) -> str:
    """One event on one line."""
    about = event.get("ref") or event.get("target") or ""
    facts = (event.get("data") or {}).items()
    data = " ".join(f"{key}={_fact(value)}" for key, value in facts if value not in (None, ""))
    parts = (clock(event.get("at")), str(event.get("seq")), event.get("type"), about, data)
    return "  ".join(safe(part) for part in parts if part)


def _fact(value: object) -> str:
    return dumps(value) if isinstance(value, dict | list) else safe(value)


def instance_line(instance: dict[str, Any]) -> str:
    """What a verb answers: name, status, URL."""
    parts = (_ref(instance), instance.get("status"), instance.get("url"))
    return "  ".join(safe(part) for part in parts if part)


def operation_line(operation: dict[str, Any]) -> str:
    """What a verb answers that was not waited for."""
    if operation.get("kind") == "delete" and operation.get("state") == "succeeded":
        return f"{safe(operation.get('target_ref'))}  deleted for good"
    words = (operation.get("kind"), operation.get("target_ref"), operation.get("state"))
    return "  ".join(safe(part) for part in (operation.get("id"), *words) if part)


def result_line(result: dict[str, Any]) -> str:
    """An instance or an operation, whichever it is."""
    return operation_line(result) if "target_ref" in result else instance_line(result)


def details(data: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Everything that one thing has, as ``path: value``; what is not set is left out."""
    for key, value in data.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from details(value, f"{path}.")
        elif isinstance(value, list):
            if value:
                yield f"{path}: {', '.join(_item(item) for item in value)}"
        elif value is not None and value != "":
            shown = str(value).lower() if isinstance(value, bool) else safe(value)
            yield f"{path}: {shown}"


def _item(item: Any) -> str:
    if isinstance(item, dict):
        return " ".join(details(item))
    return safe(item)
