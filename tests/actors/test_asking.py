"""Which way each kind of probe takes, and that every question has one answer."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, cast

import pytest

from swarmd.actors.asking import Asker
from swarmd.actors.lanes import Lanes
from swarmd.core.health.rules import Rules, rules_of
from swarmd.errors import (
    DeadlineExceeded,
    ProviderError,
    ProviderUnreachable,
    ResourceLimitError,
)
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import ProbeKind
from swarmd.messages.instance import HealthCheck, InstanceStats
from swarmd.messages.provider import Address
from swarmd.ports import Answer
from swarmd.probing import Prober
from tests.actors.health_kit import (
    HERE,
    YES,
    ByHand,
    FakeProbe,
    FakeProvider,
    FakeSession,
    running,
)
from tests.actors.kit import AT
from tests.probing import servers
from tests.probing.conftest import prober

__all__ = ["prober"]

ROW = running()
AWAY = Address(host="192.0.2.7", port=8100)


def rules(probe: ProbeKind = ProbeKind.SERVER, **values: Any) -> Rules:
    check = HealthCheck(probe=probe, path=values.pop("path", None))
    return replace(rules_of(HealthConfig(), check), **values)


class Table:
    """An asker, and what it uses."""

    def __init__(self) -> None:
        self.provider, self.probe, self.lanes = FakeProvider(), FakeProbe(), ByHand()
        self.asker = Asker(cast(Any, self.provider), self.probe, cast(Lanes, self.lanes))
        self.answers: list[Answer] = []

    def ask(self, how: Rules, address: Address | None = HERE) -> None:
        self.asker.ask(ROW, how, address, self.answers.append)

    def one(self) -> Answer:
        """The only answer, once lanes have run."""
        self.lanes.run()
        [answer] = self.answers
        return answer


@pytest.fixture
def table() -> Table:
    return Table()


# --- over a socket ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "path", "below"),
    [
        (rules(), "/healthz", 201),
        (rules(ProbeKind.HTTP), "/", 400),
        (rules(ProbeKind.HTTP, path="/login"), "/login", 400),
        (rules(ProbeKind.TCP), None, 400),
    ],
)
def test_what_listens_here_is_asked_over_a_socket(
    table: Table, how: Rules, path: str | None, below: int
) -> None:
    table.ask(how)
    [(question, _)] = table.probe.open
    assert (question.path, question.any_below, question.timeout) == (path, below, how.timeout)
    assert question.address == HERE
    table.probe.answer(YES)
    assert table.one() == YES
    assert not table.lanes.tasks


def test_a_page_elsewhere_is_asked_over_a_socket_too(table: Table) -> None:
    table.ask(rules(ProbeKind.TCP), AWAY)
    assert table.probe.open[0][0].address == AWAY


def test_a_real_server_is_asked(prober: Prober) -> None:
    provider, lanes = FakeProvider(), Lanes("test", 1)
    asker = Asker(cast(Any, provider), prober, lanes)
    heard = servers.Heard()
    with servers.server(servers.says(servers.http("302 Found"))) as server:
        asker.ask(ROW, rules(), server.address, heard)
        assert not heard.one().ok  # the server's own page must say 200
        asker.ask(ROW, rules(ProbeKind.HTTP), server.address, heard)
        asker.ask(ROW, rules(ProbeKind.TCP), server.address, heard)
        assert [answer.ok for answer in heard.all(3)[1:]] == [True, True]
    asker.close()
    assert lanes.closed


# --- through the provider -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tunnel", "address"),
    [("ssh -L", HERE), (None, None), (None, AWAY), (None, Address(host="box1", port=1))],
)
def test_a_server_that_is_not_here_is_asked_through_its_provider(
    table: Table, tunnel: str | None, address: Address | None
) -> None:
    table.provider.tunnel = tunnel
    table.ask(rules(), address)
    answer = table.one()
    assert (answer.ok, answer.message, answer.asked) == (True, "alive", True)
    assert not table.probe.open


def test_a_provider_that_cannot_tell_what_it_can_do_is_not_asked_in_a_mailbox(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that was not there since the daemon began."""

    def gone() -> None:
        raise ProviderUnreachable("no such socket")

    monkeypatch.setattr(table.provider, "capabilities", gone)
    table.provider.said = ProviderUnreachable("no such socket")
    table.ask(rules(), None)
    assert not table.answers  # in a lane
    assert not table.one().ok
    table.answers.clear()
    table.ask(rules())
    assert (table.one().asked, table.one().message) == (False, "no such socket")


