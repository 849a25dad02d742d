"""The entry points: ``swarmctl tui`` and ``python -m tui``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import msgspec

from swarmd.client.aio import AsyncClient
from swarmd.configuration.places import default_file
from swarmd.errors import ConfigError
from swarmd.messages.config import TuiConfig
from tui import terminal
from tui.app import SwarmdApp


class Dial:
    """Makes clients of one daemon: once it was reached, no other takes its place.

    Where a client looks depends on what is there at that moment, and the app would show, and
    change, another daemon's instances as if they were those that one had before.

    Args:
        socket: Where the daemon listens; None: as every client finds it, the first time.
    """

    def __init__(self, socket: str | None = None) -> None:
        self.socket = socket

    def __call__(self) -> AsyncClient:
        """A client, not yet connected."""
        return _Reaching(self)


class _Reaching(AsyncClient):
    def __init__(self, dial: Dial) -> None:
        super().__init__(dial.socket)
        self._dial = dial

    async def connect(self) -> None:
        await super().connect()
        self._dial.socket = self.path


def run(*, socket: str | None = None, config: str | None = None, read_only: bool = False) -> int:
    """Run the app until it is left.

    Args:
        socket: Where the daemon listens; None: as every client finds it.
        config: The configuration file; None: as the daemon finds it.
        read_only: Refuse everything that changes something, whatever the settings say.

    Returns:
        The process's exit code.
    """
    settings, notice = read_settings(config)
    if read_only:
        settings = msgspec.structs.replace(settings, read_only=True)
    gone = terminal.is_gone if terminal.is_one() else lambda: False
    app = SwarmdApp(Dial(socket), settings, notice=notice, gone=gone)
    app.run()
    return app.return_code or 0


def read_settings(config: str | None) -> tuple[TuiConfig, str]:
    """The section ``[tui]``, and what is to be told if it could not be read.

    A configuration that is wrong elsewhere, or that this user may not read, is no reason not to
    look at a daemon that runs.
    """
    named = config or os.environ.get("SWARMD_CONFIG")
    if not named and not default_file(os.environ, uid=os.getuid()).exists():
        return TuiConfig(), ""
    from swarmd.configuration.loader import find_file, parse

    try:
        file = find_file(Path(config) if config else None, os.environ, uid=os.getuid())
        if file is None:
            return TuiConfig(), ""
        return parse(file.read_text(encoding="utf-8"), file).tui, ""
    except (ConfigError, OSError, ValueError) as error:
        return TuiConfig(), f"The settings could not be read, the defaults hold: {error}"


def main() -> int:
    """What ``python -m tui`` does: that is how ``swarmctl web`` starts it."""
    parser = argparse.ArgumentParser(prog="swarmctl tui")
    parser.add_argument("--socket")
    parser.add_argument("--config")
    parser.add_argument("--read-only", action="store_true")
    options = parser.parse_args()
    return run(socket=options.socket, config=options.config, read_only=options.read_only)
