"""An engine of a test's own: it may be killed, and be reached over TLS.

Its containers are started with iptables left alone: a second dockerd would throw away the rules
of the first. So its ports are published by proxies, on loopback, and its networks are open.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import docker

from tests.docker_certificates import Authority, Pair
from tests.docker_engine import answers, engine_client, remove_container
from tests.support import Process, all_pids, free_port, read_process, require, wait_until, waited

START = 60.0
"""Seconds that an engine may take to come up, on a disk that all tests share."""


class OwnEngine:
    """A private dockerd, running between ``with`` and its end; then nothing of it is left.

    Its containerd is a process of its own, as where systemd starts both: killing dockerd leaves
    the containers running, until the next dockerd ends them or (``live_restore``) takes them over.

    Args:
        tls: Whether it also listens at ``tcp://127.0.0.1:port``, for clients with a certificate.
        live_restore: Whether containers outlive its end.
        driver: Storage driver; empty: overlay2, or vfs where that does not work.
    """

    def __init__(self, *, tls: bool = False, live_restore: bool = False, driver: str = "") -> None:
        self.base = Path(tempfile.gettempdir())  # chosen in __enter__
        self._tls = tls
        self._more = ["--live-restore"] if live_restore else []
        self._drivers = [driver] if driver else ["overlay2", "vfs"]
        self._containerd: subprocess.Popen[bytes] | None = None
        self._name = f"swt{secrets.token_hex(4)}"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._port = free_port() if tls else 0
        self._address = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(256)}.1/24"
        self.server_pair: Pair | None = None
        self.client_pair: Pair | None = None
        self.ca = Path()

    @property
    def socket(self) -> Path:
        """Its Unix socket."""
        return self.base / "d.sock"

    @property
    def unix_url(self) -> str:
        """Where it is reached on this host."""
        return f"unix://{self.socket}"

    @property
    def url(self) -> str:
        """Where it is reached: over TLS if it was made so."""
        return f"tcp://127.0.0.1:{self._port}" if self._tls else self.unix_url

    @property
    def bridge(self) -> Path:
        """Its network interface, where the host shows it."""
        return Path("/sys/class/net", self._name)

    @property
    def running(self) -> bool:
        """Whether its daemon runs."""
        return self._daemon is not None and self._daemon.poll() is None

    # --- life ------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        require("docker", os.geteuid() == 0, "only root can run an engine of its own")
        require("docker", shutil.which("dockerd"), "there is no dockerd")
        require("docker", shutil.which("ip"), "there is no ip (iproute2) to make a bridge")
        self.base = Path(tempfile.mkdtemp(prefix="swt-"))
        self.base.chmod(0o755)
        try:
            self._bridge()
            if self._tls:
                self._certify()
            self._start_containerd()
            self.start()
        except BaseException:
            self._sweep()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.resume()
            if not self.running:
                self.start()  # it alone can end the containers that its end left behind
            self._remove_containers()
            self.stop()
        finally:
            self._sweep()

    def start(self) -> None:
        """Start it (again) and wait until it answers."""
        while True:
            self._spawn(self._drivers[0])
            wait_until(
                lambda: not self.running or answers(self.unix_url), timeout=START, describe=self.log
            )
            if self.running:
                return
            assert len(self._drivers) > 1, f"dockerd ended: {self.log()}"
            del self._drivers[0]

    def stop(self) -> None:
        """End it in order; its containers are stopped."""
        assert self._daemon is not None
        self._daemon.terminate()
        self._daemon.wait(START)

    def kill(self) -> None:
        """End the daemon at once (kill -9). Its containers run on, as far as they can."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait()

    def hang(self) -> None:
        """Let it hang: it accepts connections and never answers, until ``resume``."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGSTOP)
        status = Path(f"/proc/{self._daemon.pid}/stat")
        wait_until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T")

    def resume(self) -> None:
        """Let it go on; it does no harm where nothing hangs."""
        if self._daemon is not None:
            self._daemon.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """The end of what it wrote."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join((self.base / "log").read_text().splitlines()[-20:])
        return ""

    @contextlib.contextmanager
    def client(self) -> Iterator[docker.DockerClient]:
        """A client on its Unix socket."""
        with engine_client(self.unix_url) as client:
            yield client

    # --- parts -----------------------------------------------------------------------------------

    def _spawn(self, driver: str) -> None:
        hosts = ["--host", self.unix_url]
        if self._tls:
            assert self.server_pair is not None
            hosts += ["--host", self.url, "--tlsverify", "--tlscacert", str(self.ca)]
            hosts += ["--tlscert", str(self.server_pair.cert)]
            hosts += ["--tlskey", str(self.server_pair.key)]
        (self.base / "empty.json").write_text("{}")
        command = [
            *("dockerd", "--config-file", str(self.base / "empty.json")),
            *("--data-root", str(self.base / "data"), "--exec-root", str(self.base / "run")),
            *("--pidfile", str(self.base / "pid"), "--storage-driver", driver),
            *("--containerd", str(self.base / "c.sock")),
            *("--bridge", self._name, "--iptables=false", "--ip-masq=false"),
            # No --default-address-pool: with it, a restart deletes docker0, the first one's.
            *hosts,
            *self._more,
        ]
        self._daemon = self._run(command, "log")

    def _run(self, command: list[str], log: str) -> subprocess.Popen[bytes]:
        with (self.base / log).open("wb") as file:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def _start_containerd(self) -> None:
        program = shutil.which("containerd")
        require("docker", program, "there is no containerd")
        (self.base / "containerd.toml").write_text(
            'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        )
        command = [
            *(str(program), "--config", str(self.base / "containerd.toml")),
            *("--root", str(self.base / "images"), "--state", str(self.base / "tasks")),
            *("--address", str(self.base / "c.sock")),
        ]
        daemon = self._containerd = self._run(command, "containerd.log")
        wait_until(
            lambda: daemon.poll() is not None or (self.base / "c.sock").exists(),
            describe=(self.base / "containerd.log").read_text,
        )

    def _certify(self) -> None:
        authority = Authority(self.base / "tls")
        self.ca = authority.ca
        self.server_pair, self.client_pair = authority.server("127.0.0.1"), authority.client()

    def _bridge(self) -> None:
        _ip("link", "add", "name", self._name, "type", "bridge")
        _ip("address", "add", self._address, "dev", self._name)
        _ip("link", "set", self._name, "up")

    def _remove_containers(self) -> None:
        with self.client() as client:
            for container in client.api.containers(all=True):
                remove_container(client, container["Id"])
            for network in client.networks.list():
                if network.name not in ("bridge", "host", "none"):
                    network.remove()

    def _sweep(self) -> None:
        """Whatever its own end did not take away."""
        if self._containerd is not None:
            self._containerd.terminate()
            self._containerd.wait(START)
        for process in waited(self._processes, 2):
            process.kill()
        left = waited(self._processes, 10)
        for mount in _mounts_below(self.base):
            subprocess.run(["umount", "--lazy", mount], check=False)
        if self.bridge.exists():
            _ip("link", "delete", self._name)
        shutil.rmtree(self.base)
        assert not left, left

    def _processes(self) -> set[Process]:
        """The daemon, its containerd, its shims, and what runs in its containers."""
        found = (read_process(pid) for pid in all_pids())
        return {each for each in found if each is not None and _belongs(each.pid, self.base)}


def _belongs(pid: int, folder: Path) -> bool:
    """Whether a process was started with, or has its root below, a folder."""
    needle = os.fsencode(folder)
    with contextlib.suppress(OSError):
        if needle in Path(f"/proc/{pid}/cmdline").read_bytes():
            return True
        mounts = Path(f"/proc/{pid}/mountinfo").read_bytes().splitlines()
        return any(line.split()[4] == b"/" and needle in line for line in mounts)
    return False


def _mounts_below(folder: Path) -> list[str]:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [mount for mount in reversed(mounts) if Path(mount).is_relative_to(folder)]


def _ip(*arguments: str) -> None:
    told = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def copy_image(name: str, source: docker.DockerClient, target: docker.DockerClient) -> None:
    """Give an engine an image that another one has, piece by piece."""
    pieces = source.images.get(name).save(named=True)
    target.images.load(pieces)  # type: ignore[arg-type]  # the stubs know no stream
    target.images.get(name)
