"""Group commit: who waits together shares the disk's wait; failures reach everyone."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from swarmd.errors import (
    DeadlineExceeded,
    InternalError,
    ResourceLimitError,
    StateError,
    SwarmError,
    Unavailable,
)
from swarmd.messages.provider import ProviderRecord
from swarmd.ports import Batch
from tests.store.crash import FailingFiles, SteppedFiles
from tests.store.samples import (
    SetClock,
    alerts,
    close,
    ended,
    event,
    instance,
    make_store,
    opened,
    operation,
    reason,
)
from tests.support import wait_until


class HeldFiles(SteppedFiles):
    """A disk that can be held at its next sync."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.free.set()
        self.waiting = threading.Event()
        self.names: list[str] = []

    def step(self, name: str, path: str = "") -> None:
        super().step(name, path)
        self.names.append(f"{name} {Path(path).name}".strip())
        if name == "sync" and not self.free.is_set():
            self.waiting.set()
            self.free.wait(30)

    def hold(self) -> None:
        self.waiting.clear()
        self.free.clear()


def test_what_queues_up_behind_a_slow_disk_is_written_as_one_group(tmp_path: Path) -> None:
    files = HeldFiles()
    with opened(tmp_path / "state", files=files) as store:
        files.hold()
        store.submit(operations=(operation("first"),), events=(event(1),))
        assert files.waiting.wait(10)
        for number in range(50):
            store.submit(
                operations=(operation(f"o{number}"),),
                instances=(instance(f"i{number}"),),
                events=(event(number + 2),),
            )
        files.names.clear()
        files.free.set()
        assert [store.answer() for _ in range(51)] == [None] * 51
        syncs = files.names.count("sync")
        alone = 5 * 50  # two files, two folders, the journal
        rest_of_the_first = 2
        assert syncs <= 2 * 50 + 3 + rest_of_the_first < alone / 2
        assert len(store.store.reload().instances) == 50


def test_answers_come_in_order_of_submission(tmp_path: Path) -> None:
    told: list[int] = []
    finished = threading.Event()
    store = make_store(tmp_path / "state")
    store.open()
    for number in range(200):

        def done(error: Exception | None, number: int = number) -> None:
            told.append(number)
            if number == 199:
                finished.set()

        store.submit(Batch(instances=(instance(f"i{number % 7}", observation=number),)), done)
    assert finished.wait(20)
    close(store)
    assert told == list(range(200))


def test_what_is_told_of_one_after_it_was_dropped_is_kept(tmp_path: Path) -> None:
    """Both wait for the disk together; the story goes with the drop, and begins anew."""
    files = HeldFiles()
    with opened(tmp_path, files=files) as now:
        files.hold()
        now.submit(instances=(instance("i1"),))
        assert files.waiting.wait(20)
        now.submit(reasons=(("i1", reason("before")),))
        now.submit(drop_instances=("i1",))
        now.submit(reasons=(("i1", reason("after")),))
        files.free.set()
        assert [now.answer() for _ in range(4)] == [None] * 4
        assert [one.why for one in now.store.story("i1")] == ["after"]


def test_the_order_on_disk(tmp_path: Path) -> None:
    files = HeldFiles()
    with opened(tmp_path / "state", files=files) as store:
        store.write(operations=(operation("o0"),), instances=(instance("i0"),))
        files.names.clear()
        store.write(
            instances=(instance("i1"),),
            operations=(operation("o1"),),
            providers=(ProviderRecord(name="local", type="local"),),
            alerts=alerts("a1"),
            drop_instances=("i0",),
            drop_operations=("o0",),
            reasons=(("i1", reason("made")), ("i0", reason("not kept"))),
        )
        changes = [one for one in files.names if one.startswith(("rename", "append", "unlink"))]
        assert changes == [
            "rename o1.json",
            "rename providers.json",
            "rename i1.json",
            "rename alerts.json",
            "append_to i1.jsonl",
            "unlink i0.json",
            "unlink i0.jsonl",
            "unlink i0.json",
            "unlink o0.json",
        ]


