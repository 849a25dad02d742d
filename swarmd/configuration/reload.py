"""What a changed configuration file may change while the daemon runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from swarmd.messages.config import Config, ProviderConfig

LIVE = frozenset(
    {
        "daemon.default_provider",
        "daemon.auto_save_interval",
        "daemon.reconcile_interval",
        "daemon.observe_interval",
        "daemon.insecure",
        "instances.start_timeout",
        "instances.stop_grace",
        "instances.operation_timeout",
        "instances.lock_timeout",
        "instances.trash_retention",
        "instances.idle_timeout",
        "instances.max_age",
        "instances.operations_kept",
        "instances.story_length",
        "placement.strategy",
        "placement.fallback",
        "health.check_interval",
        "health.timeout",
        "health.grace",
        "health.failures",
        "health.successes",
        "health.degraded_latency",
        "health.degraded_share",
        "health.auto_recover",
        "health.recovery_actions",
        "health.max_recovery_attempts",
        "health.stable_time",
        "health.max_parallel",
        "breaker.failures",
        "breaker.window",
        "breaker.pause",
        "breaker.longest_pause",
        "telemetry.interval",
        "telemetry.files",
        "telemetry.listen",
        "alerting.enabled",
        "alerting.provider_utilization",
        "alerting.unhealthy_instances",
        "alerting.failed_migrations",
        "alerting.operation_latency",
        "alerting.error_rate",
        "alerting.window",
        "alerting.min_operations",
        "alerting.margin",
        "alerting.raise_after",
        "alerting.resolve_after",
        "alerting.resolved_kept",
        "alerting.log",
        "alerting.command",
        "alerting.command_timeout",
        "alerting.command_env",
        "alerting.webhooks",
        "journal.retention",
        "journal.max_size",
        "journal.segment_size",
        "logging.level",
        # The terminal app's own: the daemon does not read them.
        "tui.theme",
        "tui.refresh",
        "tui.columns",
        "tui.keymap",
        "tui.read_only",
    }
)
RESTART = frozenset(
    {
        "daemon.state_dir",
        "daemon.data_dir",
        "daemon.server_dir",
        "daemon.socket",
        "daemon.load_state_on_startup",
        "access.socket_group",
        "health.enabled",
        "health.history_size",
        "telemetry.enabled",
        "logging.format",
    }
)
"""Together with ``LIVE`` every key outside ``providers``; a test holds them complete."""


@dataclass(frozen=True, slots=True)
class ReloadDecision:
    """Key paths that changed: what can be applied now, and what waits for a restart.

    A provider's key is ``providers.NAME`` if it came or went, ``providers.NAME.options`` and
    so on if it changed: applying it means to start that provider anew.
    """

    applied: tuple[str, ...] = ()
    restart_required: tuple[str, ...] = ()


def diff(old: Config, new: Config) -> ReloadDecision:
    """Compare two configurations key by key."""
    changed = [*_changed_keys(old, new), *_changed_providers(old, new)]
    live = tuple(key for key in changed if is_live(key))
    return ReloadDecision(live, tuple(key for key in changed if key not in live))


def is_live(key: str) -> bool:
    """Whether a change of this key takes effect without a restart of the daemon."""
    if key.startswith("providers."):
        return not key.endswith(".type")
    return key in LIVE


def all_keys() -> Iterator[tuple[str, str]]:
    """Every (section, key) outside ``providers``, in the order of the file."""
    for section in msgspec.structs.fields(Config):
        if section.name != "providers":
            for field in msgspec.structs.fields(section.type):
                yield section.name, field.name


def _changed_keys(old: Config, new: Config) -> Iterator[str]:
    for section, key in all_keys():
        if getattr(getattr(old, section), key) != getattr(getattr(new, section), key):
            yield f"{section}.{key}"


def _changed_providers(old: Config, new: Config) -> Iterator[str]:
    before = {provider.name: provider for provider in old.providers}
    after = {provider.name: provider for provider in new.providers}
    for name in sorted(before.keys() | after.keys()):
        if name in before and name in after:
            yield from _changed_fields(before[name], after[name])
        else:
            yield f"providers.{name}"


def _changed_fields(old: ProviderConfig, new: ProviderConfig) -> Iterator[str]:
    for field in msgspec.structs.fields(ProviderConfig):
        if getattr(old, field.name) != getattr(new, field.name):
            yield f"providers.{old.name}.{field.name}"


def apply(old: Config, new: Config, decision: ReloadDecision) -> Config:
    """The configuration in force after a reload.

    The new one, but with the old value of every key that waits for a restart.
    """
    providers = {provider.name: provider for provider in old.providers}
    waiting = set(decision.restart_required)
    sections: dict[str, object] = {}
    for section in {name for name, _ in all_keys()}:
        kept = {
            key: getattr(getattr(old, section), key)
            for name, key in all_keys()
            if name == section and f"{section}.{key}" in waiting
        }
        sections[section] = msgspec.structs.replace(getattr(new, section), **kept)
    kept_providers = tuple(
        providers[provider.name] if f"providers.{provider.name}.type" in waiting else provider
        for provider in new.providers
    )
    return msgspec.structs.replace(new, providers=kept_providers, **sections)
