"""Which sinks a configuration asks for, and the log as one."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from swarmd.core.alerts.receivers import sinks_of
from swarmd.messages.config import AlertingConfig, WebhookConfig
from swarmd.messages.enums import AlertChange
from swarmd.sinks import make_sinks
from swarmd.sinks.log import LogSink
from tests.sinks.notices import notice
from tests.support import CHECKOUT


def test_sinks_as_they_are_configured() -> None:
    config = AlertingConfig(
        command=("/bin/notify",),
        webhooks=(WebhookConfig(name="ops", url="https://a.example.org/x"),
                  WebhookConfig(name="chat", url="http://b.example.org/x", insecure=True)),
    )  # fmt: skip
    made = make_sinks(config, "n1")
    assert [each.name for each in made] == ["log", "command", "ops", "chat"]
    assert sinks_of(config) == tuple(each.name for each in made)
    assert sinks_of(AlertingConfig(log=False)) == ()
    assert [each.insecure for each in made] == [False, False, False, True]
    assert made[2].endurance.seconds == 3600
    assert make_sinks(AlertingConfig(log=False), "n1") == ()


def test_httpx_is_imported_for_a_webhook_alone() -> None:
    program = (
        "import sys, swarmd.wiring\n"
        "from swarmd.messages.config import AlertingConfig\n"
        "swarmd.wiring.make_sinks(AlertingConfig(command=('/bin/true',)), 'n1')\n"
        "print('httpx' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("change", "level"), [(AlertChange.RAISED, "ERROR"), (AlertChange.RESOLVED, "INFO")]
)
def test_the_log(caplog: pytest.LogCaptureFixture, change: AlertChange, level: str) -> None:
    with caplog.at_level(logging.INFO):
        LogSink().deliver(notice(change=change))
    [record] = caplog.records
    assert record.levelname == level
    assert record.getMessage() == (
        f"alert {change} provider_down (a1): Provider box does not work: no engine"
    )
