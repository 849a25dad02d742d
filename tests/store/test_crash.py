"""The process dies at any step, or the power goes: what was acknowledged is there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from swarmd.store.files import Files
from tests.store import crash_child, scenario
from tests.store.crash import EXIT, SteppedFiles
from tests.store.samples import Opened, close, event, instance, operation
from tests.support import CHECKOUT, untraced

ALL = tuple(scenario.pictures())


def _check(root: Path, answered: int, *, stories: bool = True) -> None:
    """Open what is left: it is one of the states on the way, with all that was answered."""
    store = scenario.make(root)
    state = store.open()
    try:
        seen = scenario.look(store, state)
        allowed = [one for number, one in ALL if number >= answered]
        if not stories:
            seen, allowed = seen.without_stories(), [one.without_stories() for one in allowed]
        assert seen in allowed, f"not a state on the way after {answered} answers: {seen}"
        gap, events = store.history(0, 100)
        assert (gap, [one.seq for one in events]) == (False, list(range(1, state.last_seq + 1)))
        assert list(root.rglob("*.tmp")) == []
        _goes_on(Opened(store, state))
    finally:
        close(store)


def _goes_on(store: Opened) -> None:
    seq = store.state.last_seq + 1
    store.write(operations=(operation("new"),), instances=(instance("new"),), events=(event(seq),))
    again = store.store.reload()
    assert "new" in {one.id for one in again.instances}
    assert again.last_seq == seq


@pytest.mark.timeout(300)
def test_killed_at_every_step(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", crash_child.__name__, str(tmp_path)],
        cwd=CHECKOUT,
        env=untraced(),
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    last, code = map(int, ended.stdout.split())
    assert code == 0, ended.stderr
    assert last > 100, "fewer steps than the series has: the crashes did not happen"
    total = sum(len(group) for group in scenario.GROUPS)
    most = 0
    for number in range(1, last + 1):
        answers = tmp_path / f"{number}.answers"
        answered = answers.stat().st_size if answers.exists() else 0
        _check(tmp_path / str(number), answered)
        most = max(most, answered)
    assert most == total


class PowerCutFiles(SteppedFiles):
    """Remembers what a power cut would leave: only what was synced, nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.contents: dict[int, bytes] = {}
        self.names: dict[str, dict[str, int]] = {}
        self.answered = 0
        self.cuts: list[tuple[int, dict[int, bytes], dict[str, dict[str, int]]]] = []
        self._held: list[int] = []

    def sync(self, fd: int) -> None:
        super().sync(fd)
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode):
            path = str(Path(f"/proc/self/fd/{fd}").readlink())
            with os.scandir(path) as entries:
                self.names[path] = {entry.name: entry.inode() for entry in entries}
        else:
            self.contents[found.st_ino] = Path(f"/proc/self/fd/{fd}").read_bytes()
        names = {path: dict(inside) for path, inside in self.names.items()}
        self.cuts.append((self.answered, dict(self.contents), names))

    def rename(self, old: str, new: str) -> None:
        self._hold(new)
        super().rename(old, new)

    def unlink(self, path: str) -> None:
        self._hold(path)
        super().unlink(path)

    def _hold(self, path: str) -> None:
        """Keep the file's number from being given to another one."""
        if Path(path).exists():
            self._held.append(os.open(path, os.O_PATH))

    def release(self) -> None:
        for fd in self._held:
            os.close(fd)


def _after_power_cut(
    root: Path, original: Path, contents: dict[int, bytes], names: dict[str, dict[str, int]]
) -> None:
    root.mkdir(mode=0o700)
    for name, number in names.get(str(original), {}).items():
        if str(original / name) in names or (original / name).is_dir():
            (root / name).mkdir(mode=0o700)
            for inner, inner_number in names.get(str(original / name), {}).items():
                (root / name / inner).write_bytes(contents.get(inner_number, b""))
        else:
            (root / name).write_bytes(contents.get(number, b""))


def test_power_cut_after_every_sync(tmp_path: Path) -> None:
    files = PowerCutFiles()
    original = tmp_path / "state"
    store = scenario.make(original, files)
    store.open()

    def answered() -> None:
        files.answered += 1

    scenario.play(store, answered)
    close(store)
    files.release()
    assert files.answered == sum(len(group) for group in scenario.GROUPS)
    assert len(files.cuts) > 20
    for number, (count, contents, names) in enumerate(files.cuts):
        copy = tmp_path / str(number)
        _after_power_cut(copy, original, contents, names)
        _check(copy, count, stories=False)


def test_a_crash_helper_ends_the_process_of_an_end_to_end_test(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from tests.store import crash, samples; crash.install();"
        f" samples.make_store(Path({str(tmp_path / 'state')!r})).open()"
    )
    environment = os.environ | {"SWARMD_TEST_CRASH_AT": "3"}
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, env=environment, check=False, timeout=60
    )
    assert ended.returncode == EXIT


def test_without_the_environment_the_helper_changes_nothing(tmp_path: Path) -> None:
    from tests.store import crash

    crash.install()
    assert type(scenario.make(tmp_path / "state")._files) is Files
