"""The prober's end, and the days on which this machine has nothing to ask with."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from swarmd.messages.provider import Address
from swarmd.ports.probe import Answer
from swarmd.probing import Prober
from tests.probing.conftest import descriptors
from tests.probing.servers import Heard, http, never, question, read_question, says, server
from tests.support import free_port, wait_until


def probe_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "swarmd-probe"]


def test_nothing_runs_before_the_first_question() -> None:
    before = descriptors()
    prober = Prober()
    assert probe_threads() == []
    assert descriptors() == before
    prober.close()
    prober.close()


def test_close_in_the_middle(prober: Prober) -> None:
    ear = Heard()
    with server(never) as asked:
        before = descriptors()
        for _ in range(100):
            prober.ask(question(asked.address), ear)
        wait_until(lambda: asked.met == 16)
        begun = time.monotonic()
        prober.close()
        assert time.monotonic() - begun < 8, "it waited for those that never answer"
        assert probe_threads() == []
        wait_until(lambda: descriptors() <= before)  # the server's ends have seen the end, too
        prober.close()
    assert ear.answers == []


def test_ask_after_close(prober: Prober) -> None:
    ear = Heard()
    with server(says(http())) as asked:
        prober.ask(question(asked.address), ear)
        ear.one()
        prober.close()
        prober.ask(question(asked.address), ear)
    assert len(ear.answers) == 1
    assert probe_threads() == []
    assert asked.met == 1


def test_an_answer_may_close_the_prober(prober: Prober) -> None:
    told: list[Answer] = []

    def then(answer: Answer) -> None:
        told.append(answer)
        prober.close()

    port = free_port()
    for _ in range(50):
        prober.ask(question(Address(host="127.0.0.1", port=port)), then)
    wait_until(lambda: probe_threads() == [])
    assert len(told) == 1


def test_what_came_together_with_the_answer_that_closed(prober: Prober) -> None:
    told: list[Answer] = []
    sent: list[int] = []
    all_here = threading.Barrier(16)

    def behave(connection: socket.socket) -> None:
        read_question(connection)
        all_here.wait(20)
        sent.append(connection.send(http()))

    def then(answer: Answer) -> None:
        told.append(answer)
        if len(told) == 1:  # the loop stands still until all others are answered too
            wait_until(lambda: len(sent) == 16)
        else:
            prober.close()

    with server(behave) as asked:
        for _ in range(16):
            prober.ask(question(asked.address), then)
        wait_until(lambda: told and probe_threads() == [])
    assert len(told) == 2


def test_a_receiver_that_hangs_does_not_hold_up_the_end(prober: Prober) -> None:
    inside, release, told = threading.Event(), threading.Event(), Heard()

    def then(answer: Answer) -> None:
        inside.set()
        release.wait(30)

    address = Address(host="127.0.0.1", port=free_port())
    prober.ask(question(address), then)
    prober.ask(question(address), told)
    assert inside.wait(10)
    begun = time.monotonic()
    prober.close()
    assert time.monotonic() - begun < 20, "it waited for who hangs"
    release.set()
    wait_until(lambda: probe_threads() == [])
    assert told.answers == []


@pytest.fixture
def no_descriptors() -> Iterator[None]:
    """None is left in this process; they come back at the end."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.dup(0)
    os.close(spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_out_of_descriptors(prober: Prober, request: pytest.FixtureRequest) -> None:
    ear = Heard()
    address = Address(host="127.0.0.1", port=free_port())
    prober.ask(question(address), ear)
    ear.one()
    request.getfixturevalue("no_descriptors")
    prober.ask(question(address), ear)
    answer = ear.all(2)[1]
    assert not answer.ok
    assert not answer.asked
    assert answer.message == "out of descriptors: this process may open no more"


def test_out_of_descriptors_at_the_start(prober: Prober, request: pytest.FixtureRequest) -> None:
    ear = Heard()
    address = Address(host="127.0.0.1", port=free_port())
    request.getfixturevalue("no_descriptors")
    prober.ask(question(address), ear)
    assert not ear.one().asked
    assert "the prober's thread does not start" in ear.one().message
    assert ear.threads == {threading.current_thread().name}


def test_out_of_threads(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ear = Heard()
    with server(says(http())) as asked:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            prober.ask(question(asked.address), ear)
        assert "can't start new thread" in ear.one().message
        assert not ear.one().asked
        prober.ask(question(asked.address), ear)
        assert ear.all(2)[1].ok


def test_a_watch_that_is_refused(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    ear = Heard()
    with server(never) as asked:
        monkeypatch.setattr(asyncio.SelectorEventLoop, "add_reader", refuse)
        prober.ask(question(asked.address), ear)
        answer = ear.one()
    assert (answer.asked, answer.message) == (False, "out of descriptors that may be watched")


@pytest.mark.parametrize("port", [70000, -1])
def test_a_question_that_cannot_be_put(
    prober: Prober, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    ear = Heard()
    with server(says(http())) as asked:
        prober.ask(question(Address(host="127.0.0.1", port=port)), ear)
        assert not ear.one().asked
        assert ear.one().message.startswith("could not be asked: ")
        prober.ask(question(asked.address), ear)
        assert ear.all(2)[1].ok
    assert "could not be put" in caplog.text


def test_an_answer_and_the_close_at_once() -> None:
    """Many times, so that both orders are met; neither may lose a descriptor or the thread."""
    before = descriptors()

    def behave(connection: socket.socket) -> None:
        read_question(connection)
        connection.sendall(http())

    with server(behave) as asked:
        for _ in range(50):
            prober, ear = Prober(limit=4), Heard()
            for _ in range(10):
                prober.ask(question(asked.address), ear)
            ear.one()
            prober.close()
            count = len(ear.answers)
            assert probe_threads() == []
            assert len(ear.answers) == count
    wait_until(lambda: descriptors() <= before, describe=lambda: descriptors() - before)