def test_files_are_the_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    import os

    before = os.umask(0o777)
    try:
        with opened(tmp_path / "state") as store:
            store.write(
                operations=(operation("o1"),),
                instances=(instance("i1"),),
                events=(event(1),),
                reasons=(("i1", reason("made")),),
            )
            store.store.save_status(b"{}")
            store.store.reload()
    finally:
        os.umask(before)
    root = tmp_path / "state"
    modes = {
        str(path.relative_to(root)): oct(path.stat().st_mode & 0o777) for path in root.rglob("*")
    }
    assert {modes.pop(name) for name in list(modes) if "." not in name and name != "lock"} == {
        "0o700"
    }
    assert set(modes.values()) == {"0o600"}
    assert {"swarm-state.json", "instances/i1.json", "stories/i1.jsonl", "lock"} < set(modes)


def _whole() -> dict[str, Any]:
    return {
        "operations": (operation("o1"),),
        "instances": (instance("i1"), instance("i2")),
        "events": (event(1), event(2)),
        "reasons": (("i1", reason("made")),),
        "drop_instances": ("i0",),
        "drop_operations": ("o0",),
    }


@pytest.mark.parametrize(
    "error", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE]
)
def test_a_failure_at_any_step_is_told_and_a_retry_succeeds(tmp_path: Path, error: int) -> None:
    """At every step in turn; after ``resume`` the same batch goes through."""
    at = 0
    while True:
        at += 1
        files = FailingFiles()
        with opened(tmp_path / f"state{at}", files=files) as store:
            store.write(operations=(operation("o0"),), instances=(instance("i0"),))
            files.steps, files.at, files.error = 0, at, error
            answer = store.try_write(**_whole())
            files.at = 0
            if not files.failed:
                break
            if answer is not None:
                _check_failure(answer, error)
                assert store.try_write(instances=(instance("i3"),)) is answer
                again = store.store.reload()
                assert {one.id for one in again.instances} <= {"i0", "i1", "i2"}
                # The numbers of events that nobody was answered for are free again.
                assert again.last_seq == 0
                assert store.store.history(0, 10) == (False, [])
                store.store.resume()
                store.write(**_whole())
            last = store.store.reload()
            assert {one.id for one in last.instances} == {"i1", "i2"}
            assert {one.id for one in last.operations} == {"o1"}
            assert [one.seq for one in store.store.history(0, 10)[1]] == [1, 2]
            assert store.store.story("i1")[-1].why == "made"
        assert list((tmp_path / f"state{at}").rglob("*.tmp")) == []
    assert at > 15


def _check_failure(answer: Exception, error: int) -> None:
    assert isinstance(answer, SwarmError)
    full = error in {errno.ENOSPC, errno.EDQUOT, errno.EMFILE}
    assert type(answer) is (ResourceLimitError if full else StateError)
    assert answer.next_step
    assert "state" in answer.details["path"]
    assert answer.details["cause"]


def test_after_a_failure_nothing_submitted_before_resume_is_written(tmp_path: Path) -> None:
    files = FailingFiles(error=errno.ENOSPC)
    with opened(tmp_path / "state", files=files) as store:
        files.at, files.lasting = files.steps + 1, True
        for name in ("a", "b", "c"):
            store.submit(instances=(instance(name),))
        assert all(isinstance(store.answer(), ResourceLimitError) for _ in range(3))
        files.at = 0
        store.submit(instances=(instance("d"),))
        store.store.resume()
        store.submit(instances=(instance("e"),))
        assert isinstance(store.answer(), ResourceLimitError)
        assert store.answer() is None
        assert [one.id for one in store.store.reload().instances] == ["e"]


def test_an_event_out_of_order_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with opened(tmp_path / "state") as store:
        store.write(events=(event(1),))
        answer = store.try_write(instances=(instance("i1"),), events=(event(1),))
        assert isinstance(answer, InternalError)
        assert answer.next_step
        assert store.store.reload().instances == ()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "x" * 200, "a\x00b"])
def test_an_id_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with opened(tmp_path / "state") as store:
        if name:
            assert isinstance(store.try_write(instances=(instance(name),)), InternalError)
            store.store.resume()
        assert isinstance(store.try_write(reasons=((name or "..", reason("x")),)), InternalError)
        assert store.store.story(name) == ()


