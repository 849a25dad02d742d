"""Order within a key, parallel keys, and tasks that do not come back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from swarmd.actors.lanes import Lanes
from swarmd.errors import ResourceLimitError, Unavailable
from tests.support import wait_until


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes("test", 2)
    yield made
    assert made.close(5.0)


class Task:
    """One that runs until it is let go."""

    def __init__(self, name: str, log: list[str], *, held: bool = True) -> None:
        self.name, self.log = name, log
        self.began, self.go = threading.Event(), threading.Event()
        self.cancelled = threading.Event()
        if not held:
            self.go.set()

    def __call__(self) -> None:
        self.log.append(f"{self.name}+")
        self.began.set()
        while not (self.go.wait(0.005) or self.cancelled.is_set()):
            pass
        self.log.append(f"{self.name}-")


def test_order_within_a_key(lanes: Lanes) -> None:
    log: list[str] = []
    tasks = [Task(str(n), log, held=n == 0) for n in range(20)]
    for task in tasks:
        lanes.submit("a", task, task.cancelled)
    tasks[0].go.set()
    wait_until(lambda: len(log) == 40)
    assert log == [f"{n}{sign}" for n in range(20) for sign in "+-"]
    wait_until(lambda: not lanes.busy("a"))


def test_keys_run_in_parallel_up_to_the_limit(lanes: Lanes) -> None:
    log: list[str] = []
    tasks = [Task(key, log) for key in "abc"]
    for task in tasks:
        lanes.submit(task.name, task, task.cancelled)
    assert tasks[0].began.wait(5)
    assert tasks[1].began.wait(5)
    assert not tasks[2].began.wait(0.05)
    tasks[1].go.set()
    assert tasks[2].began.wait(5)
    assert lanes.busy("a")
    for task in tasks:
        task.go.set()


def test_cancel_reaches_what_runs_and_what_waits(lanes: Lanes) -> None:
    log: list[str] = []
    tasks = [Task(str(n), log) for n in range(3)]
    for task in tasks:
        lanes.submit("a", task, task.cancelled)
    other = Task("other", log)
    lanes.submit("b", other, other.cancelled)
    lanes.cancel("a")
    lanes.cancel("nobody")
    wait_until(lambda: not lanes.busy("a"))
    assert not other.cancelled.is_set()
    other.go.set()


def test_an_abandoned_task_holds_up_nobody(lanes: Lanes) -> None:
    log: list[str] = []
    deaf = [Task(f"deaf{n}", log) for n in range(2)]
    never = threading.Event()
    for number, task in enumerate(deaf):
        lanes.submit(str(number), task, never)
        assert task.began.wait(5)
    after = Task("after", log, held=False)
    lanes.submit("0", after, after.cancelled)
    lanes.abandon("0")
    lanes.abandon("nobody")
    wait_until(lambda: "after-" in log)
    wait_until(lambda: not lanes.busy("0"))
    # It comes back at last: its thread ends, and the key goes on as before.
    for task in deaf:
        task.go.set()
    again = Task("again", log, held=False)
    lanes.submit("0", again, again.cancelled)
    wait_until(lambda: "again-" in log)


def test_abandoning_many_leaves_the_limit_as_it_was(lanes: Lanes) -> None:
    log: list[str] = []
    deaf = [Task(str(n), log) for n in range(5)]
    for task in deaf:
        lanes.submit("k", task, threading.Event())
        assert task.began.wait(5)
        lanes.abandon("k")
    for task in deaf:
        task.go.set()
    wait_until(lambda: len(log) == 10)
    three = [Task(f"x{n}", log) for n in range(3)]
    for task in three:
        lanes.submit(task.name, task, task.cancelled)
    assert three[0].began.wait(5)
    assert three[1].began.wait(5)
    assert not three[2].began.wait(0.05)
    for task in three:
        task.go.set()


def test_a_task_that_raises_does_not_end_its_lane(
    lanes: Lanes, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []

    def broken() -> None:
        raise ZeroDivisionError("a fault of ours")

    lanes.submit("a", broken, threading.Event())
    fine = Task("fine", log, held=False)
    lanes.submit("a", fine, fine.cancelled)
    wait_until(lambda: "fine-" in log)
    assert "a task of test failed" in caplog.text


def test_a_task_that_exits_does_not_end_its_lane(lanes: Lanes) -> None:
    log: list[str] = []
    for _ in range(4):
        lanes.submit("a", lambda: (_ for _ in ()).throw(SystemExit(1)), threading.Event())
    fine = Task("fine", log, held=False)
    lanes.submit("a", fine, fine.cancelled)
    wait_until(lambda: "fine-" in log)


def test_close_cancels_and_waits() -> None:
    log: list[str] = []
    lanes = Lanes("closing", 1)
    running, waiting = Task("running", log), Task("waiting", log)
    lanes.submit("a", running, running.cancelled)
    lanes.submit("b", waiting, waiting.cancelled)
    assert running.began.wait(5)
    assert lanes.close(5.0)
    assert lanes.closed
    assert log == ["running+", "running-"]
    with pytest.raises(Unavailable):
        lanes.submit("a", running, running.cancelled)


def test_close_does_not_wait_for_ever() -> None:
    lanes, deaf = Lanes("closing", 1), Task("deaf", [])
    lanes.submit("a", deaf, threading.Event())
    assert deaf.began.wait(5)
    assert not lanes.close(0.05)
    deaf.go.set()
    assert lanes.close(5.0)


def test_no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    lanes, log = Lanes("none", 2), list[str]()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(ResourceLimitError) as caught:
            lanes.submit("a", Task("a", log), threading.Event())
    assert caught.value.next_step
    assert not lanes.busy("a")
    first = Task("first", log)
    lanes.submit("a", first, first.cancelled)
    assert first.began.wait(5)
    # With one thread there, the next key waits for it instead of being refused.
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        second = Task("second", log, held=False)
        lanes.submit("b", second, second.cancelled)
    first.go.set()
    wait_until(lambda: "second-" in log)
    assert lanes.close(5.0)


def test_under_load(lanes: Lanes) -> None:
    seen: dict[str, list[int]] = {key: [] for key in "abcdefgh"}

    def task(key: str, number: int) -> Callable[[], None]:
        return lambda: seen[key].append(number)

    def feed(keys: str) -> None:
        for number in range(200):
            for key in keys:
                lanes.submit(key, task(key, number), threading.Event())

    feeders = [threading.Thread(target=feed, args=(keys,)) for keys in ("abcd", "efgh")]
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join()
    wait_until(lambda: all(len(each) == 200 for each in seen.values()))
    assert all(each == sorted(each) for each in seen.values())
