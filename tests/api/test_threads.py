"""Threads for what blocks: bounded, in order, and none keeps the process."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import Future

import pytest

from swarmd.api.threads import Threads
from tests.support import CHECKOUT, wait_until


def test_results_and_errors_come_back() -> None:
    threads = Threads("swarmd-test", 2)
    assert threads.submit(lambda: 7).result(5) == 7
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(5)
    threads.end()
    assert threads.join(5)


def test_no_more_at_once_than_the_limit_and_idle_ones_are_used_again() -> None:
    threads, go_on, names = Threads("swarmd-test", 3), threading.Event(), set[int]()
    running = threading.Semaphore(0)

    def work() -> None:
        names.add(threading.get_ident())
        running.release()
        assert go_on.wait(10)

    futures = [threads.submit(work) for _ in range(7)]
    assert all(running.acquire(timeout=10) for _ in range(3))
    assert not running.acquire(blocking=False)
    go_on.set()
    for future in futures:
        future.result(10)
    threads.submit(lambda: names.add(threading.get_ident())).result(10)
    assert len(names) == 3
    threads.end()
    assert threads.join(5)


@pytest.mark.parametrize("cancel", [False, True])
def test_what_waits_at_the_end_is_done_or_cancelled(cancel: bool) -> None:
    threads, go_on, begun = Threads("swarmd-test", 1), threading.Event(), threading.Event()

    def first() -> bool:
        begun.set()
        return go_on.wait(10)

    futures: list[Future[bool]] = [threads.submit(first), threads.submit(lambda: True)]
    assert begun.wait(10)
    threads.end(cancel=cancel)
    assert not threads.join(0)
    with pytest.raises(RuntimeError):
        threads.submit(lambda: None)
    go_on.set()
    assert threads.join(10)
    assert futures[0].result(0)
    assert futures[1].cancelled() is cancel


def test_one_that_was_cancelled_while_it_waited_is_passed_over() -> None:
    threads, go_on = Threads("swarmd-test", 1), threading.Event()
    first = threads.submit(lambda: go_on.wait(10))
    wait_until(first.running)
    waiting = threads.submit(lambda: pytest.fail("it was cancelled"))
    assert waiting.cancel()
    go_on.set()
    threads.end()
    assert threads.join(10)


def test_without_a_new_thread_the_others_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads, go_on = Threads("swarmd-test", 2), threading.Event()
    busy = threads.submit(lambda: go_on.wait(10))
    wait_until(busy.running)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    second = threads.submit(lambda: 2)
    with pytest.raises(RuntimeError):
        Threads("swarmd-test", 1).submit(lambda: 1)
    go_on.set()
    assert second.result(10) == 2
    threads.end()
    assert threads.join(10)


def test_a_process_ends_though_one_hangs() -> None:
    program = (
        "import threading\n"
        "from swarmd.api.threads import Threads\n"
        "future = Threads('t', 1).submit(threading.Event().wait)\n"
        "while not future.running(): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, timeout=30, check=False)
    assert done.returncode == 0
