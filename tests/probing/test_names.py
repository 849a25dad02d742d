"""Hosts that are told by their names."""

from __future__ import annotations

import socket
import threading

import pytest

from swarmd.messages.provider import Address
from swarmd.probing import Prober, names
from swarmd.probing.names import is_numeric
from tests.probing.servers import Heard, http, question, says, server
from tests.support import wait_until


class Resolver:
    """Stands for the system's: knows what it was told, and holds back if it should."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.may = threading.Event()
        self.may.set()
        monkeypatch.setattr(socket, "getaddrinfo", self._answer)

    def _answer(self, host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.asked.append(host)
        assert self.may.wait(30)
        if host not in self.told:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in self.told[host]]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


def test_a_name_is_looked_up_once_for_many(prober: Prober, resolver: Resolver) -> None:
    resolver.told["box1"] = ["127.0.0.1"]
    resolver.may.clear()
    ear = Heard()
    with server(says(http())) as asked:
        address = Address(host="box1", port=asked.address.port)
        for _ in range(40):
            prober.ask(question(address), ear)
        wait_until(lambda: resolver.asked)
        resolver.may.set()
        assert all(answer.ok for answer in ear.all(40))
    assert resolver.asked == ["box1"]


def test_after_a_while_it_is_looked_up_again(
    prober: Prober, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver.told["box1"] = ["127.0.0.1"]
    monkeypatch.setattr(names, "KEPT", 0.0)
    ear = Heard()
    with server(says(http())) as asked:
        address = Address(host="box1", port=asked.address.port)
        for count in (1, 2):
            prober.ask(question(address), ear)
            assert ear.all(count)[-1].ok
    assert resolver.asked == ["box1", "box1"]


@pytest.mark.parametrize("path", ["/healthz", None])
def test_the_second_address_of_a_name(prober: Prober, resolver: Resolver, path: str | None) -> None:
    resolver.told["box1"] = ["::1", "127.0.0.1"]
    ear = Heard()
    with server(says(http())) as asked:
        prober.ask(question(Address(host="box1", port=asked.address.port), path), ear)
        assert ear.one().ok


def test_who_was_reached_is_not_asked_elsewhere(prober: Prober, resolver: Resolver) -> None:
    resolver.told["box1"] = ["127.0.0.1", "127.0.0.2"]
    ear = Heard()
    with server(says(b"HTTP/1.1 503 No\r\n\r\n")) as asked:
        prober.ask(question(Address(host="box1", port=asked.address.port)), ear)
        assert ear.one().message == "status 503"
    assert asked.met == 1


def test_an_unknown_name(prober: Prober, resolver: Resolver) -> None:
    ear = Heard()
    prober.ask(question(Address(host="nowhere", port=80)), ear)
    answer = ear.one()
    assert (answer.ok, answer.asked) == (False, False)
    assert answer.message == "the name nowhere is not resolved: Name or service not known"


@pytest.mark.parametrize("host", ["a" * 300, "nul\0inside"])
def test_what_is_no_name(prober: Prober, host: str) -> None:
    ear = Heard()
    prober.ask(question(Address(host=host, port=80)), ear)
    assert not ear.one().asked
    assert "is not resolved" in ear.one().message


def test_a_resolver_that_hangs_holds_up_nobody(prober: Prober, resolver: Resolver) -> None:
    resolver.told["box1"] = ["127.0.0.1"]
    resolver.may.clear()
    late, quick = Heard(), Heard()
    with server(says(http())) as asked:
        named = Address(host="box1", port=asked.address.port)
        prober.ask(question(named, timeout=0.2), late)
        prober.ask(question(asked.address), quick)
        assert quick.one().ok
        answer = late.one()
        assert (answer.ok, answer.asked) == (False, False)
        assert answer.message == "the name box1 was not resolved within 0.2 s"
        resolver.may.set()
        prober.ask(question(named), quick)
        assert quick.all(2)[1].ok
    assert len(late.answers) == 1


def test_a_resolver_that_hangs_does_not_hold_up_the_end(prober: Prober, resolver: Resolver) -> None:
    resolver.may.clear()
    ear = Heard()
    prober.ask(question(Address(host="box1", port=80)), ear)
    wait_until(lambda: resolver.asked)
    prober.close()
    resolver.may.set()
    assert ear.answers == []


def test_no_thread_to_look_it_up(
    prober: Prober, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "swarmd-probe-name":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    ear = Heard()
    prober.ask(question(Address(host="box1", port=80)), ear)
    assert not ear.one().asked
    assert "can't start new thread" in ear.one().message


@pytest.mark.parametrize(
    ("host", "numeric"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("fe80::1%lo", True),
        ("1.2.3", False),
        ("box1", False),
        ("", False),
        ("nul\0inside", False),
    ],
)
def test_what_need_not_be_looked_up(host: str, numeric: bool) -> None:
    assert is_numeric(host) is numeric
