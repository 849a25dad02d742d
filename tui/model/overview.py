"""One instance in words: what is wrong with it first, then what matters of its record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from swarmd.messages.enums import DesiredState, HealthStatus, InstanceStatus
from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import Instance, Resources
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderInfo
from tui.model.rows import runs_since
from tui.model.text import BLANK, Line, facts, folded, titled
from tui.model.words import HEALTH_TONES, since, span, tone_of_status

Fact = tuple[str, str, str]

_DOWN = frozenset({InstanceStatus.STOPPED, InstanceStatus.CREATED, InstanceStatus.ERROR})
_OTHERWISE = {
    DesiredState.RUNNING: _DOWN | {InstanceStatus.UNKNOWN},
    DesiredState.STOPPED: frozenset({InstanceStatus.RUNNING, InstanceStatus.UNKNOWN}),
    DesiredState.DELETED: _DOWN | {InstanceStatus.RUNNING, InstanceStatus.UNKNOWN},
}
"""What is not on its way to what was wished."""

_MARKS = {"bad": "✗", "warn": "!", "busy": "…"}


def overview(
    record: Instance,
    health: InstanceHealth | None,
    operations: Sequence[Operation],
    provider: ProviderInfo | None,
    *,
    now: datetime,
    width: int,
) -> Iterator[Line]:
    """Everything of a record that matters.

    Args:
        record: The instance.
        health: How it is; None: not told yet.
        operations: Those of it that are under way.
        provider: Where it is, if that is known.
        now: The time, UTC.
        width: Cells of a line.
    """
    wrong = list(troubles(record, health, operations, provider))
    for tone, text, step in wrong:
        yield from _trouble(tone, text, step, width)
    if not wrong:
        yield (("✓ ", "good"), ("Nothing is wrong with it.", "good"))
    yield BLANK
    yield from facts(list(_state(record, health, now)), width)
    for title, some in (
        ("Resources", list(_resources(record.config.resources, provider))),
        ("Ports", list(_ports(record))),
        ("Wishes", list(_wishes(record))),
        ("Labels", [(key, value, "") for key, value in sorted(record.config.labels.items())]),
        ("Notes", [(key, value, "") for key, value in sorted(record.metadata.items())]),
        ("Record", list(_record(record, now))),
    ):
        if some:
            yield BLANK
            yield titled(title)
            yield from facts(some, width, max(12, *(len(name) + 2 for name, _, _ in some)))


def _trouble(tone: str, text: str, step: str, width: int) -> Iterator[Line]:
    for number, part in enumerate(folded(text, width - 2)):
        yield ((f"{_MARKS[tone]} " if number == 0 else "  ", tone), (part, tone))
    if step:
        for number, part in enumerate(folded(step, width - 4)):
            yield (("  → " if number == 0 else "    ", "dim"), (part, ""))


def troubles(
    record: Instance,
    health: InstanceHealth | None,
    operations: Sequence[Operation],
    provider: ProviderInfo | None,
) -> Iterator[tuple[str, str, str]]:
    """What is wrong, what first: tone, words, and what to do about it."""
    if provider is not None and not provider.health.ok:
        words = provider.health.message or "it does not work"
        yield "bad", f"Its provider {provider.name}: {words}", provider.health.next_step or ""
    failed = record.last_error
    # One that is in error is unhealthy by just that.
    told = failed is not None and record.status is InstanceStatus.ERROR
    if failed is not None:
        step = str(failed.details.get("next_step") or "")
        yield "bad", failed.message, f"{step} {_HERE}".lstrip() if told else step
    status = record.health if health is None else health.status
    if status in (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED) and not told:
        why = f": {health.details}" if health is not None and health.details else ""
        tone = "bad" if status is HealthStatus.UNHEALTHY else "warn"
        yield tone, f"It is {status}{why}", _remedy(status)
    otherwise = record.status in _OTHERWISE[record.desired]
    if otherwise and failed is None and not operations:
        yield "warn", f"Its status is {record.status}, and it is to be {record.desired}", ""
    if record.restart_required:
        fields = ", ".join(record.restart_required)
        yield "warn", f"Waits for a restart to take effect: {fields}", "r restarts it."
    for each in operations:
        doing = each.progress.message or each.step or str(each.state)
        yield "busy", f"{each.kind}: {doing}", "X cancels it."


_HERE = "Here: L what it wrote, H what was found, F recovers it."


def _remedy(status: HealthStatus) -> str:
    if status is HealthStatus.DEGRADED:
        return "H shows what was measured against which limit."
    return "H shows what was found, L what it wrote; F recovers it."


def _state(record: Instance, health: InstanceHealth | None, now: datetime) -> Iterator[Fact]:
    begun = runs_since(record)
    up = f", up {since(begun, now)}" if begun is not None else ""
    wish = "" if str(record.status) == str(record.desired) else f", to be {record.desired}"
    yield "Status", f"{record.status}{up}{wish}", tone_of_status(record.status)
    status = record.health if health is None else health.status
    lasts = "" if health is None or health.since is None else f" for {since(health.since, now)}"
    yield "Health", f"{status}{lasts}", HEALTH_TONES[status]
    yield "URL", record.url or "none: it does not run", "" if record.url else "dim"
    kind = "" if record.provider_type == record.provider else f" ({record.provider_type})"
    yield "Provider", f"{record.provider}{kind}", ""
    workspace = record.config.workspace
    yield "Workspace", workspace.public() if workspace is not None else "managed by swarmd", ""
    if record.config.image is not None:
        yield "Image", record.config.image, ""


def _resources(wanted: Resources, provider: ProviderInfo | None) -> Iterator[Fact]:
    enforced = None
    if provider is not None and provider.capabilities is not None:
        enforced = provider.capabilities.limits_enforced
    for name, value in (
        ("cpu", None if wanted.cpu is None else f"{wanted.cpu:g} cores"),
        ("memory", wanted.memory),
        ("storage", wanted.storage),
        ("pids", wanted.pids),
    ):
        if value is None:
            yield name, "the provider's default", "dim"
        elif enforced is not None and name not in enforced:
            yield name, f"{value}, which its provider does not enforce", "warn"
        else:
            yield name, str(value), ""


def _ports(record: Instance) -> Iterator[Fact]:
    for port in record.config.network.ports:
        outside = str(port.host_port) if port.host_port else "any free port"
        yield f"{port.container_port}/{port.protocol}", f"published at {outside}", ""
    if record.config.network.enable_public_access:
        yield "public", "it listens beyond loopback", "warn"


def _wishes(record: Instance) -> Iterator[Fact]:
    config = record.config
    if config.idle_timeout is not None:
        yield "idle", f"it stops after {span(config.idle_timeout)} without use", ""
    if config.max_age is not None:
        yield "age", f"it stops {span(config.max_age)} after its start", ""
    if config.protect:
        yield "protected", "it cannot be deleted until that is switched off", ""
    if config.extensions:
        yield "extensions", ", ".join(config.extensions), ""
    if config.env:
        yield "env", ", ".join(sorted(config.env)), ""


def _record(record: Instance, now: datetime) -> Iterator[Fact]:
    yield "id", record.id, ""
    yield "owner", record.owner, ""
    if record.shared_with:
        yield "shared", ", ".join(record.shared_with), ""
    yield "node", record.node, ""
    yield "created", f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC", ""
    yield "changed", f"{since(record.updated_at, now)} ago, revision {record.revision}", ""
