"""Limits: the probe, both versions' files, and a process that is over its memory."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.errors import DeadlineExceeded, ProviderError, ResourceLimitError
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Resources
from swarmd.messages.requests import ExecInstance
from swarmd.messages.units import Size
from swarmd.providers.local import cgroups
from swarmd.providers.local.cgroup_probe import Mount, probe, read_memberships, read_mounts
from swarmd.providers.local.cgroups import Limits, Usage
from swarmd.providers.local.hierarchies import VersionOne, VersionTwo
from swarmd.providers.local.provider import LocalProvider
from tests.providers.local.kit import call, make_instance
from tests.support import require, wait_until

MOUNTS = (
    "30 25 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 25 0:28 / /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory\n"
    "33 25 0:29 / /proc rw - proc proc rw\n"
    "34 25 0:30 / /short\n"
)


def test_mounts_and_memberships_are_read() -> None:
    assert read_mounts(MOUNTS) == (
        Mount(Path("/sys/fs/cgroup/unified"), 2),
        Mount(Path("/sys/fs/cgroup/cpu,cpuacct"), 1, frozenset({"cpu", "cpuacct"})),
        Mount(Path("/sys/fs/cgroup/my memory"), 1, frozenset({"memory"})),
    )
    assert read_memberships("4:memory:/a\n3:cpu,cpuacct:/b\n0::/c:d\n") == {
        "memory": "/a",
        "cpu": "/b",
        "cpuacct": "/b",
        "": "/c:d",
    }


def test_without_control_groups_nothing_is_enforced() -> None:
    found = probe("node", "", "")
    assert (found.hierarchies, found.enforced) == (None, ())
    assert found.notes == ("no control groups are mounted here",)


def test_a_folder_that_is_no_hierarchy_enforces_nothing(tmp_path: Path) -> None:
    """What can be written to but limits nothing is seen through by the trial."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    mounts = (
        f"1 1 0:1 / {one} rw - cgroup cgroup rw,memory\n2 1 0:2 / {two} rw - cgroup2 cgroup2 rw\n"
    )
    found = probe("node", mounts, "1:memory:/\n0::/\n")
    assert found.enforced == ()
    assert found.notes


def test_names_do_not_lead_out() -> None:
    assert cgroups.safe_name("../a b/ü") == "___a_b__"


# --- version 2, on files: no kernel at hand has it to itself ---------------------------------


@pytest.fixture
def two(tmp_path: Path) -> VersionTwo:
    """Version 2, on plain files."""
    return VersionTwo(tmp_path / "swarmd" / "node", ("cpu", "memory", "pids"))


def test_version_two_writes_what_the_kernel_reads(two: VersionTwo) -> None:
    [path] = two.make("a")
    (path / "memory.swap.max").write_text("max")
    two.limit([path], Limits(cpu=0.5, memory=1 << 30, pids=100))
    assert (path / "cpu.max").read_text() == "50000 100000"
    assert (path / "memory.max").read_text() == str(1 << 30)
    assert (path / "memory.swap.max").read_text() == "0"
    assert (path / "pids.max").read_text() == "100"
    two.limit([path], Limits())
    assert (path / "cpu.max").read_text() == "max 100000"
    assert (path / "memory.max").read_text() == "max"
    assert (path / "pids.max").read_text() == "max"


