"""What the types of ``[alerting]`` cannot say."""

from __future__ import annotations

from collections.abc import Iterator

from swarmd.configuration.problems import Problem
from swarmd.core.alerts.receivers import SOURCES, source_of, why_not
from swarmd.messages.config import AlertingConfig, WebhookConfig

_TAKEN = ("log", "command")


def check_alerting(config: AlertingConfig) -> Iterator[Problem]:
    """Every key of it that cannot be meant so."""
    for key in ("window", "operation_latency", "command_timeout"):
        if getattr(config, key) == 0:
            yield Problem(f"alerting.{key}", "expected more than 0 s")
    if config.command and not config.command[0].startswith("/"):
        yield Problem(
            "alerting.command",
            f"{config.command[0]!r} is not the full path of a program",
            'Write its whole argv, for example ["/usr/local/bin/notify", "--alert"].',
        )
    seen: set[str] = set(_TAKEN)
    for index, webhook in enumerate(config.webhooks):
        path = f"alerting.webhooks[{index}]"
        if webhook.name in seen:
            yield Problem(
                f"{path}.name",
                f"{webhook.name!r} is the name of another sink already",
                "Give each of them a name of its own.",
            )
        seen.add(webhook.name)
        yield from _check_webhook(webhook, path)


def _check_webhook(webhook: WebhookConfig, path: str) -> Iterator[Problem]:
    refused = None
    if source_of(webhook.url) is None:
        refused = why_not(webhook.url, insecure=webhook.insecure)
    if refused is not None:
        yield Problem(
            f"{path}.url",
            refused,
            "Name an https:// URL, or http:// on this machine; insecure = true allows any.",
        )
    if webhook.token and source_of(webhook.token) is None:
        # The text is not repeated: it may be the token.
        yield Problem(f"{path}.token", f"expected {SOURCES}", "Put the token into a file.")
    for key in ("timeout", "deadline"):
        if getattr(webhook, key) == 0:
            yield Problem(f"{path}.{key}", "expected more than 0 s")
