"""The question from inside a container, with each of the programs that may ask it there."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from swarmd.providers.docker.looking import read_seen
from swarmd.providers.docker.options import DockerOptions
from swarmd.providers.docker.reach import ASK_INSIDE, Reach
from swarmd.setup import find_installed
from tests.daemon import STANDIN
from tests.docker_files import system_python
from tests.e2e.looking import listens
from tests.providers.docker.test_looking import summary
from tests.support import code_server_directory, free_port, require, wait_until

ALWAYS = ("sh", "date", "sleep", "readlink", "printf")
ASKERS = ("curl", "wget", "python3", "node", "code-server")


def program(name: str) -> str:
    """Where the host has it."""
    if name in ("node", "code-server"):
        found = find_installed(code_server_directory())
        assert found is not None
        return found.command[0]
    path = str(system_python()) if name == "python3" else shutil.which(name)
    require("docker", path, f"this host has no {name} to ask with")
    return str(path)


@contextmanager
def server(port: int, word: str = "") -> Iterator[None]:
    """A stand-in that listens there."""
    command = [*STANDIN, "--bind-addr", f"127.0.0.1:{port}", "--app-name", f"{word}-web"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def ask(folder: Path, name: str, port: int, seconds: int) -> subprocess.CompletedProcess[str]:
    """Run the question where only one program can ask it."""
    folder.mkdir(exist_ok=True)
    for each in ALWAYS:
        link = folder / each
        if not link.is_symlink():
            link.symlink_to(program(each))
    if name == "code-server":  # as releases of it lie: bin/code-server and lib/node
        place = folder / "release"
        (place / "bin").mkdir(parents=True, exist_ok=True)
        (place / "lib").mkdir(exist_ok=True)
        server = place / "bin" / "code-server"
        server.touch(mode=0o755)
        for link, target in ((folder / name, server), (place / "lib" / "node", program(name))):
            if not link.is_symlink():
                link.symlink_to(target)
    elif not (folder / name).is_symlink():
        (folder / name).symlink_to(program(name))
    return subprocess.run(
        ["sh", "-c", ASK_INSIDE, "ask", "http", str(port), "/healthz", str(seconds)],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("name", ASKERS)
def test_each_program_asks(tmp_path: Path, name: str) -> None:
    port, folder = free_port(), tmp_path / "bin"
    assert ask(folder, name, port, 0).returncode != 0, "nobody listens"
    with server(port, "late"):  # its first answers are refusals
        done = ask(folder, name, port, 20)
        assert done.returncode == 0, done.stderr
        assert '"alive"' in done.stdout
        once = ask(folder, name, port, 0)
        assert (once.returncode, once.stdout.strip()) == (0, done.stdout.strip())


@pytest.mark.parametrize("name", ASKERS)
def test_a_server_that_is_ill_is_no_answer(tmp_path: Path, name: str) -> None:
    port, folder = free_port(), tmp_path / "bin"
    with server(port, "ill"):
        wait_until(lambda: listens(port))
        for seconds in (0, 1):
            done = ask(folder, name, port, seconds)
            assert done.returncode != 0
            assert "efused" not in done.stdout + done.stderr, "it was asked"


def test_a_host_that_only_ssh_knows_is_asked_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(host: str) -> str:
        raise socket.gaierror(-2, f"{host} is not known")

    monkeypatch.setattr(socket, "gethostbyname", unknown)
    options = DockerOptions(engine="ssh://box1", publish_address="0.0.0.0")
    context: Any = SimpleNamespace(options=options)
    seen = read_seen(summary("e1"))
    assert seen is not None
    assert Reach(context).endpoint(seen) is None
