"""Logs that an instance made long hold up nobody."""

from __future__ import annotations

import pytest

from swarmd.providers.local.data import logfiles, logs
from swarmd.providers.local.data.layout import InstanceDirs
from swarmd.providers.shared.account import Account
from tests.providers.local_data.test_logs import lines, seen, write


def lengthen(dirs: InstanceDirs, size: int) -> None:
    """What a process of the instance can do through ``/proc/self/fd/1``."""
    with logs.log_path(dirs).open("r+b") as file:
        file.truncate(size)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("wanted", [{"tail": 1000}, {"since": 1e9}, {}])
def test_a_hole_of_a_tebibyte_holds_up_nobody(
    dirs: InstanceDirs, account: Account, wanted: dict[str, float]
) -> None:
    write(dirs, account, lines(0, 5))
    lengthen(dirs, 1 << 40)
    write(dirs, account, lines(5, 10))
    text = seen(dirs, **wanted)
    assert text.endswith(lines(5, 10))
    assert len(text) < 1 << 17


def test_a_hole_at_the_end_is_passed_over(dirs: InstanceDirs, account: Account) -> None:
    write(dirs, account, lines(0, 5))
    lengthen(dirs, 1 << 40)
    assert seen(dirs).startswith(lines(0, 5))
    assert len(seen(dirs)) < 1 << 17


def test_a_search_for_lines_is_bounded(
    dirs: InstanceDirs, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logfiles, "SEARCHED_MOST", 4 * logs.BLOCK)
    write(dirs, account, b"x" * (20 * logs.BLOCK) + b"\nend\n")
    assert len(seen(dirs, tail=5)) <= 6 * logs.BLOCK
    assert seen(dirs, tail=1) == b"end\n"


def test_a_search_by_time_is_bounded(
    dirs: InstanceDirs, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logfiles, "SEARCHED_MOST", 4 * logs.BLOCK)
    write(dirs, account, b"[2001-01-01T00:00:00Z] old\n" + b"plain\n" * 400_000)
    assert len(seen(dirs, since=60)) > logs.BLOCK
