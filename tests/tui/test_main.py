"""How the app finds its daemon, and stays with it."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from swarmd.errors import DaemonUnreachable
from tui.main import Dial


@pytest.mark.anyio
async def test_once_a_daemon_was_reached_no_other_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one.sock", tmp_path / "other.sock"

    async def served(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    dial = Dial()
    monkeypatch.setenv("SWARMD_SOCKET", str(one))
    with pytest.raises(DaemonUnreachable):
        await dial().connect()
    monkeypatch.setenv("SWARMD_SOCKET", str(other))
    assert dial().path == str(other), "nobody was reached yet: it is looked for anew"
    async with await asyncio.start_unix_server(served, other):
        client = dial()
        await client.connect()
        await client.close()
    monkeypatch.setenv("SWARMD_SOCKET", str(one))
    assert dial().path == str(other)


def test_it_ends_with_its_terminal(tmp_path: Path) -> None:
    """One that goes without SIGHUP, as that of a multiplexer that was killed."""
    master, slave = pty.openpty()
    app = subprocess.Popen(
        [sys.executable, "-m", "tui", "--socket", str(tmp_path / "none.sock")],
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env=os.environ | {"TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(slave)
    shown = b""
    try:
        while b"swarmd" not in shown:
            shown += os.read(master, 65536)
        os.close(master)
        assert app.wait(30) == 1
    finally:
        app.kill()
        app.wait()
