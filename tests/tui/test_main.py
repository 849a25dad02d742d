"""How the app finds its daemon, and stays with it."""

from __future__ import annotations

import asyncio
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
