"""The log: rotated under a running writer, read by many, hostile files refused."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.errors import ProviderError, ResourceLimitError
from swarmd.messages.requests import LogsInstance
from swarmd.messages.units import Duration
from swarmd.ports import Session
from swarmd.providers.local.data import folders, logfiles, logs, logview
from swarmd.providers.local.data.layout import InstanceDirs
from swarmd.providers.shared.account import Account
from tests.support import wait_until


def options(
    *, follow: bool = False, tail: int | None = None, since: float | None = None
) -> LogsInstance:
    age = None if since is None else Duration(since)
    return LogsInstance(id="x", follow=follow, tail=tail, since=age)


def write(dirs: InstanceDirs, account: Account, data: bytes) -> bytes:
    """Append it, and return what of it found room."""
    descriptor = logs.open_for_append(dirs, account)
    try:
        return data[: os.write(descriptor, data)]
    finally:
        os.close(descriptor)


def whole(session: Session, stream: str = "log") -> bytes:
    try:
        parts = list(iter(session.read, None))
    finally:
        session.close()
    return b"".join(data for name, data in parts if name == stream)


def seen(dirs: InstanceDirs, **wanted: object) -> bytes:
    return whole(logview.open_log(dirs, options(**wanted)))  # type: ignore[arg-type]


def lines(first: int, behind: int) -> bytes:
    return b"".join(b"line %07d\n" % number for number in range(first, behind))


def disk(dirs: InstanceDirs) -> int:
    return sum(path.stat().st_blocks * 512 for path in dirs.log.iterdir())


def test_nothing_is_rotated_below_the_size(dirs: InstanceDirs, account: Account) -> None:
    assert logs.rotate(dirs, 1000, 3) == 0
    write(dirs, account, lines(0, 10))
    assert logs.rotate(dirs, 1000, 3) == 0
    assert seen(dirs) == lines(0, 10)


def test_rotation_keeps_the_bytes_and_caps_the_disk(dirs: InstanceDirs, account: Account) -> None:
    for number in range(10):
        write(dirs, account, lines(number * 1000, (number + 1) * 1000))
        logs.rotate(dirs, 10_000, 3)
    text = seen(dirs)
    assert text.endswith(lines(9000, 10_000)[-30_000:])
    assert lines(0, 10_000).endswith(text)
    assert disk(dirs) < 4 * (10_000 + 8192)
    assert len(list(dirs.log.iterdir())) == 4


def test_a_rotation_cut_off_before_its_punch_shows_nothing_twice(
    dirs: InstanceDirs, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(dirs, account, lines(0, 10_000))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(logs, "_punch", killed)
        with pytest.raises(KeyboardInterrupt):
            logs.rotate(dirs, 200_000, 3) or logs.rotate(dirs, 50_000, 9)
    assert seen(dirs) == lines(0, 10_000)
    full = disk(dirs)
    write(dirs, account, lines(10_000, 10_001))
    assert logs.rotate(dirs, 50_000, 9) == 0
    assert disk(dirs) < full
    assert seen(dirs) == lines(0, 10_001)


def test_a_line_longer_than_everything(dirs: InstanceDirs, account: Account) -> None:
    write(dirs, account, b"x" * 300_000)
    assert logs.rotate(dirs, 100_000, 5) == 300_000
    assert seen(dirs) == b"x" * 300_000


def test_a_fast_writer_loses_no_line_while_it_is_rotated_and_followed(
    dirs: InstanceDirs, account: Account
) -> None:
    count = 200_000
    program = (
        "import sys, os\n"
        f"for first in range(0, {count}, 5):\n"
        "    os.write(1, b''.join(b'line %07d\\n' % n for n in range(first, first + 5)))\n"
    )
    descriptor = logs.open_for_append(dirs, account)
    session = logview.open_log(dirs, options(follow=True))
    got = bytearray()

    def follow() -> None:
        while (part := session.read()) is not None:
            assert part[0] == "log", part
            got.extend(part[1])

    reader = threading.Thread(target=follow)
    reader.start()
    writer = subprocess.Popen([sys.executable, "-c", program], stdout=descriptor)
    os.close(descriptor)
    rotations = 0
    while writer.poll() is None:
        rotations += logs.rotate(dirs, 20_000, 100) > 0
    assert writer.returncode == 0
    wait_until(lambda: len(got) >= len(lines(0, count)), describe=lambda: len(got))
    session.close()
    reader.join()
    assert bytes(got) == lines(0, count)
    assert rotations >= 2
    text = seen(dirs)
    assert lines(0, count).endswith(text)


def test_rotating_a_log_of_another_account(
    public_path: Path, stranger: Account, account: Account
) -> None:
    from swarmd.providers.local.data.layout import Layout

    layout = Layout(public_path / "data")
    layout.prepare()
    dirs = layout.instance("01one")
    folders.make(dirs, stranger)
    write(dirs, stranger, lines(0, 1000))
    assert (dirs.log / "server.log").stat().st_uid == stranger.uid
    assert logs.rotate(dirs, 1000, 100) > 0
    assert seen(dirs) == lines(0, 1000)


def plant_link(path: Path) -> None:
    (path.parent / "target").write_text("secret\n")
    path.symlink_to(path.parent / "target")


@pytest.mark.parametrize("plant", [plant_link, os.mkfifo, os.mkdir])
def test_what_is_planted_is_not_read(
    dirs: InstanceDirs, account: Account, plant: Callable[[Path], None]
) -> None:
    plant(logs.log_path(dirs))
    for act in (
        lambda: logs.open_for_append(dirs, account),
        lambda: logs.rotate(dirs, 1, 1),
        lambda: seen(dirs),
    ):
        with pytest.raises(ProviderError) as caught:
            act()
        assert caught.value.next_step
        assert caught.value.details["cause"]


def test_no_log_yet(dirs: InstanceDirs) -> None:
    with pytest.raises(ProviderError, match="no log yet"):
        logview.open_log(dirs, options())


def test_tail(dirs: InstanceDirs, account: Account) -> None:
    for number in range(5):
        write(dirs, account, lines(number * 1000, (number + 1) * 1000))
        logs.rotate(dirs, 8000, 100)
    write(dirs, account, b"unfinished")
    text = seen(dirs)
    assert text == lines(0, 5000) + b"unfinished"
    split = text.splitlines(keepends=True)
    for count in (0, 1, 2, 3, 999, 1000, 1001, 2500, 4999, 5000, 5001, 9999):
        assert seen(dirs, tail=count) == b"".join(split[-count:] if count else [])


@given(st.binary(max_size=200).map(lambda data: data.replace(b"x", b"\n")), st.integers(0, 30))
def test_tail_of_anything(
    tmp_path_factory: pytest.TempPathFactory, text: bytes, count: int
) -> None:
    path = tmp_path_factory.mktemp("log")
    (path / "server.log").write_bytes(text)
    folder = os.open(path, os.O_RDONLY)
    live = os.open(path / "server.log", os.O_RDONLY)
    try:
        files = logfiles.LogFiles(folder, live)
        position = files.tail(count, files.oldest())
        got = files.read(position).data
    finally:
        os.close(folder)
        os.close(live)
    split = text.split(b"\n")
    ends = split if text.endswith(b"\n") or not text else [*split, b""]
    wanted = [line + b"\n" for line in ends[:-1]][-count:] if count else []
    expected = b"".join(wanted)
    assert got == (expected if text.endswith(b"\n") or not expected else expected[:-1])


BASE = int(time.time()) - 100


def stamped(second: int, text: str) -> bytes:
    moment = datetime.fromtimestamp(BASE + second, UTC)
    return f"[{moment:%Y-%m-%dT%H:%M:%S}.000Z] info {text}\n".encode()


def test_since_goes_by_the_lines_times(dirs: InstanceDirs, account: Account) -> None:
    for second in range(100):
        write(dirs, account, stamped(second, f"a{second}") + b"  its second line\n")
        logs.rotate(dirs, 1000, 100)
    now = BASE + 100.0
    session = logview.open_log(dirs, options(since=10), now=now)
    text = whole(session)
    assert text.startswith(stamped(90, "a90"))
    assert text.count(b"\n") == 20
    assert whole(logview.open_log(dirs, options(since=10, tail=3), now=now)).count(b"\n") == 3
    assert whole(logview.open_log(dirs, options(since=10, tail=50), now=now)) == text
    assert whole(logview.open_log(dirs, options(since=1000), now=now)).count(b"\n") == 200
    assert whole(logview.open_log(dirs, options(since=0.5), now=now)) == b""


def test_since_without_times_goes_by_the_files_time(dirs: InstanceDirs, account: Account) -> None:
    write(dirs, account, lines(0, 10))
    changed = logs.log_path(dirs).stat().st_mtime
    assert whole(logview.open_log(dirs, options(since=10), now=changed + 5)) == lines(0, 10)
    assert whole(logview.open_log(dirs, options(since=10), now=changed + 50)) == b""
    logs.rotate(dirs, 50, 3)
    assert whole(logview.open_log(dirs, options(since=10), now=changed + 5)) == lines(0, 10)
    assert whole(logview.open_log(dirs, options(since=10), now=changed + 50)) == b""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"2027-01-15T08:00:00Z x", 1_800_000_000.0),
        (b"[2027-01-15T08:00:00.5Z] x", 1_800_000_000.5),
        (b"2027-01-15 09:00:00,250+01:00 x", 1_800_000_000.25),
        (b"2027-13-15T08:00:00Z", None),
        (b"[08:00:00] Extension host", None),
        (b"", None),
    ],
)
def test_timestamps(line: bytes, expected: float | None) -> None:
    assert logfiles.timestamp(line) == expected


@pytest.mark.parametrize("notified", [True, False])
def test_follow_wakes_on_growth_and_ends_on_close(
    dirs: InstanceDirs, account: Account, notified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not notified:
        monkeypatch.setattr(logview, "watch", lambda descriptor: -1)
    write(dirs, account, b"one\n")
    session = logview.open_log(dirs, options(follow=True, tail=1))
    assert session.read() == ("log", b"one\n")
    got: list[object] = []
    reader = threading.Thread(target=lambda: got.append(session.read()))
    reader.start()
    write(dirs, account, b"two\n")
    reader.join(10)
    assert got == [("log", b"two\n")]
    reader = threading.Thread(target=lambda: got.append(session.read()))
    reader.start()
    session.close()
    session.close()
    reader.join(10)
    assert got[1:] == [None]
    assert session.read() is None
    assert session.result() is None
    session.close_input()
    with pytest.raises(ProviderError):
        session.write(b"x")


def test_follow_ends_when_the_log_is_removed(dirs: InstanceDirs, account: Account) -> None:
    write(dirs, account, b"one\n")
    session = logview.open_log(dirs, options(follow=True))
    assert session.read() == ("log", b"one\n")
    logs.log_path(dirs).unlink()
    assert session.read() is None
    session.close()


def test_a_reader_that_was_too_slow_is_told(dirs: InstanceDirs, account: Account) -> None:
    write(dirs, account, lines(0, 10))
    session = logview.open_log(dirs, options(follow=True))
    assert session.read() == ("log", lines(0, 10))
    write(dirs, account, lines(10, 1000))
    logs.rotate(dirs, 1300, 1)
    kind, notice = session.read() or ("", b"")
    assert kind == "notice"
    assert b"rotated away" in notice
    first = session.read()
    assert first is not None
    assert lines(0, 1000).endswith(first[1])
    session.close()


def test_a_log_that_was_truncated(dirs: InstanceDirs, account: Account) -> None:
    write(dirs, account, lines(0, 1000))
    logs.rotate(dirs, 1000, 100)
    write(dirs, account, lines(1000, 1001))
    session = logview.open_log(dirs, options(follow=True))
    text = b""
    while len(text) < len(lines(0, 1001)):
        text += (session.read() or ("", b""))[1]
    os.truncate(logs.log_path(dirs), 0)
    assert session.read() == ("notice", b"[the log was truncated]\n")
    write(dirs, account, b"new\n")
    assert session.read() == ("log", b"new\n")
    session.close()
    assert seen(dirs) == lines(0, 1000) + b"new\n"
    write(dirs, account, lines(0, 200))
    assert logs.rotate(dirs, 1000, 100) > 0
    assert seen(dirs) == lines(0, 1000) + b"new\n" + lines(0, 200)


def test_memory_stays_small_on_a_huge_log(dirs: InstanceDirs) -> None:
    with logs.log_path(dirs).open("wb") as file:
        file.truncate(1 << 40)
        file.seek(0, os.SEEK_END)
        file.write(b"end\n")
    session = logview.open_log(dirs, options(tail=1))
    part = session.read()
    session.close()
    assert part is not None
    assert len(part[1]) <= logs.BLOCK


@pytest.mark.root
def test_on_a_full_disk_the_oldest_pieces_go(tmp_path: Path, account: Account) -> None:
    if os.geteuid() != 0:
        pytest.skip("root: mounting needs it")
    from swarmd.providers.local.data.layout import Layout

    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(mounted)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("root: cannot mount here")
    try:
        layout = Layout(mounted / "data")
        layout.prepare()
        dirs = layout.instance("01one")
        folders.make(dirs, account)
        text = b""
        for number in range(8):
            more = lines(number * 10_000, number * 10_000 + 10_000)
            text += write(dirs, account, more)
            logs.rotate(dirs, 1000, 1000)
        assert text.endswith(seen(dirs))
        write(dirs, account, bytes(mounted.stat().st_blksize))
        with (mounted / "full").open("wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(bytes(4096))
        for path in list(dirs.log.glob("server.log.0*")):
            path.unlink()
        with (mounted / "full").open("ab", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(bytes(4096))
        with pytest.raises(ResourceLimitError):
            logs.rotate(dirs, 1000, 3)
        assert not (dirs.log / "server.log.new").exists()
    finally:
        subprocess.run(["umount", str(mounted)], check=True)
