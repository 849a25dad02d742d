"""``swarmctl health`` and ``swarmctl recover`` over a real socket."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.cli.commands.health import _lines
from swarmd.messages import codec
from swarmd.messages.enums import HealthStatus
from swarmd.messages.health import Check, CheckKind, HealthPoint, InstanceHealth
from swarmd.messages.instance import Instance
from tests.cli.driver import ME, ctl, names
from tests.cli.server import Served
from tests.core.samples import NOW as EPOCH


def test_the_conclusion_the_checks_and_the_history(served: Served, web: Instance) -> None:
    ran = ctl("health", "web")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].startswith(f"{ME}/web is healthy since ")
    assert lines[0].endswith(": it answers")
    header = next(line.split() for line in lines if line.startswith("CHECK"))
    assert header == ["CHECK", "VERDICT", "VALUE", "LIMIT", "TOOK", "SAYS"]
    assert next(line for line in lines if line.startswith("responds")).split()[1:4] == [
        "healthy",
        "2ms",
        "1.0s",
    ]
    assert lines[-1].endswith("2ms   alive")


def test_as_a_document(served: Served, web: Instance) -> None:
    data = ctl("-o", "json", "health", "web").data
    assert data["id"] == web.id
    assert data["checks"][0]["kind"] == "responds"
    assert data["history"][0][1:] == ["healthy", 0.002, "alive"]


def test_of_one_that_is_not_there(served: Served) -> None:
    assert ctl("health", "nobody").code == 3


def shown(**values: Any) -> list[str]:
    """The lines of a health, without colours."""
    found = InstanceHealth(id="i1", ref="ana/web", status=HealthStatus.UNKNOWN, **values)
    return list(_lines(codec.to_plain(found)))


def test_what_was_never_asked_has_no_history() -> None:
    lines = shown(details="it was not asked yet")
    assert lines[0] == "ana/web is unknown: it was not asked yet"
    assert not any(line.startswith("AT") for line in lines)


def test_people_see_the_last_ten() -> None:
    points = tuple(
        HealthPoint(at=EPOCH, status=HealthStatus.DEGRADED, message=f"n{n}") for n in range(25)
    )
    told = [line.split()[-1] for line in shown(history=points) if "degraded" in line]
    assert told == [f"n{n}" for n in range(15, 25)]


def test_words_of_a_server_cannot_write_to_the_terminal() -> None:
    evil = "\x1b]0;title\x07"
    points = (HealthPoint(at=EPOCH, status=HealthStatus.DEGRADED, message=evil),)
    check = Check(kind=CheckKind.RESPONDS, verdict=HealthStatus.DEGRADED, message=evil)
    text = "\n".join(shown(details=evil, checks=(check,), history=points))
    assert "\x1b" not in text
    assert "\x07" not in text


# --- recover ------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [None, "restart", "recreate"])
def test_recover_asks_for_it(served: Served, web: Instance, action: str | None) -> None:
    words = [] if action is None else ["--action", action]
    ran = ctl("recover", "web", *words)
    assert ran.code == 0
    assert "running" in ran.out


def test_several_are_recovered(served: Served, web: Instance) -> None:
    served.on_loop(served.daemon.add, "db", owner=ME)
    assert sorted(names(ctl("recover", "--all"))) == [f"{ME}/db", f"{ME}/web"]
    ran = ctl("recover", "web", "nobody")
    assert ran.code != 0
    assert "nobody" in ran.err


def test_an_action_that_does_not_exist(served: Served, web: Instance) -> None:
    ran = ctl("recover", "web", "--action", "pray")
    assert ran.code == 2
    assert "restart" in ran.err
