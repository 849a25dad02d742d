"""The check at the end: its native parts do their work, and it starts, serves and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from swarmd.errors import InitializationError
from swarmd.setup.commands import (
    Command,
    CommandFailed,
    await_end,
    has_ended,
    kill_group,
    open_log,
    read_tail,
    start_child,
)
from swarmd.setup.context import Context
from swarmd.setup.manifest import SETUP_COMMAND

START_SECONDS = 60.0
END_SECONDS = 15.0
PARTS_SECONDS = 60.0
POLL_SECONDS = 0.05
_SOCKET_PATH_BYTES = 100

# Runs what a user would miss first. A package that loads and does nothing has been seen, so the
# terminal has to start a shell and the search has to find something.
PARTS = r"""
const { createRequire } = require('node:module');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const root = process.argv[1];
const own = createRequire(root + '/package.json');
const code = createRequire(root + '/lib/vscode/package.json');
const modules = root + '/lib/vscode/node_modules/';
own('argon2');
code('@parcel/watcher');
code('@vscode/spdlog');
const places = ['@vscode/ripgrep/bin/rg',
  `@vscode/ripgrep-universal/bin/linux-${process.arch}/rg`];
const rg = places.map((place) => modules + place).find((file) => fs.existsSync(file));
if (!rg || spawnSync(rg, ['--version']).status !== 0) throw new Error('ripgrep does not run');
const shell = code('node-pty').spawn('/bin/sh', ['-c', 'exit 7'], {});
shell.onExit(({ exitCode }) => process.exit(exitCode === 7 ? 0 : 1));
setTimeout(() => process.exit(1), 30000);
"""


def check_parts(context: Context, node: Path, root: Path) -> None:
    """Let the terminal, the watcher, the search, the log and the password hash show that they work.

    Raises:
        InitializationError: One does not.
    """
    try:
        context.run(context.command(node, "-e", PARTS, root, timeout_seconds=PARTS_SECONDS))
    except CommandFailed as failure:
        raise _not_working(context, "a part of it does not work", failure.tail) from failure


def start_once(context: Context, node: Path, root: Path) -> None:
    """Start code-server on a Unix socket that nobody else can reach, ask it, end it.

    Raises:
        InitializationError: It does not serve within a minute, or does not end when told to.
    """
    with tempfile.TemporaryDirectory(prefix="swarmd-", dir=_short_directory()) as name:
        home = Path(name)
        address = home / "s"
        command = _serve(context, node, root, home, address)
        with open_log(command.log) as log:
            begin = log.seek(0, os.SEEK_END)
            child = start_child(command, log)
            try:
                _await_healthy(child, address)
                _end(child)
            except (OSError, HTTPException) as error:
                tail = read_tail(command.log, begin)
                raise _not_working(context, str(error), tail) from error
            finally:
                kill_group(child)


def _serve(context: Context, node: Path, root: Path, home: Path, address: Path) -> Command:
    config = home / "config.yaml"
    config.write_text("auth: none\ncert: false\n", encoding="utf-8")
    return context.command(
        node, root / "out/node/entry.js", "--config", config, "--socket", address,
        "--user-data-dir", home / "data", "--extensions-dir", home / "extensions",
        "--disable-telemetry", "--disable-update-check",
        cwd=home, HOME=str(home), XDG_CONFIG_HOME=str(home), XDG_RUNTIME_DIR=str(home),
    )  # fmt: skip


def _await_healthy(child: subprocess.Popen[bytes], address: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(address, "/healthz"):
        if has_ended(child):
            raise ConnectionError("it ended instead of serving")
        if time.monotonic() >= deadline:
            raise TimeoutError(f"it did not serve within {START_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    # the first page makes code-server load VS Code itself, which /healthz does without
    if not _answers(address, "/"):
        raise ConnectionError("it is alive but does not serve the workbench")


def _answers(address: Path, path: str) -> bool:
    connection = _UnixConnection(address)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 400
    except (FileNotFoundError, ConnectionRefusedError):
        return False  # not listening yet
    finally:
        connection.close()


def _end(child: subprocess.Popen[bytes]) -> None:
    os.kill(child.pid, signal.SIGTERM)
    if not await_end(child, END_SECONDS):
        raise TimeoutError(f"it did not end within {END_SECONDS:.0f} s of being told to")


def _short_directory() -> str | None:
    """A place whose socket paths fit into the 107 bytes of a Unix address."""
    return "/tmp" if len(tempfile.gettempdir()) > _SOCKET_PATH_BYTES - 40 else None  # noqa: S108


def _not_working(context: Context, what: str, cause: str) -> InitializationError:
    return InitializationError(
        f"code-server was installed and does not work: {what}.",
        next_step=f"Read the end of {context.layout.log}, then run {SETUP_COMMAND} --force.",
        details={"cause": cause, "log": str(context.layout.log)},
    )


class _UnixConnection(HTTPConnection):
    """HTTP to a Unix socket."""

    def __init__(self, address: Path) -> None:
        super().__init__("localhost", timeout=START_SECONDS)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._address))