def test_the_writer_outlives_faults_of_its_callers(tmp_path: Path) -> None:
    def fails(error: Exception | None) -> None:
        raise SystemExit("a caller's fault")

    with opened(tmp_path / "state") as store:
        store.store.submit(Batch(instances=(instance("i1"),)), fails)
        assert isinstance(store.try_write(instances=(object(),)), InternalError)
        store.store.resume()
        store.write(instances=(instance("i2"),))
        assert [one.id for one in store.store.reload().instances] == ["i1", "i2"]


def test_reload_from_an_answer_does_not_wait_for_itself(tmp_path: Path) -> None:
    with opened(tmp_path / "state") as store:
        found: list[int] = []
        store.store.submit(
            Batch(instances=(instance("i1"),)),
            lambda error: found.append(len(store.store.reload().instances)),
        )
        store.write(instances=(instance("i2"),))
        assert found in ([1], [2])  # i2 may have been written with it


def test_status_is_written_lazily_and_only_the_last_one(tmp_path: Path) -> None:
    with opened(tmp_path / "state") as store:
        for number in range(20):
            store.store.save_status(b"%d" % number)
    assert (tmp_path / "state" / "swarm-state.json").read_bytes() == b"19"


def test_a_status_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    files = FailingFiles()
    with opened(tmp_path / "state", files=files) as store:
        files.at = files.steps + 1
        store.store.save_status(b"{}")
        store.store.reload()
        assert files.failed == ["create swarm-state.json.tmp"]
        store.write(instances=(instance("i1"),))


def test_after_close_batches_are_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path / "state")
    store.open()
    close(store)
    told: list[Exception | None] = []
    store.submit(Batch(), told.append)
    assert [type(one) for one in told] == [Unavailable]
    with pytest.raises(Unavailable):
        store.reload()
    close(store)


def test_close_writes_what_is_queued(tmp_path: Path) -> None:
    store = make_store(tmp_path / "state")
    store.open()
    told: list[Exception | None] = []
    for number in range(30):
        store.submit(Batch(instances=(instance(f"i{number}"),)), told.append)
    close(store)
    assert told == [None] * 30
    with opened(tmp_path / "state") as again:
        assert len(again.state.instances) == 30


def test_close_on_a_hanging_disk_ends_at_its_deadline_and_keeps_the_lock(tmp_path: Path) -> None:
    files = HeldFiles()
    store = make_store(tmp_path / "state", files=files)
    store.open()
    files.hold()
    told: list[Exception | None] = []
    store.submit(Batch(instances=(instance("i1"),)), told.append)
    assert files.waiting.wait(10)
    store.submit(Batch(instances=(instance("i2"),)), told.append)
    with pytest.raises(DeadlineExceeded) as refused:
        store.close(time.monotonic() + 0.05)
    assert refused.value.next_step
    with pytest.raises(StateError):
        make_store(tmp_path / "state").open()
    files.free.set()
    wait_until(lambda: len(told) == 2, describe=lambda: told)
    close(store)
    assert told[0] is None
    assert isinstance(told[1], Unavailable)


def test_the_oldest_ended_operations_are_swept(tmp_path: Path) -> None:
    with opened(tmp_path / "state", operations_kept=20) as store:
        store.write(operations=(operation("running"),))
        store.write(operations=tuple(ended(f"o{n:02}", n) for n in range(22)))
        assert len(store.store.reload().operations) == 21  # read again: the backstop of the start
        store.write(operations=tuple(ended(f"p{n:02}", 100 + n) for n in range(3)))
        store.write(operations=(operation("new"),))
        names = {path.stem for path in (tmp_path / "state" / "operations").iterdir()}
        assert {"running", "new", "p02"} < names
        assert "o02" not in names
        assert len(names) == 20 + 2


def test_story_lines_are_synced_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmd.store.writer._QUIET", 0.02)
    files = HeldFiles()
    with opened(tmp_path / "state", files=files, clock=SetClock()) as store:
        store.write(reasons=(("i1", reason("made")), ("i2", reason("made"))))
        wait_until(
            lambda: files.names.count("append_to i2.jsonl") == 2, describe=lambda: files.names
        )
