"""A full disk: refused with a clear error, nothing half-written, and going on afterwards."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.errors import ResourceLimitError, StateError
from tests.store.crash import FailingFiles
from tests.store.samples import event, instance, make_store, opened, operation, reason
from tests.support import require


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    require("root", os.geteuid() == 0, "only root can mount a small disk")
    target = tmp_path / "disk"
    target.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(target)],
        check=False,
        capture_output=True,
        text=True,
    )
    require("root", mounted.returncode == 0, f"mounting is not allowed here: {mounted.stderr}")
    try:
        yield target
    finally:
        subprocess.run(["umount", str(target)], check=True)


@pytest.mark.root
def test_a_disk_that_fills_up(small_disk: Path) -> None:
    """Fill it with records until it refuses; nothing is half there; free it; go on."""
    root = small_disk / "state"
    written = 0
    with opened(root) as store:
        while True:
            answer = store.try_write(
                operations=(operation(f"o{written}"),),
                instances=(instance(f"i{written}", metadata={"note": "x" * 8000}),),
                events=(event(written + 1),),
                reasons=((f"i{written}", reason("made")),),
            )
            if answer is not None:
                break
            written += 1
        assert isinstance(answer, ResourceLimitError)
        assert "disk is full" in str(answer)
        assert "Free space" in str(answer.next_step)
        state = store.store.reload()
        assert len(state.instances) == len(state.operations) == state.last_seq == written > 10
        store.store.resume()
        assert isinstance(
            store.try_write(instances=(instance("i0", metadata={"n": "x" * 300000}),)),
            ResourceLimitError,
        )
        store.store.resume()
        store.store.save_status(b"{}")
        store.write(drop_instances=tuple(f"i{n}" for n in range(written // 2)))
        store.write(instances=(instance("new"),), events=(event(written + 1),))
    with opened(root) as store:
        assert len(store.state.instances) == written - written // 2 + 1
        assert store.state.last_seq == written + 1
        assert list(root.rglob("*.tmp")) == []


@pytest.mark.root
def test_a_start_on_a_full_disk(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * (900 << 10))
    with (small_disk / "filler").open("ab") as file, pytest.raises(OSError, match="No space"):
        while True:
            os.write(file.fileno(), b"x" * 4096)
    with pytest.raises(ResourceLimitError, match="disk is full") as refused:
        make_store(small_disk / "state").open()
    assert refused.value.next_step
    (small_disk / "filler").unlink()
    with opened(small_disk / "state") as store:
        store.write(instances=(instance("i1"),))


def test_a_full_disk_at_any_step_leaves_all_or_nothing(tmp_path: Path) -> None:
    """From the step on, everything that needs room fails; giving room back works.

    Until the records take their places nothing is changed. From there on the reserve lets
    the group end, so that a disk that gets its reserve back accepts it whole.
    """
    at = 0
    refused = 0
    while True:
        at += 1
        files = FailingFiles(error=errno.ENOSPC)
        with opened(tmp_path / f"state{at}", files=files) as store:
            store.write(instances=(instance("i0"),), events=(event(1),))
            files.steps, files.at = 0, at
            answer = store.try_write(
                operations=(operation("o1"),),
                instances=(instance("i1"),),
                events=(event(2),),
                reasons=(("i1", reason("made")),),
                drop_instances=("i0",),
            )
            files.at = 0
            if not files.failed:
                break
            state = store.store.reload()
            ids = [one.id for one in state.instances]
            if answer is None:
                assert (ids, state.last_seq) == (["i1"], 2)
                assert [one.why for one in store.store.story("i1")] == ["made"]
            elif not files.failed[0].startswith(("rename", "sync")):
                refused += 1
                assert isinstance(answer, ResourceLimitError)
                assert (ids, state.last_seq, state.operations) == (["i0"], 1, ())
                assert store.store.story("i1") == ()
    assert refused > 3
    assert at > 15


def test_a_reserve_that_cannot_be_kept_refuses_before_anything_is_written(tmp_path: Path) -> None:
    files = FailingFiles(error=errno.ENOSPC)
    with opened(tmp_path / "state", files=files) as store:
        files.at = files.steps + 3
        answer = store.try_write(operations=(operation("o1"),))
        assert files.failed == ["reserve"]
        assert isinstance(answer, ResourceLimitError)
        assert list((tmp_path / "state").glob("ballast*")) == []
        assert store.store.reload().operations == ()


@pytest.mark.root
def test_a_read_only_disk(small_disk: Path) -> None:
    with opened(small_disk / "state"):
        pass
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StateError) as refused:
        make_store(small_disk / "state").open()
    assert refused.value.details["cause"]
    assert "writable" in str(refused.value.next_step)