def test_version_two_reads_what_the_kernel_writes(two: VersionTwo) -> None:
    [path] = two.make("a")
    assert two.usage([path]) == Usage()
    (path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (path / "memory.current").write_text("1000\n")
    (path / "memory.stat").write_text("anon 1\ninactive_file 400\n")
    (path / "pids.current").write_text("7\n")
    (path / "memory.events").write_text("oom 1\noom_kill 1\n")
    assert two.usage([path]) == Usage(cpu_seconds=2.5, memory_bytes=600, pids=7)
    assert two.killed_for_memory([path])


def test_a_limit_that_the_kernel_refuses_names_its_field(two: VersionTwo) -> None:
    [path] = two.make("a")
    (path / "memory.max").mkdir()
    with pytest.raises(ResourceLimitError) as caught:
        two.limit([path], Limits(memory=1))
    assert caught.value.field == "config.resources.memory"


def test_a_version_two_of_ones_own_is_found(tmp_path: Path) -> None:
    """The probe's way through a delegated subtree, on files that a trial cannot tell apart."""
    mine = tmp_path / "user.slice" / "me"
    for folder in (mine, mine / "swarmd", mine / "swarmd" / "node"):
        folder.mkdir(parents=True)
        (folder / "cgroup.controllers").write_text("cpu memory")
        (folder / "cgroup.subtree_control").write_text("cpu memory")
    trial = mine / "swarmd" / "node" / f"probe-{os.getpid()}-{threading.get_ident()}"
    trial.mkdir()
    for name in ("cpu.max", "memory.max"):
        (trial / name).write_text("")
    mounts = f"2 1 0:2 / {tmp_path} rw - cgroup2 cgroup2 rw\n"
    found = probe("node", mounts, "0::/user.slice/me\n")
    assert found.enforced == ("cpu", "memory")


# --- the real ones ---------------------------------------------------------------------------


def real(provider: LocalProvider, *wanted: str) -> None:
    """Skip where the host does not enforce these."""
    missing = [name for name in wanted if name not in provider.capabilities().limits_enforced]
    require("cgroups", not missing, f"this host cannot limit {', '.join(missing) or 'nothing'}")


@pytest.mark.root
def test_over_its_memory_it_is_ended(provider: LocalProvider) -> None:
    real(provider, "memory")
    instance = make_instance("eat-web", resources=Resources(memory=Size(64 << 20)))
    provider.create(instance, call())
    with pytest.raises(ProviderError, match="memory limit was reached"):
        provider.start(instance, call())
    [seen] = provider.list()
    assert seen.status is InstanceStatus.STOPPED


@pytest.mark.root
def test_a_command_counts_as_the_instances(provider: LocalProvider) -> None:
    real(provider, "memory", "pids")
    instance = make_instance(resources=Resources(memory=Size(128 << 20), pids=32))
    provider.create(instance, call())
    provider.start(instance, call())
    command = ("sh", "-c", "for i in $(seq 100); do sleep 100 & done; echo all")
    session = provider.exec(instance, ExecInstance(id=instance.id, command=command))
    output = b""
    while (piece := session.read()) is not None:
        output += piece[1]
    session.close()
    assert b"fork" in output.lower()
    [stats] = provider.stats([instance])
    assert stats.memory_limit_bytes == 128 << 20
    assert stats.pids is not None
    assert stats.pids <= 32
    provider.stop(instance, call())


@pytest.mark.root
def test_a_limit_changes_while_it_runs(provider: LocalProvider) -> None:
    real(provider, "cpu", "memory", "pids")
    instance = make_instance(resources=Resources(memory=Size(128 << 20)))
    provider.create(instance, call())
    provider.start(instance, call())
    for memory in (256 << 20, 96 << 20):
        resources = Resources(memory=Size(memory), cpu=0.5, pids=50)
        wish = replace(instance, config=replace(instance.config, resources=resources))
        outcome = provider.update(wish, call())
        assert outcome.restart_required == ()
        [stats] = provider.stats([wish])
        assert stats.memory_limit_bytes == memory
        assert limit_in_force(provider, instance.id) == memory


def limit_in_force(provider: LocalProvider, instance_id: str) -> int:
    """What the kernel itself says."""
    record = provider._context.index.get(instance_id)
    assert record is not None
    assert record.process is not None
    for path in record.process.paths:
        for name in ("memory.limit_in_bytes", "memory.max"):
            if (path / name).exists():
                return int((path / name).read_text())
    pytest.fail("no group limits the memory")


@pytest.mark.root
def test_what_empties_its_environment_is_ended_by_its_group(provider: LocalProvider) -> None:
    real(provider, "pids")
    instance = make_instance()
    provider.create(instance, call())
    provider.start(instance, call())
    script = "env -i setsid sh -c 'sleep 1000 & echo $! >pid; exit' & wait"
    request = ExecInstance(id=instance.id, command=("sh", "-c", script))
    session = provider.exec(instance, request)
    assert session.read() is None
    session.close()
    record = provider._context.index.get(instance.id)
    assert record is not None
    pid = int((Path(record.folder) / "pid").read_text())
    assert Path(f"/proc/{pid}").exists()
    provider.stop(instance, call())
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.root
def test_groups_are_removed(provider: LocalProvider) -> None:
    real(provider, "pids")
    instance = make_instance()
    provider.create(instance, call())
    provider.start(instance, call())
    record = provider._context.index.get(instance.id)
    assert record is not None
    paths = provider._runner.group_paths(record)
    assert paths
    assert all(path.is_dir() for path in paths)
    provider.stop(instance, call())
    provider.dispose()
    assert not any(path.parent.exists() for path in paths)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="writes to the hierarchy's root")
def test_the_kernels_kill_switch(provider: LocalProvider) -> None:
    mounts = read_mounts(Path("/proc/self/mountinfo").read_text())
    unified = [mount.path for mount in mounts if mount.version == 2]
    require("cgroups", unified, "no version 2 hierarchy is mounted")
    import subprocess

    group = unified[0] / f"swarmd-test-{os.getpid()}"
    require("cgroups", os.access(unified[0], os.W_OK), "the hierarchy cannot be written to")
    group.mkdir()
    try:
        with subprocess.Popen(["sleep", "1000"]) as process:
            cgroups.enter([group], process.pid)
            assert cgroups.processes([group]) == {process.pid}
            cgroups.kill_all([group])
            assert process.wait(5) == -9
        wait_until(lambda: not cgroups.processes([group]))
    finally:
        cgroups.remove([group])
    assert not group.exists()


@pytest.mark.root
def test_version_one_counts(provider: LocalProvider) -> None:
    hierarchies = provider._context.groups.hierarchies
    require("cgroups", isinstance(hierarchies, VersionOne), "version 1 is not in use here")
    assert isinstance(hierarchies, VersionOne)
    assert hierarchies.usage([Path("/nonexistent")]) == Usage()
    with pytest.raises((ResourceLimitError, DeadlineExceeded, OSError)):
        cgroups.enter([Path("/nonexistent")], 1)
