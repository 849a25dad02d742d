"""The JSON-RPC envelope: what stands around params, results and errors."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from swarmd.api.errors import APPLICATION_ERROR, INVALID_REQUEST, PARSE_ERROR, ProtocolFault
from swarmd.core.explain import explain
from swarmd.errors import ResourceLimitError
from swarmd.messages import codec
from swarmd.messages.wire import MAX_FRAME

MAX_BATCH: Final = 1000
"""Requests of one batch: each is answered, and the answers are kept until the last is there."""

WholeNumber = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
RequestId = WholeNumber | str | None


class Envelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request. Without ``id`` it is a notification: carried out, never answered.

    ``correlation`` is swarmd's own addition: the mark that goes through everything this
    request causes; made up if the client gives none.
    """

    method: str
    jsonrpc: Literal["2.0"]
    id: RequestId | UnsetType = UNSET
    params: Raw = Raw(b"{}")
    correlation: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType = UNSET


class _Identified(Struct, frozen=True):
    id: RequestId = None


_envelopes = msgspec.json.Decoder(Envelope)
_batches = msgspec.json.Decoder(list[Raw])
_identified = msgspec.json.Decoder(_Identified)
_anything = msgspec.json.Decoder(dict[str, Any])


def is_batch(frame: bytes) -> bool:
    """Whether a line is an array."""
    return frame.lstrip()[:1] == b"["


def split_batch(frame: bytes) -> list[Raw]:
    """The requests of a batch, not yet looked into.

    Raises:
        ProtocolFault: Not JSON, empty, or more than ``MAX_BATCH``.
    """
    try:
        items = _batches.decode(frame)
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from error
    if not items:
        raise ProtocolFault(INVALID_REQUEST, "the batch is empty", next_step="Send requests in it.")
    if len(items) > MAX_BATCH:
        raise ProtocolFault(
            INVALID_REQUEST,
            f"the batch has {len(items)} requests, more than {MAX_BATCH}",
            next_step=f"Send batches of at most {MAX_BATCH} requests.",
        )
    return items


def decode_request(frame: bytes | Raw) -> Envelope:
    """One request.

    Raises:
        ProtocolFault: Not JSON, or not a request; it carries the id if one can be read.
    """
    try:
        return _envelopes.decode(frame)
    except msgspec.ValidationError as error:
        raise _not_a_request(frame, error) from error
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from error


def _not_json(error: Exception) -> ProtocolFault:
    return ProtocolFault(
        PARSE_ERROR,
        f"this line is not JSON: {error}",
        next_step="Send one whole JSON document per line, in UTF-8.",
    )


def _not_a_request(frame: bytes | Raw, error: Exception) -> ProtocolFault:
    try:
        found = _anything.decode(frame)
    except msgspec.ValidationError:
        return ProtocolFault(
            INVALID_REQUEST,
            "this is not a request: a JSON object is one",
            next_step='Send {"jsonrpc": "2.0", "id": 1, "method": "daemon.ping"}.',
        )
    except (ValueError, RecursionError) as broken:
        return _not_json(broken)
    told = explain(error, Envelope)
    return ProtocolFault(
        INVALID_REQUEST,
        f"this is not a request: {told.message}",
        field=told.field,
        next_step=told.suggestion,
        request_id=_usable_id(found.get("id")),
    )


def _usable_id(value: object) -> RequestId:
    fits = isinstance(value, str) or (type(value) is int and -(2**63) <= value < 2**63)
    return value if fits else None  # type: ignore[return-value]


def id_of(item: Raw) -> bytes:
    """The id that a request of a batch is answered with; null if none can be read."""
    try:
        return encode_id(_identified.decode(item).id)
    except (ValueError, RecursionError):
        return b"null"


# --- answers ---------------------------------------------------------------------------------


def encode_id(request_id: RequestId) -> bytes:
    """The id as it is echoed."""
    return b"%d" % request_id if type(request_id) is int else codec.encode(request_id)


def encode_result(request_id: bytes, result: object) -> bytes:
    """A reply, without its newline.

    Raises:
        ResourceLimitError: It would be larger than a frame may be.
    """
    body = codec.encode(result)
    if len(body) > MAX_FRAME:
        raise ResourceLimitError(
            f"the answer has {len(body)} bytes, more than the {MAX_FRAME} of a frame",
            next_step="Ask for less: a smaller limit, fewer fields, or page by cursor.",
            details={"bytes": len(body), "limit": MAX_FRAME},
        )
    return b'{"jsonrpc":"2.0","id":' + request_id + b',"result":' + body + b"}"


def encode_error(request_id: bytes, error: dict[str, Any]) -> bytes:
    """An error, without its newline."""
    return b'{"jsonrpc":"2.0","id":' + request_id + b',"error":' + codec.encode(error) + b"}"


def encode_too_large(request_id: bytes) -> bytes:
    """The error that stands in a batch's array for an answer that would make it too long."""
    message = f"the answers of this batch have more than {MAX_FRAME} bytes"
    details = {"next_step": "Send fewer requests in one batch.", "limit": MAX_FRAME}
    data = {"type": ResourceLimitError.type, "message": message, "details": details}
    error = {"code": APPLICATION_ERROR, "message": message, "data": data}
    return encode_error(request_id, error)


def encode_notification(method: str, params: object) -> bytes:
    """A notification of ours, with its newline."""
    body = codec.encode(params)
    return b'{"jsonrpc":"2.0","method":"' + method.encode() + b'","params":' + body + b"}\n"
