"""The sinks that a configuration asks for."""

from __future__ import annotations

from swarmd.messages.config import AlertingConfig
from swarmd.ports import Sink
from swarmd.sinks.command import CommandSink
from swarmd.sinks.log import LogSink


def make_sinks(config: AlertingConfig, node: str) -> tuple[Sink, ...]:
    """One for each that is configured, in the order of the configuration.

    Args:
        config: ``[alerting]``.
        node: This daemon's id, which receivers are told.
    """
    sinks: list[Sink] = []
    if config.log:
        sinks.append(LogSink())
    if config.command:
        sinks.append(
            CommandSink(config.command, config.command_timeout, config.command_env, node=node)
        )
    if config.webhooks:
        from swarmd.sinks.webhook import WebhookSink

        sinks += [WebhookSink(each, node=node) for each in config.webhooks]
    return tuple(sinks)
