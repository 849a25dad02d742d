"""A tunnel to the engine's socket on another host: one ``ssh`` of the system, watched over.

It listens on a socket in a private folder here and is started when it is first needed, and
again when it has died. It ends with ``close``, and with this process however that ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from swarmd.errors import ProviderUnreachable
from swarmd.providers.docker.errors import Faults
from swarmd.providers.docker.sockets import PatientSocket, connect_unix
from swarmd.providers.docker.where import Target

_MUST = (
    "BatchMode=yes",
    "ExitOnForwardFailure=yes",
    "StreamLocalBindUnlink=yes",
    "StreamLocalBindMask=0177",
    "ControlMaster=no",
    "ControlPath=none",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
)
"""What holds whatever the user's options and configuration say: ssh takes the first one."""
_USUAL = (
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "ForwardAgent=no",
    "ForwardX11=no",
)
_KEPT_ENVIRONMENT = ("PATH", "HOME", "SSH_AUTH_SOCK", "USER", "LOGNAME", "LANG")
_LINES = 8
_FOLDER_BYTES = 96
"""With the name in it, the path of a socket: that holds 107 bytes."""
_POLL_SECONDS = 0.02
_GRACE_SECONDS = 2.0
_LEASH = """
import os, sys
parent = int(sys.argv[1])
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 15)
if os.getppid() != parent:
    sys.exit("its parent has gone")
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{sys.argv[2]}: {error.strerror}")
"""
"""Asks Linux for a SIGTERM at the parent's death (PR_SET_PDEATHSIG), then becomes ssh.

The parent is the thread that forks: each child has one of its own, which stays as long as it.
"""


class Tunnel:
    """Connects to the engine's socket of another host.

    Args:
        target: The host, and its socket's path.
        options: Further arguments of ssh.
        faults: Makes the errors.
    """

    def __init__(self, target: Target, options: Sequence[str], faults: Faults) -> None:
        self._target = target
        self._options = tuple(options)
        self._faults = faults
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._child: Child | None = None
        self._closed = False

    def connect(self, deadline: float) -> PatientSocket:
        """A connection through the tunnel, which is started if need be.

        Raises:
            ProviderUnreachable: ssh ended; its last words are the cause.
            OSError: As a socket's; ``TimeoutError`` at the deadline.
        """
        before = self._child
        child, path = self._running()
        again = child is before
        while True:
            try:
                return connect_unix(str(path), deadline)
            except (FileNotFoundError, ConnectionRefusedError):
                if child.ended.wait(max(0.0, min(_POLL_SECONDS, deadline - time.monotonic()))):
                    if not again:
                        raise self._ended(child) from None
                    # It may have died before this call, and nobody had noticed.
                    again = False
                    child, path = self._running()
                elif time.monotonic() >= deadline:
                    raise TimeoutError(f"ssh is not through yet: {child.words}") from None

    def words(self) -> str:
        """The last words of ssh."""
        child = self._child
        return child.words if child else ""

    def close(self) -> None:
        """End it. Idempotent."""
        with self._lock:
            self._closed = True
            child, self._child = self._child, None
            folder, self._folder = self._folder, None
        if child:
            child.end()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)

    def _running(self) -> tuple[Child, Path]:
        with self._lock:
            if self._closed:
                raise self._faults.closed()
            if self._folder is None:
                self._folder = private_folder()
            path = self._folder / "engine"
            if self._child is None or self._child.ended.is_set():
                path.unlink(missing_ok=True)
                self._child = Child(self.argv(path))
            return self._child, path

    def argv(self, path: Path) -> list[str]:
        """The command that listens on this path."""
        target = self._target
        must = [word for option in _MUST for word in ("-o", option)]
        usual = [word for option in _USUAL for word in ("-o", option)]
        port = ["-p", str(target.port)] if target.port else []
        user = ["-l", target.user] if target.user else []
        forward = ["-L", f"{path}:{target.path}"]
        options = [*must, *self._options, *usual]
        return ["ssh", "-nNT", *options, *port, *user, *forward, "--", target.host]

    def _ended(self, child: Child) -> ProviderUnreachable:
        words = child.words or "without a word"
        return ProviderUnreachable(
            f"{self._faults.engine} cannot be reached: ssh ended: {words}",
            next_step=f"Make `ssh {self._target.host}` work without a question for the daemon's "
            "user: host key, login key, and the right to forward to the engine's socket.",
            details={"cause": words},
        )


class Child:
    """One run of ssh, begun and awaited by a thread of its own."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.ended = threading.Event()
        self._begun = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: deque[str] = deque(maxlen=_LINES)
        leash = [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid())]
        self._thread = threading.Thread(
            target=self._run, args=([*leash, *argv],), name="engine-tunnel", daemon=True
        )
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Of ssh, once it was begun."""
        self._begun.wait()
        return self._process.pid if self._process else None

    @property
    def words(self) -> str:
        """The last lines that it said."""
        return "; ".join(self._lines)

    def end(self) -> None:
        """End it and wait for that."""
        self._begun.wait()
        process = self._process
        if process is not None:
            process.terminate()
            if not self.ended.wait(_GRACE_SECONDS):
                process.kill()
        self._thread.join(_GRACE_SECONDS)

    def _run(self, argv: Sequence[str]) -> None:
        try:
            with subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=small_environment(),
                start_new_session=True,
            ) as process:
                self._process = process
                self._begun.set()
                for line in process.stderr or ():
                    self._lines.append(line.decode(errors="replace").strip())
        except OSError as error:
            self._lines.append(str(error))
        finally:
            self._begun.set()
            self.ended.set()


def small_environment() -> dict[str, str]:
    """What ssh needs of our environment, and nothing that is secret."""
    return {key: os.environ[key] for key in _KEPT_ENVIRONMENT if key in os.environ}


def private_folder() -> Path:
    """A new folder of ours alone, whose path leaves room for a socket's name."""
    folder = Path(tempfile.mkdtemp(prefix="swarmd-ssh-"))
    if len(str(folder)) > _FOLDER_BYTES:
        with contextlib.suppress(OSError):
            folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="swarmd-ssh-", dir="/tmp"))
    return folder
