"""An ssh server on loopback, with keys of its own, through which an engine is reached."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import (
    all_pids,
    descends,
    free_port,
    is_alive,
    read_process,
    require,
    wait_until,
    waited,
)

_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PermitUserEnvironment no
MaxStartups 100
MaxSessions 100
"""
_PRIVILEGE_SEPARATION = Path("/run/sshd")


class LoopbackSsh:
    """A running sshd; everything of it ends with the ``with``.

    Args:
        folder: Where its files lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "ssh"
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """``user@host:port``, as it stands in an ssh:// URL."""
        return f"{getpass.getuser()}@127.0.0.1:{self._port}"

    @property
    def ssh_options(self) -> tuple[str, ...]:
        """Arguments with which ssh gets in without asking, and heeds no configuration."""
        return (
            *("-F", "none", "-i", str(self._folder / "client")),
            *("-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
            *("-o", f"UserKnownHostsFile={self._folder / 'known_hosts'}"),
            *("-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes"),
        )

    def __enter__(self) -> Self:
        require("docker", shutil.which("ssh"), "there is no ssh to reach an engine with")
        self._write()
        if os.geteuid() == 0:
            _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)  # of the package: it stays
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()

    def cut(self) -> None:
        """End the server and every connection through it, as if the network were gone."""
        if self._server is None:
            return
        below = {pid for pid in all_pids() if descends(pid, self._server.pid)}
        processes = {found for pid in below if (found := read_process(pid)) is not None}
        for process in processes:
            process.kill()
        self._server.wait()
        self._server = None
        left = waited(lambda: {each for each in processes if is_alive(each)}, 5)
        assert not left, left

    def start(self) -> None:
        """Let it serve (again), on the same port."""
        program = shutil.which("sshd", path=f"/usr/sbin:{os.environ.get('PATH', '')}")
        require("docker", program, "there is no sshd to reach an engine through")
        self._serve(str(program))

    def _write(self) -> None:
        self._folder.mkdir(parents=True, mode=0o755)
        for name in ("host", "client"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._folder / name)],
                check=True,
            )
        public = (self._folder / "client.pub").read_text()
        (self._folder / "authorized_keys").write_text(public)
        key = (self._folder / "host.pub").read_text()
        (self._folder / "known_hosts").write_text(f"[127.0.0.1]:{self._port} {key}")
        config = _CONFIG.format(port=self._port, folder=self._folder)
        (self._folder / "config").write_text(config)

    def _serve(self, program: str) -> None:
        log = self._folder / "log"
        config = str(self._folder / "config")
        with log.open("wb") as output:
            self._server = subprocess.Popen(
                [program, "-D", "-e", "-f", config], stdin=subprocess.DEVNULL, stderr=output
            )
        server = self._server
        wait_until(
            lambda: server.poll() is not None or b"Server listening" in log.read_bytes(),
            describe=log.read_text,
        )
        assert server.poll() is None, log.read_text()
