"""Stories: bounded, readable at once, gone with their instance, whole after a torn write."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from swarmd.errors import StateError
from tests.store.samples import Opened, instance, opened, reason


def _told(store: Opened, name: str = "i1") -> list[str]:
    return [one.why for one in store.store.story(name)]


def test_lines_are_there_when_the_batch_is_answered(tmp_path: Path) -> None:
    with opened(tmp_path / "state") as store:
        store.write(reasons=(("i1", reason("a")), ("i2", reason("x")), ("i1", reason("b"))))
        assert _told(store) == ["a", "b"]
        assert _told(store, "i2") == ["x"]
        assert _told(store, "unknown") == []
    with opened(tmp_path / "state") as store:
        store.write(reasons=(("i1", reason("c")),))
        assert _told(store) == ["a", "b", "c"]


def test_a_story_and_its_file_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "state" / "stories" / "i1.jsonl"
    with opened(tmp_path / "state", story_length=10) as store:
        for number in range(95):
            store.write(reasons=(("i1", reason(str(number))),))
            assert path.read_bytes().count(b"\n") < 20
            assert _told(store) == [str(n) for n in range(max(0, number - 9), number + 1)]


def test_a_story_goes_with_its_instance(tmp_path: Path) -> None:
    with opened(tmp_path / "state") as store:
        store.write(instances=(instance("i1"),), reasons=(("i1", reason("a")),))
        store.write(drop_instances=("i1",))
        assert _told(store) == []
        assert list((tmp_path / "state" / "stories").iterdir()) == []
        store.write(reasons=(("i1", reason("born again")),))
        assert _told(store) == ["born again"]
        store.write(drop_instances=("never", "was"))


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "state" / "stories" / "i1.jsonl"
    with opened(tmp_path / "state") as store:
        store.write(reasons=(("i1", reason("a")),))
    path.write_bytes(path.read_bytes() + b'{"at":"2026')
    with opened(tmp_path / "state") as store:
        assert _told(store) == ["a"]
        store.write(reasons=(("i1", reason("b")),))
        assert _told(store) == ["a", "b"]


def test_a_story_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with opened(tmp_path / "state") as store:
        (tmp_path / "state" / "stories" / "i1.jsonl").mkdir()
        with pytest.raises(StateError) as refused:
            store.store.story("i1")
        assert refused.value.details["cause"]
        assert store.try_write(reasons=(("i1", reason("a")),)) is not None


def test_a_sync_that_fails_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from tests.store.crash import FailingFiles

    files = FailingFiles(error=errno.EIO)
    with opened(tmp_path / "state", files=files) as store:
        store.write(reasons=(("i1", reason("a")),))
        files.at, files.lasting = files.steps + 1, True
    assert "could not sync" in caplog.text
