"""Samples over days: rotated, read by time, and never in the way of anything."""

from __future__ import annotations

import errno
import itertools
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from swarmd.messages import codec
from swarmd.messages.telemetry import SwarmMetrics
from swarmd.store import metrics as module
from swarmd.store.files import Files, read_file
from swarmd.store.metrics import MetricsFiles
from swarmd.store.quarantine import Quarantine
from tests.core.telemetry.samples import sample
from tests.store.crash import FailingFiles
from tests.store.samples import NOW, instance, opened, put_file

FOREVER = (NOW - timedelta(days=365), NOW + timedelta(days=365))


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def taken(minutes: float) -> SwarmMetrics:
    return sample(at(minutes), running=int(minutes), seq=int(minutes))


def made(root: Path, files: Files | None = None, *, kept: int = 100) -> MetricsFiles:
    """One that has looked at what is there, as the store does at its start."""
    (root / "quarantine").mkdir(exist_ok=True)
    stamps = itertools.count()
    quarantine = Quarantine(Files(), str(root), lambda: f"stamp{next(stamps)}")
    found = MetricsFiles(files or Files(), str(root / "metrics"), quarantine, kept)
    found.open()
    return found


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "metrics").iterdir())


def minutes_in(kept: MetricsFiles, first: float = -1e5, last: float = 1e5) -> list[int]:
    return [each.instances.total for each in kept.read(at(first), at(last))]


def fill(kept: MetricsFiles, *numbers: int) -> None:
    for number in numbers:
        kept.give(taken(number))
    kept.sync()


def test_samples_stand_as_lines_in_a_file_named_by_its_first(tmp_path: Path) -> None:
    kept = made(tmp_path)
    fill(kept, 0, 1)
    fill(kept, 2)
    assert names(tmp_path) == ["metrics-20261121T120000.000000Z.jsonl"]
    path = tmp_path / "metrics" / names(tmp_path)[0]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    lines = path.read_bytes().splitlines()
    assert [codec.decoder(SwarmMetrics).decode(line) for line in lines] == [
        taken(0), taken(1), taken(2),
    ]  # fmt: skip
    assert kept.last() == taken(2)


