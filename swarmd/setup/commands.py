"""Running pip, npm and node: argument vectors, a chosen environment, output into a log file."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec

TAIL_BYTES = 4096
POLL_SECONDS = 0.02

# What a child may see of our environment. People keep their mirrors, proxies and certificates in
# these; a token that an .npmrc refers to arrives by the two names that npm's documents use.
PASSED = frozenset({
    "HOME", "USER", "LOGNAME", "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR",
    "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "NETRC",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE", "NODE_USE_SYSTEM_CA", "NPM_TOKEN", "NODE_AUTH_TOKEN",
})  # fmt: skip
PASSED_PREFIXES = ("NPM_CONFIG_", "PIP_")

_OFFLINE = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED"
    r"|ERR_SOCKET_TIMEOUT|NewConnectionError|ConnectTimeoutError|ReadTimeoutError|ProxyError"
    r"|Name or service not known|Temporary failure in name resolution|Network is unreachable"
    r"|Connection refused|Connection timed out|Max retries exceeded"
)
_UNTRUSTED = re.compile(
    r"SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER_CERT|UNABLE_TO_VERIFY_LEAF|CERTIFICATE_VERIFY_FAILED"
    r"|SSLCertVerificationError|CERT_UNTRUSTED"
)
_CREDENTIALS = re.compile(r"//[^/\s@]+@|(?i:(?:_authToken|_password|_auth)\s*=\s*\S+)")


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One child process.

    Args:
        argv: The argument vector.
        environment: All that it sees of the environment.
        log: File that its output is appended to.
        cwd: Where it runs.
        timeout_seconds: After this it is killed, with its children.
        keep_open: A descriptor that it inherits, so that the installation's lock is held for as
            long as the child lives, even when we are killed.
    """

    argv: tuple[str, ...]
    environment: dict[str, str]
    log: Path
    cwd: Path
    timeout_seconds: float
    keep_open: int | None = None


class CommandFailed(Exception):
    """A child process failed; ``tail`` is the end of what it said, without credentials."""

    def __init__(self, argv: tuple[str, ...], reason: str, tail: str) -> None:
        super().__init__(f"{Path(argv[0]).name} {reason}")
        self.reason = reason
        self.tail = tail

    @property
    def offline(self) -> bool:
        """Whether its words are those of a program that cannot reach the network."""
        return _OFFLINE.search(self.tail) is not None

    @property
    def untrusted(self) -> bool:
        """Whether its words are those of a program that does not know who signed a certificate."""
        return _UNTRUSTED.search(self.tail) is not None


Runner = Callable[[Command], None]


def child_environment(parent: Mapping[str, str], **extra: str) -> dict[str, str]:
    """What a child may see of ``parent``, and ``extra`` on top.

    An allow-list: what an editor's terminal or a service manager leaves in the environment
    changes how npm and code-server behave (``VSCODE_IPC_HOOK_CLI`` makes the latter exit).
    """

    def passes(name: str) -> bool:
        upper = name.upper()
        return upper in PASSED or upper.startswith(PASSED_PREFIXES)

    return {name: value for name, value in parent.items() if passes(name)} | extra


def run_command(command: Command) -> None:
    """Run it to its end.

    Raises:
        CommandFailed: It could not be started, failed, or took too long.
    """
    with open_log(command.log) as log:
        begin = log.seek(0, os.SEEK_END)
        log.write(f"\n$ {' '.join(command.argv)}\n".encode())
        log.flush()
        try:
            child = start_child(command, log)
        except OSError as error:
            raise CommandFailed(command.argv, f"cannot be started: {error}", "") from error
        try:
            finished = await_end(child, command.timeout_seconds)
        finally:
            code = kill_group(child)
    if not finished:
        reason = f"did not finish within {command.timeout_seconds:.0f} s"
        raise CommandFailed(command.argv, reason, read_tail(command.log, begin))
    if code != 0:
        reason = f"ended with status {code}"
        raise CommandFailed(command.argv, reason, read_tail(command.log, begin))


def start_child(command: Command, output: BinaryIO) -> subprocess.Popen[bytes]:
    """Start it in a session of its own; what it writes is for everyone to read.

    Raises:
        OSError: It cannot be started.
    """
    inherited = () if command.keep_open is None else (command.keep_open,)
    return subprocess.Popen(
        command.argv,
        cwd=command.cwd,
        env=command.environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=inherited,
        umask=0o022,
    )


def await_end(child: subprocess.Popen[bytes], timeout_seconds: float) -> bool:
    """Wait until the child has ended, and say whether it has. It is not reaped: see kill_group."""
    deadline = time.monotonic() + timeout_seconds
    while not has_ended(child):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether the child has ended. It is not reaped: see kill_group."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def kill_group(child: subprocess.Popen[bytes]) -> int:
    """Kill the child and what is left of its process group, reap it, and return its status.

    The child must not have been reaped before: from then on its number may be somebody else's.
    """
    os.killpg(child.pid, signal.SIGKILL)
    return child.wait()


def open_log(file: Path) -> BinaryIO:
    """Open the log for appending. Its owner alone may read it: tools print addresses of mirrors."""
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb")


def read_tail(log: Path, begin: int) -> str:
    """The end of what was written after ``begin``, credentials struck out."""
    with log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(begin, size - TAIL_BYTES))
        text = stream.read().decode(errors="replace")
    return _CREDENTIALS.sub("***", text).strip()
