"""Where things stand: the table of DESIGN 8."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from swarmd.errors import ConfigError
from swarmd.messages.config import Config, Places

ROOT_PLACES = Places(
    state="/var/lib/swarmd",
    data="/var/lib/swarmd-instances",
    server="/opt/swarmd",
    socket="/run/swarmd/swarmd.sock",
)
_VARIABLES = {
    "state": "SWARMD_STATE_DIR",
    "data": "SWARMD_DATA_DIR",
    "server": "SWARMD_SERVER_DIR",
    "socket": "SWARMD_SOCKET",
}
_KEYS = {"state": "state_dir", "data": "data_dir", "server": "server_dir", "socket": "socket"}
SOCKET_PATH_MAX = 107
"""Bytes that fit ``sun_path`` (unix(7): 108 with the closing zero)."""


def resolve_places(
    config: Config, env: Mapping[str, str], *, uid: int, file: Path | None = None
) -> Places:
    """The directories and the socket: environment, else configuration, else the default.

    Args:
        config: What the file says; an empty place means the default.
        env: The environment; ``SWARMD_*`` and ``XDG_*`` are looked at.
        uid: Whose places; 0 has the system's.
        file: The configuration file, for the record.

    Raises:
        ConfigError: A configured place is relative, or the socket's path is too long.
    """
    chosen = {what: _chosen(what, config, env, uid) for what in _VARIABLES}
    fallback = ROOT_PLACES if uid == 0 else user_places(env, uid=uid, state=chosen["state"])
    places = Places(
        state=chosen["state"] or fallback.state,
        data=chosen["data"] or fallback.data,
        server=chosen["server"] or fallback.server,
        socket=chosen["socket"] or fallback.socket,
        config_file=None if file is None else str(file),
    )
    if len(os.fsencode(places.socket)) > SOCKET_PATH_MAX:
        raise ConfigError(
            f"the socket's path is longer than {SOCKET_PATH_MAX} bytes: {places.socket}",
            field="daemon.socket",
            next_step="Set daemon.socket or SWARMD_SOCKET to a shorter path.",
        )
    return places


def user_places(env: Mapping[str, str], *, uid: int, state: str | None = None) -> Places:
    """The places of a user who is not root (XDG base directories).

    Args:
        env: The environment.
        uid: Whose; looked up when there is no HOME.
        state: The state directory if it is chosen already: the socket may go below it.
    """
    home = home_directory(env, uid)
    data = _xdg(env, "XDG_DATA_HOME") or home / ".local/share"
    states = _xdg(env, "XDG_STATE_HOME") or home / ".local/state"
    state = state or str(states / "swarmd")
    runtime = _xdg(env, "XDG_RUNTIME_DIR")
    return Places(
        state=state,
        data=str(data / "swarmd/instances"),
        server=str(data / "swarmd/server"),
        socket=str(runtime / "swarmd/swarmd.sock" if runtime else Path(state) / "swarmd.sock"),
    )


def default_file(env: Mapping[str, str], *, uid: int) -> Path:
    """Where the configuration file is looked for if nothing names one."""
    if uid == 0:
        return Path("/etc/swarmd/config.toml")
    base = _xdg(env, "XDG_CONFIG_HOME") or home_directory(env, uid) / ".config"
    return base / "swarmd/config.toml"


def home_directory(env: Mapping[str, str], uid: int) -> Path:
    """HOME, else what the user database says, else the root."""
    if env.get("HOME"):
        return Path(env["HOME"])
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        return Path("/")


def _chosen(what: str, config: Config, env: Mapping[str, str], uid: int) -> str | None:
    """What the environment or the file says. The environment's may be relative to here."""
    from_env = env.get(_VARIABLES[what])
    if from_env:
        return str(Path(from_env).expanduser().absolute())
    key = _KEYS[what]
    value: str = getattr(config.daemon, key)
    if not value:
        return None
    path = Path(value)
    if value.startswith("~/"):
        path = home_directory(env, uid) / value[2:]
    if not path.is_absolute():
        raise ConfigError(
            f"daemon.{key} is not an absolute path: {value!r}",
            field=f"daemon.{key}",
            next_step="Write the whole path, beginning with / or ~/.",
        )
    return str(path)


def _xdg(env: Mapping[str, str], variable: str) -> Path | None:
    """An XDG directory; a relative one is ignored, as the specification demands."""
    value = env.get(variable, "")
    return Path(value) if value.startswith("/") else None
