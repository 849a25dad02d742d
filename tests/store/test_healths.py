"""Healths: written lazily, gone with their instance, and never in the way of anything."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from swarmd.messages.enums import HealthStatus
from swarmd.messages.health import HealthPoint, InstanceHealth
from swarmd.store.files import Files
from swarmd.store.healths import Healths
from swarmd.store.layout import Layout
from tests.store.crash import FailingFiles
from tests.store.samples import NOW, instance, opened
from tests.support import wait_until


def health(instance_id: str = "i1", words: str = "it answers", points: int = 1) -> InstanceHealth:
    history = tuple(
        HealthPoint(at=NOW, status=HealthStatus.HEALTHY, seconds=0.001 * n, message=words)
        for n in range(points)
    )
    return InstanceHealth(
        id=instance_id,
        ref=f"ana/{instance_id}",
        status=HealthStatus.HEALTHY,
        last_checked=NOW,
        details=words,
        history=history,
    )


def made(root: Path, files: Files | None = None) -> Healths:
    (root / "health").mkdir(parents=True, exist_ok=True)
    return Healths(files or Files(), Layout(str(root)))


def path(root: Path, instance_id: str = "i1") -> Path:
    return root / "health" / f"{instance_id}.json"


def test_what_was_given_is_read_before_and_after_it_is_written(tmp_path: Path) -> None:
    healths = made(tmp_path)
    healths.give([health(words="first"), health(words="last"), health("i2", points=100)])
    assert healths.read("i1") == health(words="last")
    assert not path(tmp_path).exists()
    healths.sync()
    assert path(tmp_path).exists()
    for each in (healths, made(tmp_path)):
        assert each.read("i1") == health(words="last")
        assert each.read("i2") == health("i2", points=100)
        assert each.read("never") is None


def test_what_is_not_new_is_not_written_again(tmp_path: Path) -> None:
    healths = made(tmp_path)
    healths.give([health()])
    healths.sync()
    before = path(tmp_path).stat().st_ino
    healths.sync()
    assert path(tmp_path).stat().st_ino == before


def test_it_goes_with_its_instance_written_or_not(tmp_path: Path) -> None:
    healths = made(tmp_path)
    healths.give([health()])
    healths.sync()
    healths.give([health(words="new")])
    healths.drop("i1")
    healths.drop("i1")
    healths.sync()
    assert healths.read("i1") is None
    assert not path(tmp_path).exists()


@pytest.mark.parametrize("content", [b"", b"{", b'{"id": 3}', b"\xff", b"[" * 10000])
def test_what_cannot_be_read_is_told_and_begins_anew(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    healths = made(tmp_path)
    path(tmp_path).write_bytes(content)
    assert healths.read("i1") is None
    assert "could not read" in caplog.text
    healths.give([health()])
    healths.sync()
    assert made(tmp_path).read("i1") == health()


def test_a_folder_in_its_place_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    healths = made(tmp_path)
    path(tmp_path).mkdir()
    assert healths.read("i1") is None
    assert "could not read" in caplog.text


def test_what_the_disk_does_not_take_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = FailingFiles(at=1, error=errno.ENOSPC, lasting=True)
    healths = made(tmp_path, files)
    healths.give([health(words="old"), health("i2")])
    healths.sync()
    assert "could not write" in caplog.text
    assert healths.read("i1") == health(words="old")
    assert made(tmp_path).read("i1") is None
    files.at = 0
    healths.sync()
    assert made(tmp_path).read("i1") == health(words="old")
    assert made(tmp_path).read("i2") == health("i2")


def test_what_was_given_meanwhile_is_newer(tmp_path: Path) -> None:
    """A write that fails does not put its old words back over what came in between."""

    class Between(FailingFiles):
        def step(self, name: str, path: str = "") -> None:
            healths.give([health(words="new")])
            super().step(name, path)

    files = Between(at=1, error=errno.ENOSPC, lasting=True)
    healths = made(tmp_path, files)
    healths.give([health(words="old")])
    healths.sync()
    assert healths.read("i1") == health(words="new")
    files.at = 0
    healths.sync()
    assert made(tmp_path).read("i1") == health(words="new")


def test_threads_give_and_read_while_one_writes(tmp_path: Path) -> None:
    healths = made(tmp_path)
    done = threading.Event()

    def give(instance_id: str) -> None:
        for number in range(200):
            healths.give([health(instance_id, words=str(number))])
            found = healths.read(instance_id)
            assert found is not None
            assert found.details == str(number)
        done.set()

    givers = [threading.Thread(target=give, args=(f"i{n}",)) for n in range(3)]
    for giver in givers:
        giver.start()
    while not done.is_set():
        healths.sync()
    for giver in givers:
        giver.join(20)
    healths.sync()
    assert {made(tmp_path).read(f"i{n}").details for n in range(3)} == {"199"}  # type: ignore[union-attr]


# --- as a part of the store ---------------------------------------------------------------------


def test_the_store_keeps_it_over_a_restart_and_drops_it_with_its_instance(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root) as store:
        store.write(instances=(instance("i1"),))
        store.store.keep_health([health()])
        assert store.store.health("i1") == health()
    assert path(root).stat().st_mode & 0o777 == 0o600
    with opened(root) as store:
        assert store.store.health("i1") == health()
        store.write(drop_instances=("i1",))
        assert store.store.health("i1") is None
        assert list((root / "health").iterdir()) == []


def test_it_is_written_within_seconds_while_the_store_is_open(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with opened(root) as store:
        store.store.keep_health([health()])
        store.write(instances=(instance("i1"),))
        wait_until(path(root).exists)


@pytest.mark.parametrize("name", ["../i1", "a/b", "", ".."])
def test_an_id_that_leads_elsewhere_is_nobodys(tmp_path: Path, name: str) -> None:
    root = tmp_path / "state"
    with opened(root) as store:
        store.store.keep_health([health(name)])
        assert store.store.health(name) is None
    assert list((root / "health").iterdir()) == []
