"""No descriptor, no thread, no permission: what then is heard of processes that end."""

from __future__ import annotations

import errno
import os
import resource
import select
import subprocess
import sys
import threading
from typing import Any

import pytest

from swarmd.providers.local import endings as module
from swarmd.providers.local.endings import Endings
from swarmd.providers.local.identity import Identity, open_pidfd
from tests.providers.local.endings_kit import Sleeper, complaints, descriptors, kill
from tests.support import CHECKOUT, wait_until

STARVED = """
import logging, os, resource, subprocess, sys, threading
from swarmd.providers.local.endings import Endings
from swarmd.providers.local.identity import identify

logging.basicConfig(stream=sys.stdout, format="%(message)s")
heard = threading.Semaphore(0)
sleepers = [subprocess.Popen(["sleep", "300"]) for _ in range(2)]
first, second = [identify(each.pid) for each in sleepers]
endings = Endings("test")
endings.begin(heard.release)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.dup(0))
except OSError:
    endings.follow("first", first)
for each in held:
    os.close(each)
endings.follow("second", second)
for each in sleepers:
    each.kill()
    print(heard.acquire(timeout=20))
endings.close()
"""


def test_more_than_its_share_of_descriptors_wait_for_one(
    endings: Endings,
    sleeper: Sleeper,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "_most_descriptors", lambda: 2)
    processes = {f"web{number}": sleeper() for number in range(5)}
    before = descriptors()
    for name in ("web0", "web1"):
        endings.follow(name, processes[name])
    waiter: Any = endings._waiter
    wait_until(lambda: len(waiter._held) == 2)
    for name in ("web2", "web3", "web4"):
        endings.follow(name, processes[name])
    wait_until(lambda: len(complaints(caplog)) == 1)
    assert descriptors() == before + 4  # two of them, epoll, and what wakes it
    endings.forget("web4")  # one of those that wait
    kill(processes["web3"])  # another: nobody hears that yet
    kill(processes["web0"])
    wait_until(lambda: endings.just_ended("web0", processes["web0"]))
    kill(processes["web2"])
    wait_until(lambda: endings.just_ended("web2", processes["web2"]))
    wait_until(lambda: endings.just_ended("web3", processes["web3"]))
    assert not endings.just_ended("web4", processes["web4"])
    assert len(complaints(caplog)) == 1
    assert "all 2 descriptors" in complaints(caplog)[0]


def test_no_descriptor_at_all_in_a_real_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARVED], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    complaint, *heard = done.stdout.splitlines()
    assert "Too many open files" in complaint, done.stderr
    assert heard == ["True", "True"], done.stderr


def refuse(monkeypatch: pytest.MonkeyPatch, whom: Identity, number: int) -> None:
    """Let one process have no pidfd."""
    real = os.pidfd_open

    def opened(pid: int) -> int:
        if pid == whom.pid:
            raise OSError(number, os.strerror(number))
        return real(pid)

    monkeypatch.setattr(os, "pidfd_open", opened)


def test_a_descriptor_that_is_refused_is_asked_for_again(
    endings: Endings,
    sleeper: Sleeper,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = sleeper(), sleeper()
    refuse(monkeypatch, first, errno.EMFILE)
    endings.follow("first", first)
    wait_until(lambda: complaints(caplog))
    monkeypatch.undo()
    endings.follow("second", second)
    kill(first)
    wait_until(lambda: endings.just_ended("first", first))
    kill(second)
    wait_until(lambda: endings.just_ended("second", second))


def test_one_that_may_not_be_followed_holds_up_no_other(
    endings: Endings,
    sleeper: Sleeper,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = sleeper(), sleeper()
    refuse(monkeypatch, first, errno.EPERM)
    endings.follow("first", first)
    endings.follow("second", second)
    kill(second)
    wait_until(lambda: endings.just_ended("second", second))
    assert len(complaints(caplog)) == 1


class Full:
    """An epoll that takes nothing more."""

    def __init__(self, real: select.epoll) -> None:
        self._real = real

    def register(self, descriptor: int, mask: int) -> None:
        raise OSError(errno.ENOSPC, f"no place for {descriptor} and {mask}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_what_finds_no_place_leaves_no_descriptor_open(
    endings: Endings, sleeper: Sleeper, caplog: pytest.LogCaptureFixture
) -> None:
    processes = {f"web{number}": sleeper() for number in range(3)}
    endings.follow("web0", processes["web0"])
    waiter: Any = endings._waiter
    wait_until(lambda: waiter._held)
    real, before = waiter._poller, descriptors()
    waiter._poller = Full(real)
    endings.follow("web1", processes["web1"])
    wait_until(lambda: complaints(caplog))
    assert descriptors() == before
    waiter._poller = real
    endings.follow("web2", processes["web2"])
    wait_until(lambda: len(waiter._held) == 3)


@pytest.mark.parametrize("what", ["thread", "eventfd"])
def test_what_cannot_begin_begins_with_the_next_process(
    endings: Endings,
    sleeper: Sleeper,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    first, second, before = sleeper(), sleeper(), descriptors()

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def no_eventfd(*_: object) -> int:
        raise OSError(errno.EMFILE, "no more")

    if what == "thread":
        monkeypatch.setattr(threading.Thread, "start", no_thread)
    else:
        monkeypatch.setattr(os, "eventfd", no_eventfd)
    endings.follow("first", first)
    assert len(complaints(caplog)) == 1
    assert descriptors() == before
    monkeypatch.undo()
    endings.follow("second", second)
    kill(first)
    wait_until(lambda: endings.just_ended("first", first))
    assert len(complaints(caplog)) == 1


def test_no_descriptor_is_left_open_if_the_process_cannot_be_looked_at(
    sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, before = sleeper(), descriptors()

    def fail(_: Identity) -> bool:
        raise OSError(errno.EMFILE, "no more")

    monkeypatch.setattr("swarmd.providers.local.identity.is_alive", fail)
    with pytest.raises(OSError, match="no more"):
        open_pidfd(process)
    assert descriptors() == before


def test_its_share_is_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1000, 1000))
    assert module._most_descriptors() == 500
    unlimited = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (unlimited, unlimited))
    assert module._most_descriptors() > 100_000
