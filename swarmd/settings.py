"""What each part needs of the configuration, and what the journal needs of an instance."""

from __future__ import annotations

from swarmd.actors.bridge import RequestSettings
from swarmd.actors.controller import Settings
from swarmd.core.placement import Rules
from swarmd.core.tables import Tables
from swarmd.messages.config import Config
from swarmd.messages.events import TableRow
from swarmd.messages.instance import Instance


def controller_settings(config: Config) -> Settings:
    """What the controller needs of the configuration."""
    return Settings(
        reconcile_interval=config.daemon.reconcile_interval,
        trash_retention=config.instances.trash_retention,
        operation_timeout=config.instances.operation_timeout,
        operations_kept=config.instances.operations_kept,
        lock_timeout=config.instances.lock_timeout,
        health=config.health,
    )


def request_settings(config: Config) -> RequestSettings:
    """What requests are judged by."""
    return RequestSettings(
        operation_timeout=config.instances.operation_timeout,
        rules=placement_rules(config),
    )


def placement_rules(config: Config) -> Rules:
    """What decides where instances go."""
    return Rules(
        default_provider=config.daemon.default_provider,
        strategy=config.placement.strategy,
        fallback=config.placement.fallback,
        insecure=config.daemon.insecure,
        watched=config.health.enabled,
    )


def table_of(tables: Tables) -> tuple[int, list[TableRow]]:
    """The table that opens a journal segment, and the last event that is in it."""
    return tables.seq, [row_of(row) for row in tables.instances.values()]


def row_of(instance: Instance) -> TableRow:
    """An instance in the table that opens a journal segment."""
    return TableRow(
        id=instance.id,
        owner=instance.owner,
        name=instance.name,
        provider=instance.provider,
        desired=instance.desired,
        status=instance.status,
        health=instance.health,
    )
