"""The journal: numbers go on, torn ends are cut, segments roll and go, readers find gaps."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from swarmd.messages.enums import DesiredState, HealthStatus, InstanceStatus
from swarmd.messages.events import TableRow
from swarmd.store import segment
from swarmd.store.segment import Index, Segment
from tests.store.samples import Opened, SetClock, event, opened
from tests.support import wait_until

ROW = TableRow(
    id="i1",
    owner="ana",
    name="web",
    provider="local",
    desired=DesiredState.RUNNING,
    status=InstanceStatus.RUNNING,
    health=HealthStatus.UNKNOWN,
)


def _write(store: Opened, first: int, last: int) -> None:
    for seq in range(first, last + 1):
        store.write(events=(event(seq, pad="x" * 100),))


def _seqs(store: Opened, after: int = 0, limit: int = 1000) -> tuple[bool, list[int]]:
    gap, events = store.store.history(after, limit)
    return gap, [one.seq for one in events]


def _segments(root: Path) -> list[Path]:
    return sorted((root / "journal").iterdir())


def test_history_over_segments(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root, segment_size=1000) as store:
        _write(store, 1, 40)
        assert len(_segments(root)) > 5
    with opened(root, segment_size=1000) as store:
        assert store.state.last_seq == 40
        for after, limit in itertools.product((0, 1, 5, 17, 39, 40, 41, 99), (0, 1, 7, 100)):
            expected = list(range(after + 1, 41))[:limit]
            assert _seqs(store, after, limit) == (False, expected)
        _write(store, 41, 45)
        assert _seqs(store, 38) == (False, list(range(39, 46)))


def test_a_segment_begins_with_header_and_table(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root, segment_size=500) as store:
        store.store.snapshot_rows(lambda: (0, [ROW]))
        _write(store, 1, 10)
        journal = store.state.journal
    first, *_, last = _segments(root)
    header, table, begun = last.read_text().splitlines()[:3]
    assert json.loads(header) == {
        "journal": journal,
        "first_seq": int(last.stem),
        "at": "2026-11-21T12:00:00Z",
        "version": 1,
        "table_seq": 0,
    }
    assert json.loads(table) == [["i1", "ana", "web", "local", "running", "running", "unknown"]]
    assert json.loads(begun)["seq"] == int(last.stem)
    assert first.name == "00000000000000000001.jsonl"


def test_a_table_that_fails_costs_no_event(tmp_path: Path) -> None:
    with opened(tmp_path / "state", segment_size=300) as store:
        store.store.snapshot_rows(lambda: 1 / 0)  # type: ignore[arg-type,return-value]
        _write(store, 1, 5)
        assert _seqs(store) == (False, [1, 2, 3, 4, 5])


def test_old_segments_go_by_size_and_leave_a_gap(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root, segment_size=1000, max_size=3000) as store:
        _write(store, 1, 60)
        store.store.reload()  # segments are dropped after the answer
        kept = _segments(root)
        assert sum(path.stat().st_size for path in kept) <= 3000 + 1300
        first = int(kept[0].stem)
        assert first > 1
        gap, seqs = _seqs(store)
        assert (gap, seqs) == (True, list(range(first, 61)))
        assert _seqs(store, first - 1) == (False, list(range(first, 61)))
    with opened(root, segment_size=1000, max_size=3000) as store:
        assert _seqs(store, first - 2)[0] is True


def test_old_segments_go_by_age_and_the_current_one_stays(tmp_path: Path) -> None:
    root, clock = tmp_path / "state", SetClock()
    with opened(root, clock=clock, retention=8000) as store:
        _write(store, 1, 3)
        clock.forward(1001)
        _write(store, 4, 6)
        assert len(_segments(root)) == 2
        clock.forward(8001)
    with opened(root, clock=clock, retention=8000) as store:
        (only,) = _segments(root)
        assert int(only.stem) == 4
        assert store.state.last_seq == 6
        assert _seqs(store) == (True, [4, 5, 6])
        _write(store, 7, 7)
        clock.forward(8001)
        _write(store, 8, 8)
        store.store.reload()  # segments are dropped after the answer
        assert [int(path.stem) for path in _segments(root)] == [7, 8]
        assert _seqs(store, 8) == (False, [])


@pytest.mark.parametrize(
    "torn",
    [b'{"seq":4,"jour', b"\x00" * 300, b'{"seq":4,"jour\n', b"\x00\n\x00\n", b"\n", b'{"a":1}\n'],
)
def test_a_torn_end_is_cut_and_kept_and_numbers_go_on(tmp_path: Path, torn: bytes) -> None:
    root = tmp_path / "state"
    with opened(root) as store:
        _write(store, 1, 3)
        journal = store.state.journal
    (path,) = _segments(root)
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    with opened(root) as store:
        assert (store.state.last_seq, store.state.journal) == (3, journal)
        (line,) = store.state.quarantined
        assert "interrupted" in line
        assert path.read_bytes() == whole
        _write(store, 4, 4)
        assert _seqs(store) == (False, [1, 2, 3, 4])
    kept = [one for one in (root / "quarantine").iterdir() if one.suffix != ".why"]
    assert [one.read_bytes() for one in kept] == [torn]


def test_a_bad_line_in_the_middle_is_stepped_over_and_told_as_a_gap(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root) as store:
        _write(store, 1, 5)
    (path,) = _segments(root)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = b"#" * (len(lines[3]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    with opened(root) as store:
        assert store.state.last_seq == 5
        assert _seqs(store) == (True, [1, 3, 4, 5])
        assert _seqs(store, 2) == (False, [3, 4, 5])


def test_a_lost_last_segment_begins_a_new_journal_and_gives_no_number_twice(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root, segment_size=500) as store:
        _write(store, 1, 10)
        journal = store.state.journal
    last = _segments(root)[-1]
    last.write_bytes(b"not a header\n")
    with opened(root, segment_size=500) as store:
        assert store.state.journal != journal
        assert store.state.last_seq >= int(last.stem)
        assert len(store.state.quarantined) == 1
        seq = store.state.last_seq + 1
        _write(store, seq, seq)
        assert _seqs(store, seq - 1) == (False, [seq])
        assert _seqs(store)[0] is True
        new = store.state.journal
    with opened(root, segment_size=500) as store:
        assert (store.state.journal, store.state.last_seq) == (new, seq)


def test_a_lost_segment_in_the_middle_is_a_gap(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root, segment_size=500) as store:
        _write(store, 1, 10)
        journal = store.state.journal
    second = _segments(root)[1]
    second.write_bytes(b'{"journal":"x","first_seq":1,"at":"2026-11-21T12:00:00Z"}\n')
    with opened(root, segment_size=500) as store:
        assert (store.state.journal, store.state.last_seq) == (journal, 10)
        assert _seqs(store)[0] is True


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root) as store:
        _write(store, 1, 1)
    (root / "journal" / "notes.txt").write_text("mine")
    with opened(root) as store:
        assert store.state.last_seq == 1
    assert (root / "journal" / "notes.txt").exists()


def test_a_segment_that_goes_while_it_is_read_is_a_gap(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root, segment_size=500) as store:
        _write(store, 1, 10)
        _segments(root)[1].unlink()
        gap, seqs = _seqs(store)
        assert gap
        assert seqs[-1] == 10


def test_readers_and_the_writer_do_not_disturb_each_other(tmp_path: Path) -> None:
    with opened(tmp_path / "state", segment_size=2000) as store:
        ended, failures = threading.Event(), []

        def read() -> None:
            while not ended.is_set():
                gap, seqs = _seqs(store, after=5)
                if gap or seqs != list(range(6, 6 + len(seqs))):
                    failures.append((gap, seqs))

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        _write(store, 1, 120)
        ended.set()
        for reader in readers:
            reader.join()
        assert failures == []
        assert _seqs(store)[1][-1] == 120


def test_the_index_finds_a_place_at_or_before_the_event() -> None:
    index = Index()
    assert index.seek(5) is None
    for seq in range(1, 2001):
        index.add(seq, seq * 10)
    assert index.seek(0) == 10
    assert index.seek(256) == 10
    assert index.seek(257) == 2570
    assert index.seek(9999) == (256 * 7 + 1) * 10


def test_a_long_segment_is_read_from_the_middle(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root) as store:
        store.write(events=tuple(event(seq) for seq in range(1, 1501)))
        assert _seqs(store, 1200, 3) == (False, [1201, 1202, 1203])
    with opened(root, segment_size=100) as store:
        store.write(events=(event(1501),))
    with opened(root) as store:  # now its index is made by reading
        assert _seqs(store, 1200, 3) == (False, [1201, 1202, 1203])
        assert _seqs(store, 1499) == (False, [1500, 1501])


def test_an_index_made_while_the_journal_goes_back_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "state") as store:
        _write(store, 1, 3)
    (path,) = _segments(tmp_path / "state")
    whole = path.stat().st_size
    one = Segment(str(path), segment.read_header(str(path)), whole)
    first_event = one.index().seek(1)
    assert first_event is not None
    one.forget_index()
    threads: list[threading.Thread] = []
    find_numbers = segment.numbers

    def cut() -> None:
        one.length = first_event
        one.forget_index()

    def cut_meanwhile(name: str, end: int) -> Iterator[tuple[int | None, int]]:
        if not threads:
            threads.append(threading.Thread(target=cut))
            threads[0].start()
            wait_until(lambda: one.length == first_event)
            threads[0].join(0.05)  # it ends only if nothing holds it
        return find_numbers(name, end)

    monkeypatch.setattr(segment, "numbers", cut_meanwhile)
    one.index()
    threads[0].join()
    assert one.index().seek(1) is None


def test_names_of_segments() -> None:
    assert segment.number_in(segment.name_of(7)) == 7
    for name in ("7.jsonl", "x" * 20 + ".jsonl", "0" * 20, "0" * 20 + ".json", "lock"):
        assert segment.number_in(name) is None


def test_a_moment_begins_at_the_newest_table_before_it(tmp_path: Path) -> None:
    with opened(tmp_path / "state", segment_size=500) as store:
        # The table lags behind by two events: these are in the segment before its own.
        store.store.snapshot_rows(lambda: (max(0, _seqs(store)[1][-1] - 2), [ROW]))
        _write(store, 1, 10)
        for seq in range(1, 11):
            found = store.store.opening(seq, None)
            seqs = [event.seq for event in found.events]
            assert seqs == list(range(found.seq + 1, seq + 1))
            assert not found.gap
        assert list(store.store.opening(10, None).rows) == [ROW]
        assert [event.seq for event in store.store.opening(None, None).events][-1:] == [10]


def test_a_moment_before_all_that_is_kept_is_a_gap(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root, segment_size=1000, max_size=3000) as store:
        _write(store, 1, 60)
        store.store.reload()
        first = int(_segments(root)[0].stem)
        found = store.store.opening(first - 10, None)
        assert (found.gap, found.seq, list(found.events)) == (True, first - 1, [])
        by_time = store.store.opening(None, datetime(2020, 1, 1, tzinfo=UTC))
        assert by_time.gap
