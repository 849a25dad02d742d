"""The app's one connection: reads everything once, then lives on the event stream.

It owns the newest snapshot. What happens is collected and folded in at most so many times a
second; what an event does not tell is asked for again, in one request for many. A lost
connection is a state like any other: what is shown stays, and the stream resumes where it ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar

import msgspec

from swarmd.client.typed import mismatch
from swarmd.core.backoff import ceiling
from swarmd.errors import (
    DaemonUnreachable,
    DeadlineExceeded,
    InternalError,
    SwarmError,
    Unavailable,
)
from swarmd.messages.events import Event
from swarmd.messages.requests import (
    DaemonPing,
    DaemonStatus,
    DaemonVersion,
    ListAlerts,
    ListInstances,
    ListOperations,
    ListProviders,
    Request,
    SubscribeEvents,
)
from swarmd.messages.wire import PROTOCOL, Chunk
from tui.model.fold import Folded, Stale, fold, with_rows
from tui.model.rows import FIELDS, Row, row_of
from tui.model.snapshot import EVERYTHING, Changed, Link, LinkState, Snapshot

_PAGE: Final = 1000
_RETRY_BASE: Final = 0.5
_RETRY_CAP: Final = 5.0
_OPERATIONS: Final = 200
_ASKED_AT_ONCE: Final = 200
_PULSE_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 10.0

T = TypeVar("T")


class Stream(Protocol):
    """What of a stream is used: its chunks, and its end."""

    def __aiter__(self) -> AsyncIterator[Chunk]:
        """Every chunk; raises what the stream ended with."""

    async def close(self) -> None:
        """End it."""


class Client(Protocol):
    """What of ``client.aio.AsyncClient`` is used; tests have their own."""

    path: Any

    async def connect(self) -> None:
        """Open the connection. Raises ``DaemonUnreachable``."""

    async def close(self) -> None:
        """End it."""

    async def call_typed(self, request: Request, *, timeout: float | None = None) -> Any:
        """Ask, and answer with the reply's Struct."""

    async def stream(self, request: Request | str, params: object = None) -> Any:
        """Open a stream."""


Tell = Callable[[Snapshot, Changed], None]
"""Shows a new snapshot and what is different in it."""


