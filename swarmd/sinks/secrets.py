"""Reading what is secret about a receiver, each time anew: it may be replaced any time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from swarmd.core.alerts.receivers import source_of
from swarmd.errors import Unavailable
from swarmd.messages.secret import Secret

_MOST_BYTES = 64 << 10


def read_secret(text: str, field: str, environment: Mapping[str, str] = os.environ) -> Secret:
    """The first line of what a source holds; a text that names no source is what it says.

    Args:
        text: ``file:/path``, ``env:NAME``, ``credential:NAME`` (of systemd), or plain.
        field: The key that says so.
        environment: The daemon's.

    Raises:
        Unavailable: It is not there, or empty.
    """
    source = source_of(text)
    if source is None:
        return Secret(text)
    kind, where = source
    try:
        found = _read(kind, where, environment)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise _missing(text, field, why or str(error)) from error
    value = found.split("\n", 1)[0].strip()
    if not value:
        raise _missing(text, field, "it is empty or not set")
    if not value.isascii() or not value.isprintable():
        raise _missing(text, field, "it holds characters that cannot be sent")
    return Secret(value)


def _read(kind: str, where: str, environment: Mapping[str, str]) -> str:
    if kind == "env":
        return environment.get(where, "")
    path = Path(where)
    if kind == "credential":
        path = Path(environment.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / where
    with path.open("rb") as file:
        return file.read(_MOST_BYTES).decode()


def _missing(text: str, field: str, why: str) -> Unavailable:
    return Unavailable(
        f"{field} cannot be read from {text}: {why}",
        field=field,
        next_step="Put it there, readable by the daemon's user.",
    )
