"""How nouns become bytes and back; the one place that knows the custom types.

Two spellings of the same thing: ``encode`` masks every ``Secret`` and serves everything that
a person or another program may see; ``encode_private`` reveals them and serves the daemon's
own 0600 files alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from swarmd.messages.secret import MASK, Location, Secret
from swarmd.messages.units import Duration, Size, Storage

T = TypeVar("T")


def _encode_custom(value: object) -> Any:
    if isinstance(value, Size | Duration):
        return str(value)
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, Location):
        return value.public()
    raise NotImplementedError(f"{type(value).__name__} has no form on the wire")


def _encode_private(value: object) -> Any:
    if isinstance(value, Location):
        return str(value)
    return value.reveal() if isinstance(value, Secret) else _encode_custom(value)


def decode_custom(kind: type[Any], value: Any) -> Any:
    """msgspec's ``dec_hook``: sizes, durations and secrets from what JSON or TOML gives."""
    if issubclass(kind, Size | Duration):
        return kind.parse(value)
    if kind is Secret or kind is Location:
        if not isinstance(value, str):
            raise ValueError("expected text")
        return kind(value)
    raise NotImplementedError(f"{kind.__name__} has no form on the wire")


def schema_custom(kind: type[Any]) -> dict[str, Any]:
    """msgspec's ``schema_hook``: the JSON Schema of the custom types."""
    if issubclass(kind, Storage):
        return {"type": ["string", "number"], "description": 'Disk: "10g"; a bare number is GiB.'}
    if issubclass(kind, Size):
        return {"type": ["string", "number"], "description": 'Bytes: "512m", "2g" or a number.'}
    if issubclass(kind, Duration):
        return {"type": ["string", "number"], "description": '"30s", "1h30m" or seconds.'}
    if kind is Location:
        return {"type": "string", "description": "A URL's login is left out of every reply."}
    if kind is Secret:
        return {"type": "string", "writeOnly": True, "description": "Masked in every reply."}
    raise NotImplementedError(kind.__name__)


_public = msgspec.json.Encoder(enc_hook=_encode_custom)
_private = msgspec.json.Encoder(enc_hook=_encode_private)

encode: Callable[[Any], bytes] = _public.encode
"""JSON without secrets."""

encode_private: Callable[[Any], bytes] = _private.encode
"""JSON with secrets in the clear: for the daemon's own 0600 files alone."""


def decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """A reusable JSON decoder for one type. Raises ``msgspec.ValidationError`` on use."""
    return msgspec.json.Decoder(kind, dec_hook=decode_custom)


def convert(value: Any, kind: type[T]) -> T:
    """Plain dicts, lists and scalars into a Struct. Raises ``msgspec.ValidationError``."""
    return msgspec.convert(value, type=kind, dec_hook=decode_custom)


def to_plain(value: Any, *, reveal: bool = False) -> Any:
    """A Struct into plain dicts, lists and scalars; secrets masked unless ``reveal``."""
    hook = _encode_private if reveal else _encode_custom
    return msgspec.to_builtins(value, enc_hook=hook)