class DaemonLink:
    """See the module's docstring.

    Args:
        connect: Makes a client, not yet connected.
        tell: Called on the loop, at most ``rate`` times a second while all is well.
        rate: Times a second.
    """

    def __init__(self, connect: Callable[[], Client], tell: Tell, *, rate: float = 10.0) -> None:
        self._connect = connect
        self._tell = tell
        self._pause = 1.0 / rate
        self._client: Client | None = None
        self._pending: list[Event] = []
        self._news = asyncio.Event()
        self._resumed = asyncio.Event()
        self._retry_now = asyncio.Event()
        self.snapshot = Snapshot()
        self.socket = ""

    # --- its life ----------------------------------------------------------------------------

    async def run(self) -> None:
        """For as long as the app runs."""
        attempt = 0
        while True:
            try:
                async with self._connected() as client:
                    await self._follow(client, since=self.snapshot.seq or None)
            except (SwarmError, msgspec.ValidationError) as failure:
                error = failure if isinstance(failure, SwarmError) else mismatch(failure)
                # It counts as well again only once everything was read.
                attempt = 1 if self.snapshot.link.online else attempt + 1
                await self._wait(error, attempt)

    def retry(self) -> None:
        """Do not wait any longer."""
        self._retry_now.set()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        client = self._connect()
        self.socket = str(client.path)
        await client.connect()
        self._client = client
        try:
            yield client
        finally:
            self._client = None
            await client.close()

    async def _wait(self, error: SwarmError, attempt: int) -> None:
        seconds = ceiling(attempt - 1, base=_RETRY_BASE, cap=_RETRY_CAP)
        self._show_link(
            Link(
                state=_state_of(error, self.snapshot),
                message=error.message,
                next_step=error.next_step or "",
                attempt=attempt,
                retry_seconds=seconds,
            )
        )
        self._retry_now.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._retry_now.wait()
        except TimeoutError:
            return

    def _show_link(self, link: Link) -> None:
        self._publish(replace(self.snapshot, link=link), Changed(link=True))

    def _publish(self, snapshot: Snapshot, changed: Changed) -> None:
        self.snapshot = snapshot
        self._tell(snapshot, changed)

    # --- what others ask of it ---------------------------------------------------------------

    async def ask(self, request: Request, *, timeout: float | None = None) -> Any:
        """One request, on the connection that there is.

        Raises:
            SwarmError: What the daemon answered, or that there is none.
        """
        return await self._open().call_typed(request, timeout=timeout)

    async def stream(self, request: Request) -> Any:
        """A stream on the connection that there is. Raises as ``ask`` does."""
        return await self._open().stream(request)

    def _open(self) -> Client:
        if self._client is None:
            raise DaemonUnreachable(
                "there is no connection to the daemon just now",
                next_step="It is tried again by itself; see the line at the top.",
            )
        return self._client

    async def renew_providers(self) -> None:
        """What the daemon last found out of its providers, which no event tells of each time.

        Raises:
            SwarmError: It does not answer.
        """
        found = await self._open().call_typed(ListProviders())
        named = {each.name: each for each in found.items}
        self._publish(replace(self.snapshot, providers=named), Changed(providers=True))

    async def renew_status(self) -> None:
        """The daemon's figures, of which no event tells each time. Raises as above."""
        status = await self._open().call_typed(DaemonStatus())
        self._publish(replace(self.snapshot, status=status), Changed(status=True))

    # --- following ---------------------------------------------------------------------------

    async def _follow(self, client: Client, since: int | None) -> None:
        await _soon(self._check_version(client))
        journal = self.snapshot.journal
        request = SubscribeEvents(since=since, journal=journal if since is not None else None)
        stream = await _soon(client.stream(request))
        self._pending.clear()
        self._resumed.clear()
        watching = [asyncio.create_task(self._read(stream)), asyncio.create_task(_pulse(client))]
        try:
            await self._race(watching, self._load(client))
            await self._race(watching, self._fold_on(client))
        finally:
            for each in watching:
                each.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    async def _race(self, watching: Sequence[asyncio.Task[None]], work: Awaitable[None]) -> None:
        """Do the work, unless one that watches ends first: then raise what it ended with."""
        doing = asyncio.ensure_future(work)
        try:
            await asyncio.wait((*watching, doing), return_when=asyncio.FIRST_COMPLETED)
            for each in (*watching, doing):
                if each.done():
                    each.result()
        finally:
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)

    async def _check_version(self, client: Client) -> None:
        version = await client.call_typed(DaemonVersion())
        if version.protocol != PROTOCOL:
            raise InternalError(
                f"the daemon {version.version} speaks protocol {version.protocol}, this app "
                f"{PROTOCOL}",
                next_step="Install the same version of swarmd for both, and restart the older.",
                details={"mismatch": True},
            )

    async def _read(self, stream: Stream) -> None:
        # It is not closed: that would wait for an answer, and the connection is closed next.
        async for chunk in stream:
            self._take(chunk)
        raise Unavailable("the daemon ended the stream of events")

    def _take(self, chunk: Chunk) -> None:
        data = chunk.data if isinstance(chunk.data, dict) else {}
        if "snapshot" in data:
            self._resumed.set()
            # Where one begins, the first time or after a gap: what is read now has come of it.
            if not self.snapshot.seq and not self._pending:
                at = data["snapshot"]
                self.snapshot = replace(self.snapshot, journal=at["journal"], seq=at["seq"])
        elif "gap" in data:
            # What is missing cannot be folded in, and what was before is of another time.
            self._pending.clear()
            journal = data["gap"]["journal"]
            kept = self.snapshot.events if journal == self.snapshot.journal else ()
            self.snapshot = replace(self.snapshot, journal=journal, seq=0, events=kept)
        elif data:
            self._pending.append(msgspec.convert(data, Event))
            self._news.set()

    # --- reading everything ------------------------------------------------------------------

    async def _load(self, client: Client) -> None:
        """The nouns, the first page of instances as soon as it is there."""
        # Before anything is read the stream is live, or something could fall between.
        await self._resumed.wait()
        before = self.snapshot.instances
        page = await client.call_typed(ListInstances(fields=FIELDS, limit=_PAGE))
        rows = {row.id: row for row in map(row_of, page.items)}
        first = replace(await self._nouns(client), link=Link(state=LinkState.ONLINE))
        self._publish(_so_far(first, before, rows, done=page.next_cursor is None), EVERYTHING)
        while page.next_cursor is not None:
            request = ListInstances(fields=FIELDS, limit=_PAGE, cursor=page.next_cursor)
            page = await client.call_typed(request)
            rows = rows | {row.id: row for row in map(row_of, page.items)}
            done = page.next_cursor is None
            self._publish(_so_far(self.snapshot, before, rows, done=done), EVERYTHING)

    async def _nouns(self, client: Client) -> Snapshot:
        status = await client.call_typed(DaemonStatus())
        providers = await client.call_typed(ListProviders())
        operations = await client.call_typed(ListOperations(limit=_OPERATIONS))
        alerts = await self._alerts(client)
        return replace(
            self.snapshot,
            **alerts,
            status=status,
            providers={each.name: each for each in providers.items},
            operations={each.id: each for each in operations.items},
        )

    async def _alerts(self, client: Client) -> dict[str, Any]:
        """A snapshot's alerts: those that go on; if nothing is judged, why not."""
        try:
            found = await client.call_typed(ListAlerts(limit=_PAGE))
        except Unavailable as error:
            step = error.next_step or ""
            return {"alerts": {}, "alerts_off": f"{error.message}. {step}".strip()}
        return {"alerts": {each.id: each for each in found.items}, "alerts_off": ""}

    # --- going on ----------------------------------------------------------------------------

    async def _fold_on(self, client: Client) -> None:
        """Fold in what has come, then what that has made stale, then pause."""
        while True:
            if not self._pending:
                await self._news.wait()
            self._news.clear()
            events, self._pending = self._pending, []
            folded = fold(self.snapshot, events)
            self._show(folded)
            if not folded.stale.empty:
                await self._refresh(client, folded.stale)
            await asyncio.sleep(self._pause)

    def _show(self, folded: Folded) -> None:
        if folded.changed != Changed():
            self._publish(folded.snapshot, folded.changed)

    async def _refresh(self, client: Client, stale: Stale) -> None:
        ids = sorted(stale.instances)
        for first in range(0, len(ids), _ASKED_AT_ONCE):
            await self._refresh_rows(client, frozenset(ids[first : first + _ASKED_AT_ONCE]))
        if stale.operations:
            await self._refresh_operations(client, stale.operations)
        if stale.providers:
            await self.renew_providers()
        if stale.status:
            await self.renew_status()
        if stale.alerts:
            alerts = await self._alerts(client)
            self._publish(replace(self.snapshot, **alerts), Changed(alerts=True))

    async def _refresh_rows(self, client: Client, ids: frozenset[str]) -> None:
        request = ListInstances(id=tuple(sorted(ids)), fields=FIELDS, limit=_PAGE)
        page = await client.call_typed(request)
        rows: list[Row] = [row_of(item) for item in page.items]
        self._show(with_rows(self.snapshot, ids, rows))

    async def _refresh_operations(self, client: Client, ids: frozenset[str]) -> None:
        request = ListOperations(id=tuple(sorted(ids)), limit=_PAGE)
        found = await client.call_typed(request)
        operations = dict(self.snapshot.operations) | {each.id: each for each in found.items}
        after = replace(self.snapshot, operations=operations)
        self._publish(after, Changed(operations=ids))


