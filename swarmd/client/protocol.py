"""The client's side of the protocol, without IO: requests into bytes, bytes into messages."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from swarmd.errors import DaemonUnreachable, InternalError, SwarmError, ValidationError, from_wire
from swarmd.messages import codec
from swarmd.messages.wire import MAX_FRAME, Chunk


class OperationStarted(Struct, frozen=True, kw_only=True):
    """A request was accepted: the operation that carries it out."""

    id: str
    kind: str
    target: str
    request: int | str | None = None


class Reply(Struct, frozen=True):
    """The answer to a request: a result, not yet looked into, or an error.

    Without an id it is an error that concerns the connection.
    """

    id: int | None
    result: Raw = Raw(b"")
    error: SwarmError | None = None


Message = Reply | Chunk | OperationStarted


class _Error(Struct, frozen=True):
    code: int
    message: str
    data: dict[str, Any] = {}


class _Line(Struct, frozen=True):
    id: int | None = None
    method: str | None = None
    params: Raw = Raw(b"null")
    result: Raw = Raw(b"")
    error: _Error | None = None


_lines = msgspec.json.Decoder(_Line)
_chunks = msgspec.json.Decoder(Chunk)
_started = msgspec.json.Decoder(OperationStarted)


class Protocol:
    """One connection's state: the ids given, the bytes of a line that is not whole yet."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._buffer = bytearray()

    def request(
        self, method: str, params: object = None, *, correlation: str | None = None
    ) -> tuple[int, bytes]:
        """The id of a new request and the bytes to send.

        Args:
            method: Its name.
            params: A request Struct or a mapping; secrets in it are sent in the clear.
            correlation: A mark that goes through everything it causes; None: the daemon's.

        Raises:
            ValidationError: It is longer than a line may be.
        """
        request_id = next(self._ids)
        line: dict[str, Any] = {
            "jsonrpc": "2.0",
            "id": request_id,
            "method": method,
            "params": plain_params(params),
        }
        if correlation is not None:
            line["correlation"] = correlation
        data = codec.encode_private(line)
        if len(data) > MAX_FRAME:
            raise ValidationError(
                f"the request has {len(data)} bytes, more than the {MAX_FRAME} of a line",
                next_step="Send less at once; archives go through upload.open.",
            )
        return request_id, data + b"\n"

    def feed(self, data: bytes) -> list[Message]:
        """Take what came from the socket; the messages that are whole now.

        Raises:
            InternalError: What came is not this protocol.
        """
        self._buffer += data
        if b"\n" not in data:
            return []
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        found = (_read_line(bytes(line)) for line in lines if line)
        return [message for message in found if message is not None]


def plain_params(params: object) -> object:
    """Params as they are sent: of a Struct only what differs from its defaults."""
    if params is None:
        return {}
    if not isinstance(params, Struct):
        return params
    return {
        field.encode_name: value
        for field in msgspec.structs.fields(params)
        if (value := getattr(params, field.name)) != _default(field)
    }


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _read_line(line: bytes) -> Message | None:
    try:
        read = _lines.decode(line)
        if read.method == "stream":
            return _chunks.decode(read.params)
        if read.method == "operation.started":
            return _started.decode(read.params)
    except (ValueError, RecursionError) as error:
        raise unreadable(error) from error
    if read.method is not None:
        return None  # a newer daemon's notification
    if read.error is not None:
        return Reply(read.id, error=error_of(read.error.data, read.error.message))
    return Reply(read.id, read.result)


def error_of(data: Mapping[str, Any], message: str = "") -> SwarmError:
    """The exception that ``{type, message, details}`` stands for."""
    return from_wire(
        str(data.get("type", "internal_error")),
        str(data.get("message", message)),
        data.get("details") or {},
    )


def unreadable(error: Exception) -> InternalError:
    """What came is not this protocol."""
    return InternalError(
        f"what answers on this socket does not speak swarmd's protocol: {error}",
        next_step="Look which program has the socket, or give another with --socket.",
    )


def lost(path: str, cause: object = None) -> DaemonUnreachable:
    """The connection ended while an answer was waited for."""
    why = f": {cause}" if cause else ""
    return DaemonUnreachable(
        f"the daemon closed the connection on {path}{why}",
        next_step="See whether it still runs (swarmctl status) and what its log says.",
        details={"socket": path},
    )


def unreachable(path: str, error: OSError) -> DaemonUnreachable:
    """Nobody answers on the socket, or this user may not connect."""
    if isinstance(error, PermissionError):
        step = "Ask for membership of the group in access.socket_group, or run it as the owner."
    else:
        step = "Start the daemon: swarmd (or make run). Another socket: --socket."
    return DaemonUnreachable(
        f"no daemon answers on {path}: {error.strerror or error}",
        next_step=step,
        details={"socket": path, "cause": error.strerror or str(error)},
    )
