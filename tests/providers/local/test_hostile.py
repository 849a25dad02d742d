"""Processes that do not want to be found, ended or limited, and those that must not be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.errors import ProviderError, ResourceLimitError
from swarmd.messages.enums import InstanceStatus
from swarmd.providers.local import cgroup_probe, cgroups, identity, launcher, tree
from swarmd.providers.local.cgroup_probe import probe
from swarmd.providers.local.cgroups import Limits
from swarmd.providers.local.identity import Identity
from swarmd.providers.local.provider import LocalProvider
from swarmd.providers.shared.account import own
from tests.providers.local.kit import call, make_instance, ulid
from tests.providers.local.test_processes import seen
from tests.support import require, wait_until

HOP = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
deadline = os.times().elapsed + 60
while os.times().elapsed < deadline:
    try:
        if os.fork():
            os._exit(0)
    except OSError:
        continue
    os.setsid()
"""
"""A process that is never there for long: each copy makes the next one and exits."""

Groups = tuple[Path, ...]


@pytest.fixture
def groups() -> Iterator[Groups]:
    """Control groups of an instance, that the kernel counts processes in."""
    found = probe(f"hostile-{os.getpid()}")
    require("cgroups", "pids" in found.enforced, "this host cannot limit pids")
    assert found.hierarchies is not None
    paths = found.hierarchies.make(ulid())
    found.hierarchies.limit(paths, Limits())
    yield paths
    cgroups.stop_forks(paths)
    cgroups.kill_all(paths)
    wait_until(lambda: not cgroups.processes(paths))
    cgroups.remove(paths)
    found.hierarchies.tidy()


def start(*command: str, groups: Groups = (), **environment: str) -> launcher.Child:
    """A program in its groups, without output."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        env = {"PATH": os.environ["PATH"]} | environment
        launch = launcher.Launch(command, Path("/"), env, own(), (null, null), groups=groups)
        child = launcher.spawn(launch)
    finally:
        os.close(null)
    child.go()
    return child


@pytest.mark.root
def test_what_forks_and_exits_without_end_is_ended(groups: Groups) -> None:
    child = start(sys.executable, "-I", "-S", "-c", HOP, groups=groups)
    wait_until(lambda: child.poll() is not None)
    assert cgroups.processes(groups)

    def members() -> tuple[tree.Seen, ...]:
        return tree.scan().members("nobody", None, cgroups.processes(groups))

    tree.end(members, grace=0.2, check=lambda: None, groups=groups)
    assert not any(cgroups.processes(groups) for _ in range(50))


def test_without_groups_one_empty_scan_proves_little(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "1000"]) as first, subprocess.Popen(["sleep", "1000"]) as next_:
        looks: list[tuple[tree.Seen, ...]] = []

        def find() -> tuple[tree.Seen, ...]:
            """The next one is overlooked once, in between."""
            shown = {0: first.pid, 2: next_.pid}.get(len(looks))
            looks.append(tree.scan().members("nobody", pids=[shown] if shown else []))
            return looks[-1]

        assert tree.end(find, grace=0.0, check=lambda: None) == 2
        assert (first.wait(5), next_.wait(5)) == (-9, -9)


def test_nothing_to_end_takes_one_look() -> None:
    looks: list[int] = []

    def find() -> tuple[tree.Seen, ...]:
        looks.append(1)
        return ()

    assert tree.end(find, grace=0.0, check=lambda: None) == 0
    assert len(looks) == 1


# --- this daemon in a terminal of its own instance -------------------------------------------


def test_we_are_no_part_of_an_instance() -> None:
    me = os.getpid()
    table = tree.Table(
        [
            seen(2_000_001, SWARMD_INSTANCE="x"),
            seen(me, parent=2_000_001, SWARMD_INSTANCE="x"),
            seen(2_000_003, parent=me, SWARMD_INSTANCE="y"),
            seen(2_000_004, parent=me),
            seen(2_000_005, SWARMD_INSTANCE="z"),
        ]
    )
    group = [2_000_001, me, 2_000_003, 2_000_004, 2_000_005]
    for pids in ([], group):
        found = [member.stat.pid for member in table.members("x", pids=pids)]
        assert me not in found
        assert 2_000_003 not in found
        assert 2_000_004 not in found
    # What lies in the group beside us is its own, whatever it claims to be.
    assert [member.stat.pid for member in table.members("x", pids=group)] == [2_000_001, 2_000_005]


def test_a_forged_marker_is_no_way_out() -> None:
    table = tree.Table([seen(10, SWARMD_INSTANCE="x"), seen(11, parent=10, SWARMD_INSTANCE="y")])
    assert [member.stat.pid for member in table.members("x")] == [10, 11]


INSIDE = """
import os, subprocess, sys
from pathlib import Path
from swarmd.providers.local import cgroups, tree
paths = tuple(map(Path, sys.argv[1:]))
cgroups.enter(paths, os.getpid())
other = subprocess.Popen(["sleep", "1000"], env={"SWARMD_INSTANCE": "y"})
ours = subprocess.Popen(["sleep", "1000"], env={"SWARMD_INSTANCE": "x"}, start_new_session=True)
def find():
    return tree.scan().members("x", None, cgroups.processes(paths))
