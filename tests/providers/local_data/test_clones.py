"""Workspaces that git clones: which URLs, as whom, and how a clone ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from swarmd.errors import DeadlineExceeded, OperationCancelled, ProviderError, ValidationError
from swarmd.ports import Call
from swarmd.providers.local.data import folders, workspace
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.shared import giturl
from swarmd.providers.shared.account import Account
from tests.providers.local_data.configs import config
from tests.support import wait_until


@pytest.fixture
def repository(roots: list[str]) -> Path:
    path = Path(roots[0]) / "repository"
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    (path / "README").write_text("hello")
    for step in (["add", "."], [*identity, "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", str(path), *step], check=True)
    return path


@pytest.mark.parametrize(
    ("url", "protocol", "given"),
    [
        ("https://example.org/a.git", "https", "https://example.org/a.git"),
        ("https://u:s3cret@example.org/a", "https", "https://example.org/a"),
        ("ssh://git@example.org:2222/a", "ssh", "ssh://git@example.org:2222/a"),
        ("git@example.org:team/a.git", "ssh", "git@example.org:team/a.git"),
        ("file:///srv/a", "file", "file:///srv/a"),
    ],
)
def test_urls_that_are_read(url: str, protocol: str, given: str) -> None:
    assert giturl.is_url(url)
    remote = giturl.parse(url)
    assert (remote.protocol, remote.url) == (protocol, given)
    assert "s3cret" not in repr(remote)
    assert "s3cret" not in giturl.shown(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a",
        "git://example.org/a",
        "ext::sh -c true",
        "ext::sh://x",
        "https:///a",
        "https://-oProxyCommand=x/a",
        "ssh://-oProxyCommand=x/a",
        "ssh://u:s3cret@example.org/a",
        "ssh://-x@example.org/a",
        "https://example.org:port/a",
        "file://other/a",
        "https://exa mple.org/a",
        "https://example.org/a\n--upload-pack=x",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        workspace.check(config(workspace=url), ())
    assert caught.value.field == "config.workspace"
    assert caught.value.next_step
    assert "s3cret" not in str(caught.value)


def test_a_clone_happens_once(
    dirs: InstanceDirs, account: Account, call: Call, roots: list[str], repository: Path
) -> None:
    wanted = config(workspace=f"file://{repository}")
    workspace.check(wanted, roots)
    assert workspace.prepare(wanted, dirs, roots, account, call) == dirs.workspace
    assert (dirs.workspace / "README").read_text() == "hello"
    assert sorted(path.name for path in dirs.root.iterdir()) == [
        "extensions",
        "home",
        "user-data",
        "workspace",
    ]
    (dirs.workspace / "README").unlink()
    workspace.prepare(wanted, dirs, roots, account, call)
    assert not (dirs.workspace / "README").exists(), "what the user removed stays removed"


def test_a_clone_runs_as_the_account(public_path: Path, stranger: Account, call: Call) -> None:
    source = public_path / "roots" / "repository"
    subprocess.run(["git", "init", "-q", "--bare", str(source)], check=True)
    for path in (source, *source.rglob("*")):
        os.chown(path, stranger.uid, stranger.gid)
    layout = Layout(public_path / "data")
    layout.prepare()
    dirs = layout.instance("01one")
    folders.make(dirs, stranger)
    wanted = config(workspace=f"file://{source}")
    workspace.prepare(wanted, dirs, [public_path], stranger, call)
    assert (dirs.workspace / ".git").stat().st_uid == stranger.uid


def test_a_repository_outside_the_roots_is_refused(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="outside"):
        workspace.check(config(workspace=f"file://{repository}"), [tmp_path / "elsewhere"])


def test_a_clone_that_fails_says_what_git_said_and_leaves_nothing(
    dirs: InstanceDirs, account: Account, call: Call, roots: list[str]
) -> None:
    wanted = config(workspace=f"file://{roots[0]}/ana")
    with pytest.raises(ProviderError, match="could not be cloned") as caught:
        workspace.prepare(wanted, dirs, roots, account, call)
    assert caught.value.field == "config.workspace"
    assert "repository" in caught.value.details["cause"]
    assert caught.value.next_step
    assert not [path for path in dirs.root.iterdir() if path.name.startswith(".clone")]
    assert list(dirs.workspace.iterdir()) == []


class SlowGit:
    """A git that waits in a process of its own, which left the group."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self.pid = folder / "pid"
        self.argv = folder / "argv"
        self.environ = folder / "environ"
        self.login = folder / "login"
        program = folder / "git"
        program.write_text(
            "#!/bin/sh\n"
            f'printf "%s\\n" "$@" > {self.argv}\n'
            f"env > {self.environ}\n"
            f"cat ./login.* > {self.login} 2>/dev/null\n"
            'echo "Receiving objects:  42% (42/100)"\n'
            f"setsid sleep 300 & echo $! > {self.pid}.new; mv {self.pid}.new {self.pid}\n"
            "wait\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def sleeper_runs(self) -> bool:
        try:
            return "sleep" in Path(f"/proc/{self.pid.read_text().strip()}/cmdline").read_text()
        except OSError:
            return False


def test_a_cancelled_clone_ends_every_process_of_it(
    dirs: InstanceDirs, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowGit(tmp_path / "bin", monkeypatch)
    told: list[tuple[str, float | None]] = []
    call = Call(
        deadline=time.monotonic() + 60,
        clock=time.monotonic,
        progress=lambda message, fraction: told.append((message, fraction)),
    )

    def cancel() -> None:
        wait_until(lambda: slow.pid.exists() and any(part[1] for part in told))
        call.cancelled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    wanted = config(workspace="https://ana:s3cret@example.org/a.git")
    with pytest.raises(OperationCancelled):
        workspace.prepare(wanted, dirs, (), account, call)
    thread.join()
    wait_until(lambda: not slow.sleeper_runs())
    assert ("git: receiving objects", 0.42) in told
    assert "s3cret" not in slow.argv.read_text()
    assert "s3cret" not in slow.environ.read_text()
    assert "ana:s3cret@example.org" in slow.login.read_text()
    assert "GIT_TERMINAL_PROMPT=0" in slow.environ.read_text()
    assert slow.argv.read_text().splitlines()[-3:-1] == ["--", "https://example.org/a.git"]
    assert [path.name for path in dirs.root.iterdir() if path.name.startswith(".clone")] == []


def test_purge_ends_a_clone_that_a_killed_daemon_left(
    layout: Layout, dirs: InstanceDirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowGit(tmp_path / "bin", monkeypatch)
    program = (
        "import sys, time; from pathlib import Path\n"
        "from swarmd.messages.instance import InstanceConfig\n"
        "from swarmd.ports import Call\n"
        "from swarmd.providers.shared.account import own\n"
        "from swarmd.providers.local.data import workspace\n"
        "from swarmd.providers.local.data.layout import Layout\n"
        "dirs = Layout(Path(sys.argv[1])).instance(sys.argv[2])\n"
        "wanted = InstanceConfig(name='web', workspace='https://example.org/a')\n"
        "call = Call(deadline=time.monotonic() + 60, clock=time.monotonic)\n"
        "workspace.prepare(wanted, dirs, (), own(), call)\n"
    )
    daemon = subprocess.Popen([sys.executable, "-c", program, str(layout.root), dirs.id])
    wait_until(slow.sleeper_runs)
    daemon.kill()
    daemon.wait()
    assert slow.sleeper_runs()
    folders.purge(layout, dirs.id)
    assert not slow.sleeper_runs()
    assert layout.ids() == set()
    assert list(layout.doomed.iterdir()) == []


def test_a_clone_ends_at_the_deadline(
    dirs: InstanceDirs, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowGit(tmp_path / "bin", monkeypatch)
    call = Call(deadline=time.monotonic() + 0.5, clock=time.monotonic)
    with pytest.raises(DeadlineExceeded):
        workspace.prepare(config(workspace="https://example.org/a"), dirs, (), account, call)
    wait_until(lambda: not slow.sleeper_runs())


def test_a_clone_that_was_cut_off_is_redone(
    dirs: InstanceDirs, account: Account, call: Call, roots: list[str], repository: Path
) -> None:
    (dirs.root / ".clone.old" / "tree").mkdir(parents=True)
    (dirs.root / ".clone.old" / "tree" / "half").write_text("x")
    workspace.prepare(config(workspace=f"file://{repository}"), dirs, roots, account, call)
    assert (dirs.workspace / "README").exists()
    assert not (dirs.root / ".clone.old").exists()


def test_no_git_at_all(
    dirs: InstanceDirs, account: Account, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ProviderError, match="not there") as caught:
        workspace.prepare(config(workspace="https://example.org/a"), dirs, (), account, call)
    assert "Install git" in (caught.value.next_step or "")