def test_what_was_given_is_read_before_it_is_on_disk(tmp_path: Path) -> None:
    kept = made(tmp_path)
    kept.give(taken(0))
    assert minutes_in(kept) == [0]
    assert not (tmp_path / "metrics").exists()
    assert kept.last() is None
    kept.sync()
    assert minutes_in(kept) == [0]
    assert kept.last() == taken(0)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are full at twelve."""
    monkeypatch.setattr(module, "SAMPLES_PER_FILE", 12)


def test_a_hundred_files_at_one_a_minute_are_ten_days() -> None:
    assert 100 * module.SAMPLES_PER_FILE * 60 == 10 * 86400


@pytest.mark.usefixtures("small")
def test_files_become_full_and_the_oldest_go(tmp_path: Path) -> None:
    kept = made(tmp_path, kept=3)
    for start in range(0, 60, 12):
        fill(kept, *range(start, start + 12))
    assert minutes_in(kept) == list(range(24, 60))
    assert len(names(tmp_path)) == 3
    kept.configure(2)
    fill(kept, 60)
    assert minutes_in(kept) == list(range(48, 61))
    assert len(names(tmp_path)) == 2
    fill(made(tmp_path), 61)
    assert len(names(tmp_path)) == 2


@pytest.mark.usefixtures("small")
def test_only_files_of_the_time_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = made(tmp_path)
    for start in range(0, 48, 12):
        fill(kept, *range(start, start + 12))
    read: list[str] = []

    def noted(path: str, folder_fd: int | None = None) -> bytes:
        read.append(Path(path).name)
        return read_file(path, folder_fd)

    monkeypatch.setattr(module, "read_file", noted)
    assert minutes_in(kept, 14, 20) == list(range(14, 21))
    assert read == names(tmp_path)[1:2]
    read.clear()
    assert minutes_in(kept, 40) == list(range(40, 48))
    assert read == names(tmp_path)[3:]


def test_the_next_start_goes_on_in_the_same_file(tmp_path: Path) -> None:
    fill(made(tmp_path), 0, 1)
    fill(made(tmp_path), 2)
    assert len(names(tmp_path)) == 1
    assert minutes_in(made(tmp_path)) == [0, 1, 2]


def test_a_line_that_a_crash_cut_off_stays_alone(tmp_path: Path) -> None:
    fill(made(tmp_path), 0, 1)
    path = tmp_path / "metrics" / names(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-40])
    again = made(tmp_path)
    assert minutes_in(again) == [0]
    assert again.quarantined == []
    fill(again, 2, 3)
    assert minutes_in(again) == [0, 2, 3]
    assert minutes_in(made(tmp_path)) == [0, 2, 3]


def test_a_first_line_that_was_cut_off_is_no_bad_file(tmp_path: Path) -> None:
    fill(made(tmp_path), 0)
    path = tmp_path / "metrics" / names(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:30])
    again = made(tmp_path)
    assert again.quarantined == []
    fill(again, 1)
    once_more = made(tmp_path)
    assert once_more.quarantined == []
    assert minutes_in(once_more) == [1]


@pytest.mark.parametrize(
    "content", [b"nonsense\n", b"{}\n[]\n", b"\xff\xfe\n", b"[" * 9999 + b"\n"]
)
def test_a_file_without_a_sample_is_set_aside_with_the_reason(
    tmp_path: Path, content: bytes
) -> None:
    name = "metrics-20261121T110000.000000Z.jsonl"
    fill(made(tmp_path), 0)
    put_file(tmp_path, f"metrics/{name}", content)
    again = made(tmp_path)
    assert len(again.quarantined) == 1
    assert f"metrics-{name}: no line of it is a sample" in again.quarantined[0]
    assert minutes_in(again) == [0]
    assert (tmp_path / "quarantine" / f"stamp0-metrics-{name}").read_bytes() == content


def test_a_link_and_a_folder_in_the_place_of_files_are_set_aside(tmp_path: Path) -> None:
    put_file(tmp_path, "elsewhere", codec.encode(taken(5)) + b"\n")
    fill(made(tmp_path), 0)
    link = tmp_path / "metrics" / "metrics-20261121T120500.000000Z.jsonl"
    link.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "metrics" / "metrics-20261121T120600.000000Z.jsonl").mkdir()
    again = made(tmp_path)
    assert len(again.quarantined) == 2
    assert minutes_in(again) == [0]


@pytest.mark.usefixtures("small")
def test_what_is_no_file_of_ours_is_left_alone(tmp_path: Path) -> None:
    put_file(tmp_path, "metrics/notes.txt", b"mine")
    put_file(tmp_path, "metrics/metrics-today.jsonl", b"mine, too")
    kept = made(tmp_path, kept=1)
    fill(kept, *range(10))
    fill(kept, *range(10, 20))
    assert {"notes.txt", "metrics-today.jsonl"} < set(names(tmp_path))
    assert len(names(tmp_path)) == 3


def test_samples_of_a_newer_version_are_left_out(tmp_path: Path) -> None:
    newer = codec.encode(sample(at(1), version=2)) + b"\n"
    put_file(tmp_path, "metrics/metrics-20261121T120100.000000Z.jsonl", newer)
    kept = made(tmp_path)
    assert kept.quarantined == []
    assert minutes_in(kept) == []
    assert kept.last() is None


@pytest.mark.parametrize("step", range(1, 6))
def test_what_a_full_disk_does_not_take_waits(
    tmp_path: Path, step: int, caplog: pytest.LogCaptureFixture
) -> None:
    files = FailingFiles(at=step, error=errno.ENOSPC, lasting=True)
    kept = made(tmp_path, files)
    kept.give(taken(0))
    kept.give(taken(1))
    for _ in range(3):
        kept.sync()
    assert minutes_in(kept) == [0, 1]
    assert caplog.text.count("cannot be written") == 1
    files.at = 0
    fill(kept, 2)
    assert minutes_in(kept) == [0, 1, 2]
    assert minutes_in(made(tmp_path)) == [0, 1, 2]


def test_a_disk_that_stays_full_costs_a_bounded_memory(tmp_path: Path) -> None:
    kept = made(tmp_path, FailingFiles(at=1, error=errno.ENOSPC, lasting=True))
    fill(kept, *range(1000))
    assert minutes_in(kept) == list(range(1000 - 144, 1000))


def test_threads_read_while_one_writes(tmp_path: Path) -> None:
    kept = made(tmp_path, kept=1000)
    done = threading.Event()

    def give() -> None:
        for number in range(600):
            kept.give(taken(number))
            # What was given is told once, wherever it is right now.
            assert minutes_in(kept, number - 5) == list(range(max(0, number - 5), number + 1))
        done.set()

    giver = threading.Thread(target=give)
    giver.start()
    while not done.is_set() and giver.is_alive():
        kept.sync()
    giver.join(20)
    assert done.is_set()


# --- as a part of the store ---------------------------------------------------------------------


def test_the_store_keeps_samples_over_a_restart(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root) as store:
        assert store.store.last_metrics() is None
        store.store.keep_metrics(taken(0))
        assert list(store.store.metrics(*FOREVER)) == [taken(0)]
    assert (root / "metrics").stat().st_mode & 0o777 == 0o700
    with opened(root) as store:
        assert store.store.last_metrics() == taken(0)
        store.store.keep_metrics(taken(1))
        assert list(store.store.metrics(*FOREVER)) == [taken(0), taken(1)]


def test_the_start_tells_of_a_bad_file_and_goes_on(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root):
        pass
    put_file(root, "metrics/metrics-20261121T120100.000000Z.jsonl", b"nonsense\n")
    with opened(root) as store:
        assert any("is a sample" in line for line in store.state.quarantined)
        assert store.store.quarantined() == 1


def test_a_folder_that_cannot_be_read_keeps_nobody_from_starting(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root):
        pass
    put_file(root, "metrics", b"a file in its place")
    with opened(root) as store:
        store.store.keep_metrics(taken(0))
        assert list(store.store.metrics(*FOREVER)) == [taken(0)]
        store.write(instances=(instance("i1"),))
    assert (root / "instances" / "i1.json").exists()