tree.end(find, grace=0.0, check=lambda: None, groups=paths)
print(ours.wait(5), other.poll(), flush=True)
other.kill()
other.wait()
"""


@pytest.mark.root
def test_it_survives_the_end_of_the_instance_that_it_runs_in(groups: Groups) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INSIDE, *map(str, groups)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("-9 None\n", 0), done.stderr


def test_groups_are_never_made_in_an_instances(tmp_path: Path) -> None:
    above = tmp_path / "me"
    inside = f"/me/swarmd/node_local/{ulid()}"
    (tmp_path / inside.lstrip("/")).mkdir(parents=True)
    assert list(cgroup_probe._parents(tmp_path, inside)) == [above, tmp_path]
    assert list(cgroup_probe._parents(tmp_path, inside + "/sub")) == [above, tmp_path]
    assert list(cgroup_probe._parents(tmp_path, "/me")) == [above, tmp_path]


# --- markers of others -----------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="root: starts a process of another user")
def test_a_marker_of_another_user_does_not_count(provider: LocalProvider) -> None:
    instance = make_instance()
    provider.create(instance, call())
    node = {"SWARMD_NODE": provider._context.mark}
    forged = [
        subprocess.Popen(["/bin/sleep", "1000"], env={"SWARMD_INSTANCE": name} | node, user=65534)
        for name in (instance.id, "evil\n\x1b[31m")
    ]
    try:
        [found] = provider.list()
        assert (found.id, found.status) == (instance.id, InstanceStatus.CREATED)
        provider.start(instance, call())
        provider.stop(instance, call(), force=True)
        assert [process.poll() for process in forged] == [None, None]
    finally:
        for process in forged:
            process.kill()
            process.wait()


def test_a_marker_counts_at_its_user_and_at_ours() -> None:
    stat = seen(10).stat
    for uid, counts in ((4711, True), (os.geteuid(), True), (4712, False), (None, False)):
        table = tree.Table([tree.Seen(stat, {"SWARMD_INSTANCE": "a"}, uid)])
        assert bool(table.members("a", uid=4711)) is counts
        assert table.bears("a", 4711) is counts
    assert tree.scan().members("nobody", pids=[os.getppid()], uid=4711)


def test_only_ids_are_strays() -> None:
    right = ulid()
    table = tree.Table(
        seen(10 + n, SWARMD_INSTANCE=name, SWARMD_NODE=node)
        for n, (name, node) in enumerate([(right, "other"), (right, "n"), ("../x", "n"), ("", "n")])
    )
    assert table.strays("n") == (right,)


def test_a_session_with_a_used_number_is_not_the_commands() -> None:
    root = Identity(boot=identity.boot_id(), pid=10, started=100)
    mark = ("SWARMD_EXEC", "abc")
    marks = {"SWARMD_INSTANCE": "a"}
    members = [
        tree.Seen(seen(11, session=10).stat, marks, 4711),
        seen(12, session=10),
        tree.Seen(seen(13, session=10).stat, marks, 4712),
        tree.Seen(seen(14).stat, marks | dict([mark]), 4711),
    ]

    def found(*processes: tree.Seen) -> list[int]:
        table = tree.Table(processes)
        return [member.stat.pid for member in table.having(mark, root, "a", 4711)]

    assert found(*members) == [11, 14]
    assert found(seen(10, session=10), *members) == [10, 11, 12, 13, 14]


# --- signals ---------------------------------------------------------------------------------


def test_one_that_may_not_be_signalled_saves_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real = signal.pidfd_send_signal
    refused: list[str] = []

    def send(descriptor: int, number: int) -> None:
        told = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
        pid = next(line.split()[1] for line in told.splitlines() if line.startswith("Pid:"))
        if not refused:
            refused.append(pid)
        if pid in refused:
            raise PermissionError(1, "Operation not permitted")
        real(descriptor, number)

    with subprocess.Popen(["sleep", "1000"]) as one, subprocess.Popen(["sleep", "1000"]) as two:
        monkeypatch.setattr(signal, "pidfd_send_signal", send)
        with pytest.raises(ProviderError, match="belongs to another user"):
            tree.end(
                lambda: tree.scan().members("nobody", pids=[one.pid, two.pid]),
                grace=0,
                check=lambda: None,
            )
        alive = [process for process in (one, two) if process.poll() is None]
        assert [str(process.pid) for process in alive] == refused
        alive[0].kill()


def test_a_pid_that_left_the_group_is_not_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        answers = [{stranger.pid, 0}, set[int]()]
        monkeypatch.setattr(cgroups, "processes", lambda paths: answers.pop(0))
        cgroups.kill_all([tmp_path])
        assert not answers
        assert stranger.poll() is None
        answers = [{stranger.pid, 0}, {stranger.pid, 0}]
        cgroups.kill_all([tmp_path])
        assert stranger.wait(5) == -9


# --- the environment of the shell that waits -------------------------------------------------


def environment_of(pid: int) -> dict[bytes, bytes]:
    """What a process was given at its exec."""
    raw = Path(f"/proc/{pid}/environ").read_bytes()
    return dict(entry.split(b"=", 1) for entry in raw.split(b"\0") if entry)


def test_it_does_not_obey_what_it_hands_on(tmp_path: Path) -> None:
    value = bytes(range(1, 256)).decode("utf-8", "surrogateescape")
    wanted = {
        "PATH": os.environ["PATH"],
        "LD_LIBRARY_PATH": str(tmp_path),
        "LD_DEBUG_OUTPUT": str(tmp_path / "trace"),
        "TEXT": value,
        "EMPTY": "",
        "IFS": "abc",
        "UID": os.environ.get("UID", "7"),
        "SWARMD_INSTANCE": "a",
        "TOKEN": "canary-1234",
    }
    null = os.open(os.devnull, os.O_WRONLY)
    launch = launcher.Launch(["sleep", "1000"], tmp_path, wanted, own(), (null, null))
    child = launcher.spawn(launch)
    os.close(null)
    pid = child.identity.pid
    waiting = environment_of(pid)
    assert waiting[b"SWARMD_INSTANCE"] == b"a"
    assert all(name.startswith(b"SWARMD_") for name in waiting)
    assert b"canary" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    child.go()
    wait_until(lambda: Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep"))
    found = environment_of(pid)
    child.abandon()
    for name, expected in wanted.items():
        if name != "UID":  # bash keeps it to itself
            assert found[name.encode()] == os.fsencode(expected), name
    assert not any(name.startswith(b"SWARMD_ENV") for name in found)


def test_a_child_that_cannot_be_looked_at_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def fail(pid: int) -> Identity | None:
        started.append(pid)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(launcher, "identify", fail)
    with pytest.raises(ResourceLimitError):
        start("sleep", "1000")
    assert identity.read_stat(started[0]) is None
