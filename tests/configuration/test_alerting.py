"""``[alerting]``: what is refused, by which key, and that no secret is repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmd.configuration import parse
from swarmd.errors import ConfigError
from swarmd.messages.config import AlertingConfig
from swarmd.messages.units import Duration

OPS = "[[alerting.webhooks]]\nname = 'ops'\n"
URL = "url = 'https://alerts.example.org/x'\n"


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(text, Path("/etc/x.toml"))
    return caught.value


@pytest.mark.parametrize(
    ("text", "field", "told"),
    [
        ("[alerting]\nprovider_utilization = 1.5", "alerting.provider_utilization", "<= 1"),
        ("[alerting]\nerror_rate = 0", "alerting.error_rate", "> 0"),
        ("[alerting]\nmargin = 1", "alerting.margin", "<= 0.9"),
        ("[alerting]\nmin_operations = 0", "alerting.min_operations", ">= 1"),
        ("[alerting]\nwindow = 0", "alerting.window", "more than 0 s"),
        ("[alerting]\noperation_latency = 0", "alerting.operation_latency", "more than 0 s"),
        ("[alerting]\ncommand_timeout = 0", "alerting.command_timeout", "more than 0 s"),
        ("[alerting]\nraise_after = 'soon'", "alerting.raise_after", "expected a duration"),
        ("[alerting]\ncommand = 'mail'", "alerting.command", "a list"),
        ("[alerting]\ncommand = ['mail']", "alerting.command", "full path"),
        ("[alerting]\nwebhook = 3", "alerting.webhook", "unknown key"),
        (OPS, "alerting.webhooks[0].url", "is missing"),
        (f"{OPS}url = 'http://a.example.org/x'", "alerting.webhooks[0].url", "in the clear"),
        (f"{OPS}url = 'https://ana:pw@a.example.org/'", "alerting.webhooks[0].url", "a login"),
        (f"{OPS}url = 'a.example.org'", "alerting.webhooks[0].url", "no URL"),
        (f"{OPS}{URL}token = 't0ken'", "alerting.webhooks[0].token", '"file:/path"'),
        (f"{OPS}{URL}tokken = 'x'", "alerting.webhooks[0].tokken", "unknown key"),
        (f"{OPS}{URL}header = 'X Y'", "alerting.webhooks[0].header", "text"),
        (f"{OPS}{URL}timeout = 0", "alerting.webhooks[0].timeout", "more than 0 s"),
        (f"{OPS}{URL}deadline = 0", "alerting.webhooks[0].deadline", "more than 0 s"),
        (f"{OPS}{URL}{OPS}{URL}", "alerting.webhooks[1].name", "another sink"),
        (f"[[alerting.webhooks]]\nname = 'log'\n{URL}", "alerting.webhooks[0].name", "another"),
    ],
)
def test_what_is_refused(text: str, field: str, told: str) -> None:
    error = refused(text)
    assert error.field == field
    assert told in error.message
    assert error.next_step
    assert "t0ken" not in error.message
    assert ":pw" not in error.message


def test_the_defaults_are_the_seeds() -> None:
    config = parse("").alerting
    assert config == AlertingConfig()
    shares = (config.provider_utilization, config.unhealthy_instances, config.failed_migrations,
              config.error_rate)  # fmt: skip
    assert shares == (0.8, 0.2, 0.2, 0.1)
    assert config.operation_latency == Duration(30)


def test_webhooks() -> None:
    config = parse(
        f"{OPS}{URL}token = 'file:/run/token'\n"
        "[[alerting.webhooks]]\nname = 'here'\nurl = 'http://127.0.0.1:9/x'\n"
        "[[alerting.webhooks]]\nname = 'secret'\nurl = 'env:HOOK'\n"
        "[[alerting.webhooks]]\nname = 'clear'\nurl = 'http://a.example.org'\ninsecure = true\n"
    )
    assert [each.name for each in config.alerting.webhooks] == ["ops", "here", "secret", "clear"]
