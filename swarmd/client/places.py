"""Which socket a client talks to (DESIGN section 8)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

SYSTEM_SOCKET: Final = "/run/swarmd/swarmd.sock"


def find_socket(
    explicit: str | None = None, env: Mapping[str, str] | None = None, *, uid: int | None = None
) -> str:
    """The socket's path: what is given, ``SWARMD_SOCKET``, the user's own, the system's.

    Args:
        explicit: What ``--socket`` says.
        env: The environment; default: this process's.
        uid: Whose; default: this process's. Root's own is the system's.
    """
    env = os.environ if env is None else env
    if explicit:
        return explicit
    if env.get("SWARMD_SOCKET"):
        return env["SWARMD_SOCKET"]
    if (os.getuid() if uid is None else uid) != 0:
        own = _own_sockets(env)
        # pathlib would cost a command line its time.
        there = [path for path in own if os.path.exists(path)]  # noqa: PTH110
        if not there and not os.path.exists(SYSTEM_SOCKET):  # noqa: PTH110
            # Neither listens: whoever has had one of their own means that.
            there = [path for path in own if os.path.isdir(os.path.dirname(path))]  # noqa: PTH112, PTH120
        if there:
            return there[0]
    return SYSTEM_SOCKET


def _own_sockets(env: Mapping[str, str]) -> list[str]:
    home = env.get("HOME") or os.path.expanduser("~")  # noqa: PTH111
    states = _absolute(env, "XDG_STATE_HOME") or f"{home}/.local/state"
    state = env.get("SWARMD_STATE_DIR") or f"{states}/swarmd"
    runtime = _absolute(env, "XDG_RUNTIME_DIR")
    own = [f"{runtime}/swarmd/swarmd.sock"] if runtime else []
    return [*own, f"{state}/swarmd.sock"]


def _absolute(env: Mapping[str, str], variable: str) -> str:
    """An XDG directory; a relative one is ignored, as the specification demands."""
    value = env.get(variable, "")
    return value if value.startswith("/") else ""
