"""Installing, with a registry of our own: order, interruption, resumption, refusal."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from swarmd.errors import InitializationError, ResourceLimitError
from swarmd.setup import find_installed, install_code_server, require_installed
from swarmd.setup.commands import CommandFailed
from swarmd.setup.context import Context
from swarmd.setup.layout import Layout
from swarmd.setup.lock import installation_lock
from swarmd.setup.plan import NPM_STEPS, SetupProgress
from swarmd.setup.versions import CODE_SERVER
from tests.setup.fakes import STEPS, FakeRegistry, install_from
from tests.support import CHECKOUT, fastest


@pytest.fixture
def server_dir(tmp_path: Path) -> Path:
    return tmp_path / "share" / "server"


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_an_installation_reports_every_step_and_leaves_only_the_result(server_dir: Path) -> None:
    seen: list[SetupProgress] = []
    registry = FakeRegistry()
    installed = install_from(registry, server_dir, on_progress=seen.append)
    assert registry.steps == list(STEPS)
    assert [progress.step for progress in seen[:-1]] == [step.name for step in NPM_STEPS]
    assert [progress.index for progress in seen] == [1, 2, 3, 4, 5, 6, 7, 7]
    assert {progress.total for progress in seen} == {7}
    assert seen == sorted(seen, key=lambda progress: progress.seconds)
    assert "ready" in seen[-1].message
    assert installed == find_installed(server_dir) == require_installed(server_dir)
    assert installed.version == CODE_SERVER
    assert installed.source == "npm"
    tree = server_dir / f"code-server-{CODE_SERVER}"
    node, entry = installed.command
    assert node == str(tree / "node/bin/node")
    assert entry == str(tree / "node_modules/code-server/out/node/entry.js")
    assert {file.name for file in server_dir.iterdir()} == {
        "code-server.json", tree.name, ".lock"
    }  # fmt: skip


def test_only_what_is_needed_is_taken_from_the_wheel(server_dir: Path, tmp_path: Path) -> None:
    install_from(FakeRegistry(), server_dir)
    assert not list(server_dir.rglob("node.h"))
    assert not list(tmp_path.rglob("evil"))


def test_no_script_runs_and_node_is_checked_against_its_digest(server_dir: Path) -> None:
    registry = FakeRegistry()
    install_from(registry, server_dir)
    pip, *npm = registry.commands
    assert "--require-hashes" in pip.argv
    assert all("--ignore-scripts" in command.argv for command in npm)
    assert all(command.keep_open is not None for command in registry.commands)


@pytest.mark.usefixtures("strict_umask")
def test_other_users_can_read_it_whatever_the_umask(server_dir: Path) -> None:
    install_from(FakeRegistry(), server_dir)
    assert stat.S_IMODE(server_dir.stat().st_mode) == 0o755
    assert stat.S_IMODE((server_dir / "code-server.json").stat().st_mode) == 0o644
    tree = server_dir / f"code-server-{CODE_SERVER}"
    for path in (server_dir.parent, tree, *tree.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        runs = path.is_dir() or path.name == "node"
        assert mode == (0o755 if runs else 0o644), path


def test_what_is_installed_is_returned_at_once(server_dir: Path) -> None:
    first = install_from(FakeRegistry(), server_dir)
    again = FakeRegistry()
    assert install_from(again, server_dir) == first
    assert fastest(lambda: install_from(again, server_dir)) < 0.05
    assert again.commands == []


def test_force_installs_anew_and_keeps_the_old_one_until_then(server_dir: Path) -> None:
    first = install_from(FakeRegistry(), server_dir)
    during = []
    again = FakeRegistry(lambda step: during.append(find_installed(server_dir)))
    second = install_from(again, server_dir, force=True)
    assert again.steps == list(STEPS)
    assert during == [first] * 4
    assert second.installed_at > first.installed_at


@pytest.mark.parametrize(
    ("point", "again"),
    [
        ("node", STEPS),
        ("code-server", STEPS[1:]),
        ("vscode", STEPS[2:]),
        ("extensions", STEPS[3:]),
        ("verify", ()),
        (f"before code-server-{CODE_SERVER}", ()),
        ("before code-server.json", ()),
    ],
)
def test_killed_at_any_point_it_is_not_whole_and_goes_on(
    server_dir: Path, point: str, again: tuple[str, ...]
) -> None:
    killed = subprocess.run(
        [sys.executable, "-m", "tests.setup.fakes", server_dir, point], cwd=CHECKOUT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert find_installed(server_dir) is None
    registry = FakeRegistry()
    installed = install_from(registry, server_dir)
    assert registry.steps == list(again)
    assert installed == find_installed(server_dir)
    assert not Layout(server_dir).work.exists()


def test_another_version_begins_anew(server_dir: Path) -> None:
    layout = Layout(server_dir)
    for step in ("node", "code-server"):
        layout.stamp(step, "npm code-server=0.0.1")
    registry = FakeRegistry()
    install_from(registry, server_dir)
    assert registry.steps == list(STEPS)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', "\xff"])
def test_a_manifest_that_makes_no_sense_is_no_installation(server_dir: Path, content: str) -> None:
    install_from(FakeRegistry(), server_dir)
    (server_dir / "code-server.json").write_bytes(content.encode("latin-1"))
    assert find_installed(server_dir) is None
    assert install_from(FakeRegistry(), server_dir) == find_installed(server_dir)


def test_a_manifest_that_may_not_be_read_is_told_of(server_dir: Path) -> None:
    (server_dir / "code-server.json").mkdir(parents=True)
    with pytest.raises(InitializationError, match="cannot be read") as caught:
        find_installed(server_dir)
    assert "swarmctl setup code-server" in str(caught.value.next_step)


def test_a_manifest_whose_files_are_gone_is_no_installation(server_dir: Path) -> None:
    node, _ = install_from(FakeRegistry(), server_dir).command
    Path(node).unlink()
    assert find_installed(server_dir) is None


def test_nothing_installed_names_the_command(server_dir: Path) -> None:
    with pytest.raises(InitializationError, match="not installed") as caught:
        require_installed(server_dir)
    assert "swarmctl setup code-server" in str(caught.value.next_step)


def test_a_server_directory_may_move(server_dir: Path, tmp_path: Path) -> None:
    install_from(FakeRegistry(), server_dir)
    moved = server_dir.rename(tmp_path / "moved")
    assert require_installed(moved).command[0].startswith(str(moved))


def test_offline_names_what_cannot_be_reached_and_what_to_do(server_dir: Path) -> None:
    def offline(step: str) -> None:
        if step == "vscode":
            raise CommandFailed(("node",), "ended with status 1", "npm error code ENOTFOUND")

    with pytest.raises(InitializationError, match=r"npm registry cannot be reached") as caught:
        install_from(FakeRegistry(offline), server_dir)
    assert "swarmctl setup code-server" in str(caught.value.next_step)
    assert "--archive" in str(caught.value.next_step)
    assert find_installed(server_dir) is None
    online = FakeRegistry()
    install_from(online, server_dir)
    assert online.steps == ["vscode", "extensions"]


@pytest.mark.parametrize(
    "words",
    [
        "npm error code SELF_SIGNED_CERT_IN_CHAIN",
        (
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]')): "
            "Max retries exceeded"
        ),
    ],
)
def test_a_certificate_that_is_not_trusted_says_where_to_name_it(
    server_dir: Path, words: str
) -> None:
    def intercepted(step: str) -> None:
        raise CommandFailed(("node",), "ended with status 1", words)

    with pytest.raises(InitializationError, match="does not trust") as caught:
        install_from(FakeRegistry(intercepted), server_dir)
    assert "NODE_EXTRA_CA_CERTS" in str(caught.value.next_step)


def test_a_failure_that_is_not_the_network_names_the_log(server_dir: Path) -> None:
    def broken(step: str) -> None:
        raise CommandFailed(("pip",), "ended with status 2", "no such option")

    with pytest.raises(InitializationError, match="failed: pip ended with status 2") as caught:
        install_from(FakeRegistry(broken), server_dir)
    assert "setup.log" in str(caught.value.next_step)


def test_the_real_pip_without_a_network(server_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:hunter2@127.0.0.1:9/simple")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InitializationError, match="package index cannot be reached") as caught:
        install_code_server(server_dir, on_progress=lambda progress: None)
    assert "hunter2" not in str(caught.value.details)


def test_another_package_than_the_known_one_is_refused(server_dir: Path) -> None:
    with pytest.raises(InitializationError, match="not the known one"):
        install_from(FakeRegistry(integrity="sha512-other"), server_dir)
    assert find_installed(server_dir) is None


def test_what_does_not_work_is_not_published(server_dir: Path) -> None:
    def refuse(context: Context, node: Path, root: Path) -> None:
        raise InitializationError("code-server was installed and does not work: dead.")

    with pytest.raises(InitializationError, match="does not work"):
        install_from(FakeRegistry(), server_dir, probe=refuse)
    assert find_installed(server_dir) is None


def test_too_little_room_is_told_before_anything_is_downloaded(
    server_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "swarmd.setup.install.shutil.disk_usage", lambda path: SimpleNamespace(free=5_000_000)
    )
    registry = FakeRegistry()
    with pytest.raises(ResourceLimitError, match="has 5 MB free"):
        install_from(registry, server_dir)
    assert registry.commands == []


@pytest.mark.parametrize("machine", ["riscv64", "armv7l"])
def test_a_machine_without_binaries_is_told_of(
    server_dir: Path, monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(InitializationError, match=machine):
        install_from(FakeRegistry(), server_dir)


def test_a_python_without_pip_is_told_of(server_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InitializationError, match="neither pip nor ensurepip") as caught:
        install_from(FakeRegistry(), server_dir)
    assert "python3-pip" in str(caught.value.next_step)


def test_a_place_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InitializationError, match="cannot be written"):
        install_from(FakeRegistry(), tmp_path / "file" / "server")


def test_a_second_installation_waits_for_the_first(server_dir: Path) -> None:
    layout = Layout(server_dir)
    layout.create()
    waits = threading.Event()
    registry = FakeRegistry()

    def second() -> None:
        install_from(registry, server_dir, on_progress=lambda progress: waits.set())

    with layout.lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        assert registry.commands == []
    thread.join(10)
    assert registry.steps == list(STEPS)


def test_a_lock_that_is_not_given_back_is_told_of(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    waits: list[bool] = []
    with (
        installation_lock(lock, wait_seconds=0, on_wait=lambda: waits.append(False)),
        pytest.raises(InitializationError, match="Another installation"),
        installation_lock(lock, wait_seconds=0, on_wait=lambda: waits.append(True)),
    ):
        pass
    assert waits == [True]


def test_looking_for_an_installation_loads_neither_http_nor_archives() -> None:
    program = (
        "import sys; from swarmd.setup import find_installed, require_installed; "
        "sys.exit(bool({'http.client', 'tarfile', 'zipfile', 'subprocess'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, check=True)
