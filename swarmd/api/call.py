"""What a handler is given, and the table of handlers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import msgspec
from msgspec import UNSET, UnsetType

from swarmd.api.errors import INVALID_PARAMS, PARSE_ERROR, ProtocolFault
from swarmd.api.opened import OpenStreams
from swarmd.api.peer import UserNames
from swarmd.api.threads import Threads
from swarmd.core.explain import explain
from swarmd.messages import codec
from swarmd.messages.methods import METHODS, Kind, Method
from swarmd.messages.operation import Caller
from swarmd.messages.requests import Request
from swarmd.ports import Clock, Commands, Query


@dataclass(frozen=True, slots=True)
class Services:
    """What all connections share.

    The watchers' pool only reads. ``uploads`` writes what clients send to the disk, which may
    be slow but takes it; what may block for ever, a command's input, has threads of its
    connection's own (``OpenStreams.feed``). ``closers`` ends sessions: in a pool full of blocked
    readers that would not get its turn, and nothing else wakes those readers.
    """

    query: Query
    commands: Commands
    version: str
    clock: Clock
    new_id: Callable[[], str]
    users: UserNames
    uploads: Threads
    closers: Threads


class Link(Protocol):
    """What handlers and streams see of the connection."""

    streams: OpenStreams

    @property
    def is_open(self) -> bool:
        """Whether the client can still be reached."""

    def notify(self, method: str, params: object) -> None:
        """Send a notification."""

    async def drained(self) -> None:
        """Wait until the client has taken what was sent, but for 256 KiB."""

    def abandonable(self) -> AbstractContextManager[None]:
        """What is awaited inside ends when the client disconnects."""


class Call:
    """One request on its way through a handler."""

    __slots__ = ("caller", "link", "request_id", "services")

    def __init__(
        self,
        services: Services,
        link: Link,
        caller: Caller,
        request_id: int | str | UnsetType | None,
    ) -> None:
        self.services = services
        self.link = link
        self.caller = caller
        self.request_id = request_id

    @property
    def is_notification(self) -> bool:
        """Whether nobody waits for an answer."""
        return self.request_id is UNSET

    @property
    def query(self) -> Query:
        """What reads."""
        return self.services.query

    @property
    def commands(self) -> Commands:
        """What changes."""
        return self.services.commands

    async def from_disk(self, function: Callable[[], T]) -> T:
        """Run a read of files off the loop."""
        return cast("T", await self.services.commands.run_short(function))


Handler = Callable[[Call, Any], Any]
T = TypeVar("T")
H = TypeVar("H", bound=Callable[..., Any])

HANDLERS: dict[type[Request], Handler] = {}
"""One handler per request: a function for a read, a coroutine function for the rest."""


def handles(*requests: type[Request]) -> Callable[[H], H]:
    """Register the handler of these requests."""

    def register(handler: H) -> H:
        for request in requests:
            if request in HANDLERS:
                raise RuntimeError(f"{request.__name__} has two handlers")
            HANDLERS[request] = handler
        return handler

    return register


class Entry:
    """One method, ready to be called."""

    __slots__ = ("_decoder", "handler", "inline", "method")

    def __init__(self, method: Method, handler: Handler) -> None:
        self.method = method
        self.handler = handler
        self.inline = method.kind is Kind.READ
        self._decoder = codec.decoder(method.request)

    def decode(self, params: msgspec.Raw) -> Request:
        """The params as the method's Struct.

        Raises:
            ProtocolFault: They do not fit; it names the field and what is near.
        """
        try:
            return self._decoder.decode(params)
        except msgspec.ValidationError as error:
            told = explain(error, self.method.request)
            raise ProtocolFault(
                INVALID_PARAMS,
                told.message,
                field=told.field or "params",
                next_step=told.suggestion,
                details={"expected": told.expected, "nearest": list(told.nearest)},
            ) from error
        except (ValueError, RecursionError) as error:
            raise ProtocolFault(
                PARSE_ERROR,
                f"the params are not JSON: {error}",
                field="params",
                next_step="Send one whole JSON document per line, in UTF-8.",
            ) from error


def method_table() -> dict[str, Entry]:
    """Every method of ``METHODS`` by its name."""
    return {method.name: Entry(method, HANDLERS[method.request]) for method in METHODS}