def _so_far(
    snapshot: Snapshot, before: Mapping[str, Row], rows: Mapping[str, Row], *, done: bool
) -> Snapshot:
    """With these rows; until all have come those that were known stay, with cursor and marks."""
    return replace(snapshot, instances=rows if done else {**before, **rows}, loaded=done)


async def _soon(answer: Awaitable[T]) -> T:
    """What is answered, and not too late. Raises ``Unavailable``: a daemon can hang as well."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await answer
    except (TimeoutError, DeadlineExceeded):
        raise Unavailable(
            f"the daemon has not answered for {_ANSWER_SECONDS:g} s",
            next_step="It hangs, or has very much to do: look at its log, or start it again.",
        ) from None


async def _pulse(client: Client) -> None:
    """Ask now and then whether it still answers; raises once it does not."""
    while True:
        await _soon(client.call_typed(DaemonPing()))
        await asyncio.sleep(_PULSE_SECONDS)


def _state_of(error: SwarmError, snapshot: Snapshot) -> LinkState:
    if error.details.get("mismatch"):
        return LinkState.MISMATCH
    if isinstance(error, DaemonUnreachable) and "Errno 13" in str(error.details.get("cause")):
        return LinkState.REFUSED
    return LinkState.LOST if snapshot.journal else LinkState.ABSENT
