"""The real daemon as a process of its own, with places of its own: for e2e, storm, soak, bench."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.ports import port_range
from tests.support import (
    CHECKOUT,
    Process,
    all_pids,
    mentions,
    read_process,
    server_directory,
    wait_until,
    waited,
)

BIN = Path(sys.executable).parent
START_SECONDS = 30.0
STOP_SECONDS = 30.0
STANDIN = (sys.executable, "-I", "-S", str(CHECKOUT / "tests" / "standin.py"))


class Refused(Exception):
    """The daemon answered with an error: ``code``, and ``data`` as DESIGN 6 says."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error.get('message')}: {error.get('data')}")
        self.code: int = error["code"]
        self.data: dict[str, Any] = error.get("data") or {}

    @property
    def type(self) -> str:
        """The wire type."""
        return str(self.data.get("type"))

    @property
    def details(self) -> dict[str, Any]:
        """The facts."""
        return dict(self.data.get("details") or {})


class Connection:
    """One connection, and JSON-RPC by hand: independent of swarmd's own client."""

    def __init__(self, path: Path, *, timeout: float = 60.0) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.settimeout(timeout)
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.lines = self.socket.makefile("rb")
        self.notifications: list[dict[str, Any]] = []
        self._ids = itertools.count(1)

    def send(self, method: str, **params: Any) -> int:
        """Send a request; its id."""
        number = next(self._ids)
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        return number

    def read(self) -> dict[str, Any]:
        """The next message, whatever it is."""
        line = self.lines.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the daemon closed the connection")
        message: dict[str, Any] = json.loads(line)
        return message

    def reply(self, number: int) -> Any:
        """The result of a request; notifications on the way are kept."""
        while True:
            message = self.read()
            if "id" not in message:
                self.notifications.append(message)
            elif message["id"] == number:
                if "error" in message:
                    raise Refused(message["error"])
                return message["result"]

    def call(self, method: str, **params: Any) -> Any:
        """Send and wait for the reply. Raises ``Refused``."""
        return self.reply(self.send(method, **params))

    def stream(self, method: str, **params: Any) -> list[dict[str, Any]]:
        """Open a stream and read it to its end."""
        name = self.call(method, **params)["stream"]
        chunks: list[dict[str, Any]] = []
        while not chunks or not chunks[-1].get("end"):
            message = self.notifications.pop(0) if self.notifications else self.read()
            if message.get("method") == "stream" and message["params"]["stream"] == name:
                chunks.append(message["params"])
        return chunks

    def close(self) -> None:
        """Hang up."""
        self.lines.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DaemonProcess:
    """``swarmd`` with state, data and socket below a folder of its own.

    Args:
        folder: Where everything lies; it should be empty.
        options: Options of the local provider, over what tests need. Without ``command``
            instances are light stand-ins.
        settings: Further tables of the configuration: ``{"instances": {"stop_grace": "1s"}}``.
        providers: Further ``[[providers]]`` tables, beside ``local``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        options: Mapping[str, object] | None = None,
        settings: Mapping[str, Mapping[str, object]] | None = None,
        providers: Sequence[Mapping[str, object]] = (),
    ) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.data = folder / "data"
        self.config = folder / "config.toml"
        self.log = folder / "swarmd.log"
        self._short = Path(
            tempfile.mkdtemp(prefix="swarmd-")
        )  # a socket's path is at most 107 long
        self.socket = self._short / "s"
        self.process: subprocess.Popen[bytes] | None = None
        defaults = {"port_range": port_range(), "command": STANDIN, **_account()}
        self.options = defaults | dict(options or {})
        self.settings = {
            "daemon": {"observe_interval": "0.5s", "reconcile_interval": "2s"},
            "breaker": {"pause": "0.5s", "longest_pause": "2s"},
            "logging": {"format": "text"},
        } | {name: dict(table) for name, table in (settings or {}).items()}
        self.providers = [dict(table) for table in providers]
        self.write_config()

    def write_config(self) -> None:
        """Write the configuration file from ``settings``, ``options`` and ``providers``."""
        import tomli_w

        local = {"name": "local", "type": "local", "options": self.options}
        document = {**self.settings, "providers": [local, *self.providers]}
        self.config.write_text(tomli_w.dumps(document))

    @property
    def environment(self) -> dict[str, str]:
        """What the daemon and the command line are told."""
        return os.environ | {
            "SWARMD_CONFIG": str(self.config),
            "SWARMD_STATE_DIR": str(self.state),
            "SWARMD_DATA_DIR": str(self.data),
            "SWARMD_SERVER_DIR": str(server_directory()),
            "SWARMD_SOCKET": str(self.socket),
        }

    # --- its life ----------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> Self:
        """Start it and, unless told otherwise, wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BIN / "swarmd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=self.environment,
            )  # fmt: skip
        if wait:
            wait_until(self._answers_or_ended, timeout=START_SECONDS, describe=self.last_words)
            assert self.process.poll() is None, f"the daemon ended:\n{self.last_words()}"
        return self

    def _answers_or_ended(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None or self.answers()

    def answers(self) -> bool:
        """Whether it answers a ping right now."""
        with contextlib.suppress(OSError, ConnectionError), self.connect() as connection:
            return bool(connection.call("daemon.ping")["ok"])
        return False

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and wait for its end; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def close(self) -> None:
        """End the daemon and every process of its instances; forget the socket."""
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
        for process in self.instance_processes():
            process.kill()
        waited(lambda: set(self.instance_processes()), 5.0)
        shutil.rmtree(self._short, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print(f"--- the daemon's last words ---\n{self.last_words()}", file=sys.stderr)
        self.close()

    # --- talking to it -----------------------------------------------------------------------

    def connect(self, *, timeout: float = 60.0) -> Connection:
        """A connection of one's own."""
        return Connection(self.socket, timeout=timeout)

    def call(self, method: str, **params: Any) -> Any:
        """One request over a connection of its own. Raises ``Refused``."""
        with self.connect() as connection:
            return connection.call(method, **params)

    def call_stream(self, method: str, **params: Any) -> list[dict[str, Any]]:
        """A whole stream over a connection of its own."""
        with self.connect() as connection:
            return connection.stream(method, **params)

    def create(self, name: str, **config: Any) -> dict[str, Any]:
        """Create an instance and wait until it runs."""
        made: dict[str, Any] = self.call("instance.create", config={"name": name, **config})
        return made

    def instances(self, **filters: Any) -> list[dict[str, Any]]:
        """Every instance, whatever the number of pages."""
        found: list[dict[str, Any]] = []
        cursor = None
        with self.connect() as connection:
            while True:
                page = connection.call("instance.list", **filters, cursor=cursor)
                found += page["items"]
                cursor = page["next_cursor"]
                if cursor is None:
                    return found

    def ctl(
        self, *arguments: str, given: str | None = None, timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """``swarmctl``, as a person or a script would run it."""
        return subprocess.run(
            [BIN / "swarmctl", *arguments],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            timeout=timeout,
        )

    def ctl_json(self, *arguments: str, given: str | None = None) -> Any:
        """The data of a command that succeeds."""
        done = self.ctl(*arguments, "-o", "json", given=given)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        envelope = json.loads(done.stdout)
        assert envelope["success"] is True
        return envelope["data"]

    # --- looking at it -----------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Its pid."""
        assert self.process is not None
        return self.process.pid

    def last_words(self, lines: int = 40) -> str:
        """The end of its log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def instance_processes(self) -> Sequence[Process]:
        """Every process that has to do with its data directory, daemons not."""
        pids = (pid for pid in all_pids() - {os.getpid()} if mentions(pid, self.data))
        found = (process for pid in pids if (process := read_process(pid)) is not None)
        return [process for process in found if not process.command.endswith(str(BIN / "swarmd"))]


def _account() -> dict[str, object]:
    """pytest's folders are closed to other users, so root's instances run as root here."""
    if os.geteuid() != 0:
        return {}
    return {"run_as": "root", "allow_root": True}


def require_enforced(daemon: DaemonProcess, limit: str) -> None:
    """Skip where this host does not let the daemon enforce a limit: it is refused by name there."""
    enforced = daemon.call("provider.capabilities", name="local")["limits_enforced"]
    if limit not in enforced:
        pytest.skip(f"{limit} cannot be limited on this host by this user")