def test_what_the_provider_could_not_find_well_is_a_failed_answer(table: Table) -> None:
    table.provider.said = ProviderError("503 Service Unavailable")
    table.ask(rules(), None)
    answer = table.one()
    assert (answer.ok, answer.message, answer.asked) == (False, "503 Service Unavailable", True)


def test_a_provider_that_breaks_its_promise_says_nothing_of_the_instance(
    table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    """Who waits for an answer gets one: else the instance would never be asked again."""
    table.provider.said = RuntimeError("odd")
    with caplog.at_level(logging.ERROR):
        table.ask(rules(), None)
        answer = table.one()
    assert (answer.ok, answer.asked) == (False, False)
    assert "odd" in answer.message
    assert "ana/web1 could not be asked" in caplog.text


def test_a_page_that_nobody_reaches_is_not_asked(table: Table) -> None:
    table.ask(rules(ProbeKind.TCP), None)
    assert (table.one().asked, table.one().message) == (False, "it has no address")
    table.answers.clear()
    table.provider.tunnel = "ssh -L"
    table.ask(rules(ProbeKind.HTTP))
    assert not table.one().asked
    assert table.one().message == ("a http probe does not reach it from here: use server or exec")


def test_without_a_thread_nothing_was_asked(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    table.lanes.error = ResourceLimitError("no more threads")
    with caplog.at_level(logging.WARNING):
        table.ask(rules(), None)
    assert not table.one().asked
    assert "no more threads" in caplog.text


# --- a command ----------------------------------------------------------------------------------

EXEC = rules(ProbeKind.EXEC, command=("check", "-x"), timeout=3.0)


@pytest.mark.parametrize(
    ("code", "pieces", "ok", "message"),
    [
        (0, [], True, "check ended with 0"),
        (0, [b"warming up\n", b"ready\n"], True, "ready"),
        (0, [b"re", b"ady"], True, "ready"),
        (3, [], False, "check ended with 3"),
        (3, [b"first\nno disk\n"], False, "check ended with 3: no disk"),
        (0, [b"\xff\xfe"], True, "\ufffd\ufffd"),
    ],
)
def test_a_commands_exit_code_is_the_answer(
    table: Table, code: int, pieces: list[bytes], ok: bool, message: str
) -> None:
    table.provider.session = session = FakeSession(code, *pieces)
    table.ask(EXEC)
    answer = table.one()
    assert (answer.ok, answer.message, answer.asked) == (ok, message, True)
    assert session.closed
    request = table.provider.request
    assert (request.id, request.command, request.timeout) == (ROW.id, ("check", "-x"), 3.0)


def test_of_much_output_the_end_is_told(table: Table) -> None:
    table.provider.session = FakeSession(0, *[b"x" * 300] * 20, b"\n" + b"y" * 50)
    table.ask(EXEC)
    assert table.one().message == "y" * 50


@pytest.mark.parametrize("where", ["begin", "middle"])
def test_a_command_that_takes_too_long_is_closed(table: Table, where: str) -> None:
    late = DeadlineExceeded("it took longer than 3 s")
    session = FakeSession(0, error=late)
    table.provider.session = late if where == "begin" else session
    table.ask(EXEC)
    assert (table.one().ok, table.one().message) == (False, "it took longer than 3 s")
    assert session.closed is (where == "middle")


# --- figures ------------------------------------------------------------------------------------


def test_figures_are_asked_for_once_at_a_time(table: Table) -> None:
    table.provider.figures = [InstanceStats(id=ROW.id, taken_at=AT)]
    told: list[Any] = []
    table.asker.measure([ROW], told.append)
    table.asker.measure([ROW], told.append)
    table.lanes.run()
    assert told == [table.provider.figures]
    assert table.provider.measured == [ROW.id]
    table.asker.measure([ROW], told.append)
    table.lanes.run()
    assert len(told) == 2


def test_without_figures_nothing_is_told(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    table.provider.figures = ProviderUnreachable("no such socket")
    told: list[Any] = []
    with caplog.at_level(logging.INFO):
        table.asker.measure([ROW], told.append)
        table.lanes.run()
    assert told == []
    assert "no figures of local: no such socket" in caplog.text


def test_closing_closes_the_lanes(table: Table) -> None:
    table.asker.close()
    assert table.lanes.closed
