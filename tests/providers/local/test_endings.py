"""Real processes that end, and who hears of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest
from msgspec.structs import replace

from swarmd.providers.local import endings as module
from swarmd.providers.local.endings import Endings
from swarmd.providers.local.identity import Identity, boot_id, identify, is_alive
from tests.providers.local.endings_kit import Heard, Sleeper, descriptors, kill, thread
from tests.support import wait_until

CROWD = """
import os, sys
pids = []
for _ in range(int(sys.argv[1])):
    if not (pid := os.fork()):
        sys.stdin.read()
        os._exit(0)
    pids.append(pid)
print(*pids, flush=True)
sys.stdin.read()
"""
"""Sleepers that end with the test's process too, however that ends: they wait for its pipe."""


def test_the_end_of_a_child_is_told(endings: Endings, heard: Heard, sleeper: Sleeper) -> None:
    first, second = sleeper(), sleeper()
    endings.follow("first", first)
    endings.follow("second", second)
    kill(first)
    wait_until(lambda: heard.times == 1)
    assert endings.just_ended("first", first)
    assert not endings.just_ended("second", second)
    kill(second)
    wait_until(lambda: heard.times == 2)


def test_the_end_of_a_stranger_is_told(endings: Endings, heard: Heard) -> None:
    command = ["setsid", "sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!"]
    stranger = identify(int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))
    assert stranger is not None
    endings.follow("web", stranger)
    kill(stranger)
    wait_until(lambda: heard.times == 1)


def test_what_has_ended_before_it_was_followed_is_told(
    endings: Endings, heard: Heard, sleeper: Sleeper
) -> None:
    ended = sleeper()
    kill(ended)
    endings.follow("web", ended)
    wait_until(lambda: heard.times == 1)
    assert endings.just_ended("web", ended)


def test_a_pid_that_is_used_again_is_not_followed(
    endings: Endings, heard: Heard, sleeper: Sleeper
) -> None:
    other = sleeper()
    endings.follow("web", replace(other, started=other.started - 1))
    wait_until(lambda: heard.times == 1)
    endings.follow("old", replace(other, boot="another"))
    wait_until(lambda: heard.times == 2)
    assert is_alive(other)


def test_a_pid_that_is_a_thread_by_now_has_ended(endings: Endings, heard: Heard) -> None:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    assert thread.native_id is not None
    endings.follow("web", Identity(boot=boot_id(), pid=thread.native_id, started=1))
    try:
        wait_until(lambda: heard.times == 1)
    finally:
        ended.set()
        thread.join()


def test_what_is_forgotten_is_not_told(endings: Endings, heard: Heard, sleeper: Sleeper) -> None:
    forgotten, other = sleeper(), sleeper()
    endings.follow("forgotten", forgotten)
    endings.follow("other", other)
    endings.forget("forgotten")
    kill(forgotten)
    kill(other)
    wait_until(lambda: heard.times == 1)
    assert not endings.just_ended("forgotten", forgotten)


def test_a_new_process_takes_the_place_of_the_old(
    endings: Endings, heard: Heard, sleeper: Sleeper
) -> None:
    old, new = sleeper(), sleeper()
    endings.follow("web", old)
    endings.follow("web", new)
    endings.follow("web", new)
    kill(old)
    kill(new)
    wait_until(lambda: endings.just_ended("web", new))
    assert heard.times == 1
    endings.follow("web", sleeper())
    assert not endings.just_ended("web", new)


def test_an_end_is_fresh_for_a_while(
    endings: Endings, heard: Heard, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = sleeper()
    endings.follow("web", ended)
    kill(ended)
    wait_until(lambda: heard.times == 1)
    monkeypatch.setattr(module, "_JUST_SECONDS", 0.0)
    assert not endings.just_ended("web", ended)


def test_a_thousand(endings: Endings, heard: Heard) -> None:
    before = descriptors()
    many = min(1000, module._most_descriptors())  # beyond that some are seen by looking only
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", CROWD, str(many)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as crowd:  # fmt: skip
        assert crowd.stdout is not None
        pids = crowd.stdout.readline().split()
        found = {pid.decode(): identity for pid in pids if (identity := identify(int(pid)))}
        assert len(found) == many
        for name, identity in found.items():
            endings.follow(name, identity)
        one, *others = found
        kill(found[one])
        wait_until(lambda: endings.just_ended(one, found[one]))
        os.killpg(crowd.pid, signal.SIGKILL)
    told = {one}

    def rest() -> set[str]:
        told.update(each for each in others if endings.just_ended(each, found[each]))
        return found.keys() - told

    wait_until(lambda: not rest(), timeout=30, describe=lambda: len(rest()))
    assert 2 <= heard.times <= many
    endings.close()
    assert descriptors() == before


# --- the thread -----------------------------------------------------------------------------


def test_there_is_no_thread_before_there_is_a_process(sleeper: Sleeper) -> None:
    endings, process, before = Endings("test"), sleeper(), descriptors()
    endings.follow("web", process)  # nobody wants to hear of it yet
    endings.begin(lambda: None)
    endings.forget("web")
    assert thread() is None
    endings.follow("web", process)
    assert thread() is not None
    endings.close()
    assert thread() is None
    assert descriptors() == before


def test_closed_it_hears_nothing_and_can_begin_again(
    endings: Endings, heard: Heard, sleeper: Sleeper
) -> None:
    old, new, before = sleeper(), sleeper(), descriptors()
    endings.follow("old", old)
    endings.close()
    endings.close()
    endings.follow("old", old)
    kill(old)
    assert thread() is None
    assert descriptors() == before
    endings.begin(heard)
    endings.follow("new", new)
    kill(new)
    wait_until(lambda: endings.just_ended("new", new))
    assert heard.times == 1


def test_who_hears_may_close_it(sleeper: Sleeper) -> None:
    endings, process = Endings("test"), sleeper()
    endings.begin(endings.close)
    endings.follow("web", process)
    kill(process)
    wait_until(lambda: thread() is None)


def test_an_end_that_comes_with_the_close_is_not_told(
    endings: Endings, heard: Heard, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, seen, gone = sleeper(), threading.Event(), threading.Event()
    tell = Endings._tell

    def slow(self: Endings, ended: dict[str, Identity]) -> None:
        if ended:
            seen.set()
            gone.wait(10)
        tell(self, ended)

    monkeypatch.setattr(Endings, "_tell", slow)
    monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.0)
    endings.follow("web", process)
    kill(process)
    assert seen.wait(10)
    endings.close()
    gone.set()
    wait_until(lambda: thread() is None)
    assert heard.times == 0


def test_a_listener_that_fails_hears_the_next_one(
    endings: Endings, sleeper: Sleeper, caplog: pytest.LogCaptureFixture
) -> None:
    times = []

    def fail() -> None:
        times.append(1)
        raise RuntimeError("not now")

    endings.begin(fail)
    for number in (1, 2):
        process = sleeper()
        endings.follow(f"web{number}", process)
        kill(process)
        wait_until(lambda expected=number: len(times) == expected)  # type: ignore[misc]
    wait_until(lambda: "web2 was not heard" in caplog.text)
