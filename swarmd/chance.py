"""Where ids and passwords come from; the pure core is handed what is made here."""

from __future__ import annotations

import secrets

from ulid import ULID


def new_id() -> str:
    """A ULID in lower case: sorted by time, safe in labels and file names."""
    return str(ULID()).lower()


def new_password() -> str:
    """Eighteen characters, 104 bits."""
    return secrets.token_urlsafe(13)
