"""The managed code-server: ``swarmctl setup code-server``.

Installs a pinned code-server with a node of its own into the SERVER directory, from PyPI and npm
alone, without compiling anything; or from a release archive that somebody names. ``layout`` tells
where things lie and why an interruption at any point is harmless, ``npm`` and ``archive`` are the
two sources, ``standins`` tells what is done about the native modules, ``verify`` is the check at
the end, and ``plan`` decides what is left to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarmd.setup.manifest import (
    SETUP_COMMAND,
    InstalledServer,
    find_installed,
    require_installed,
)
from swarmd.setup.plan import SetupProgress

if TYPE_CHECKING:
    from swarmd.setup.install import install_code_server

__all__ = [
    "SETUP_COMMAND",
    "InstalledServer",
    "SetupProgress",
    "find_installed",
    "install_code_server",
    "require_installed",
]


def __getattr__(name: str) -> Any:
    # The daemon looks for an installation and never makes one: it shall not load HTTP and archives.
    if name == "install_code_server":
        from swarmd.setup.install import install_code_server

        return install_code_server
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
