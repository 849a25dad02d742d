"""Bytes in JSON: base64 with its padding, nothing else let through."""

from __future__ import annotations

import base64
import binascii

from swarmd.errors import ValidationError


def to_base64(data: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, field: str) -> bytes:
    """Text as bytes.

    Raises:
        ValidationError: It is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValidationError(
            f"{field} is not base64",
            field=field,
            next_step="Encode the bytes as standard base64 with padding (RFC 4648, section 4).",
            details={"cause": str(error)},
        ) from error
