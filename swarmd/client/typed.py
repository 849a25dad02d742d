"""Replies as Structs: which type answers which request."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw, Struct

from swarmd.errors import InternalError
from swarmd.messages import codec, requests
from swarmd.messages.instance import Instance
from swarmd.messages.methods import BY_REQUEST, Kind, Method
from swarmd.messages.operation import Operation
from swarmd.messages.replies import InstancePage


class _Peek(Struct, frozen=True):
    """Tells an operation from a noun."""

    kind: str | None = None


_peek = msgspec.json.Decoder(_Peek)


@lru_cache(maxsize=128)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return codec.decoder(kind)


def method_of(request: requests.Request) -> Method:
    """The method that a request Struct stands for."""
    return BY_REQUEST[type(request)]


def read_reply(request: requests.Request, result: Raw) -> Any:
    """The reply as its Struct; secrets in it are masks.

    Args:
        request: What was asked.
        result: What was answered.

    Raises:
        InternalError: It is not what this version knows.
    """
    try:
        return _read(request, result)
    except msgspec.DecodeError as error:
        raise mismatch(error) from error


def mismatch(error: msgspec.DecodeError) -> InternalError:
    """What the daemon told is not what this version knows."""
    return InternalError(
        f"the daemon answered what this version does not know: {error}",
        next_step="Install the same version of swarmd for both, and restart the older.",
        details={"mismatch": True},
    )


def _read(request: requests.Request, result: Raw) -> Any:
    method = method_of(request)
    if method.kind is Kind.OPERATION and _peek.decode(result).kind is not None:
        return _decoder(Operation).decode(result)
    reply = _decoder(method.reply).decode(result)
    whole = isinstance(request, requests.ListInstances) and not request.fields
    if isinstance(reply, InstancePage) and whole:
        items = tuple(codec.convert(item, Instance) for item in reply.items)
        return msgspec.structs.replace(reply, items=items)
    return reply
