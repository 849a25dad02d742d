"""The entry point: ``swarmctl tui``."""

from __future__ import annotations

from swarmd.client.aio import AsyncClient
from tui.app import SwarmdApp


def run(socket: str | None = None, *, read_only: bool = False) -> int:
    """Run the app until it is left.

    Args:
        socket: Where the daemon listens; None: as every client finds it.
        read_only: Whether everything that changes something is refused.

    Returns:
        The process's exit code.
    """
    app = SwarmdApp(lambda: AsyncClient(socket), read_only=read_only)
    app.run()
    return app.return_code or 0
