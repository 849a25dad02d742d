"""Events towards a client: what it missed, a marker, then everything as it happens.

No event is left out and none comes twice. The journal is read page by page, in a thread; what is
heard meanwhile is kept. Once a page holds everything that was published before it was read, what
was heard since and stands behind it follows, and the subscription is live.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Any, Final

from msgspec import Raw

from swarmd.api.call import Call
from swarmd.api.errors import stopping
from swarmd.api.streams import OutStream
from swarmd.core.selection import event_fits
from swarmd.errors import Unavailable
from swarmd.messages import codec
from swarmd.messages.events import Event
from swarmd.messages.requests import SubscribeEvents

MAX_EVENTS_BEHIND: Final = 1000
MAX_BYTES_BEHIND: Final = 4 << 20
_PAGE = 200


class Subscription(OutStream):
    """One client's stream of events.

    Args:
        stream_id: Its name on this connection.
        call: The request that opened it.
        request: Since where, and which events.
        target: The id of the instance whose events are wanted; None for all.
    """

    def __init__(
        self, stream_id: str, call: Call, request: SubscribeEvents, target: str | None
    ) -> None:
        super().__init__(stream_id, call.link, call.services, call.caller.correlation)
        self._call = call
        self._request = request
        self._types = frozenset(request.type)
        self._target = target
        self._listener: asyncio.Task[None] | None = None
        self._live = False
        self._meanwhile: list[Event] | None = []
        self._after = 0
        self._heard = 0
        self._told = 0
        self._pending: deque[tuple[int, bytes]] = deque()
        self._pending_bytes = 0
        self._news = asyncio.Event()
        self._failure: Exception | None = None

    def start(self) -> None:
        """Listen first, so that nothing is missed while the journal is read."""
        if not self._over:
            self._listener = asyncio.get_running_loop().create_task(self._listen())
        super().start()

    async def _fill(self) -> dict[str, Any]:
        await asyncio.sleep(0)  # the listener's first step: from here on it hears everything
        await self._replay()
        while self._failure is None:
            await self._send_pending()
        raise self._failure

    # --- from the journal --------------------------------------------------------------------

    async def _replay(self) -> None:
        journal, last = self._services.query.position()
        since = self._request.since
        self._after = last if since is None else since
        if since is not None and (self._request.journal not in (None, journal) or since > last):
            self._after = last
            await self._tell_gap(journal, since, first=None)
        elif since is not None:
            gone, kept = await self._history(since, 1)
            if gone:
                await self._tell_gap(journal, since, first=kept[0].seq if kept else None)
        while not await self._caught_up():
            pass
        self._go_live()
        await self._send(data={"snapshot": {"journal": journal, "seq": self._told}})

    async def _caught_up(self) -> bool:
        """Send the journal's next page; whether what is missing now was heard meanwhile."""
        await self._link.drained()
        before, self._meanwhile = self._published(), []
        _, events = await self._history(self._after, _PAGE)
        published = self._published()
        for event in events:
            if event.seq > published:
                break  # subscribers are still to be told of it
            if self._fits(event):
                await self._send(data=event)
            self._after = event.seq
        whole = not events or events[-1].seq >= before
        return whole and self._meanwhile is not None

    def _go_live(self) -> None:
        heard, self._meanwhile = self._meanwhile or [], None
        self._told = self._after
        self._live = True
        for event in heard:
            self._take(event)

    async def _history(self, after: int, limit: int) -> tuple[bool, tuple[Event, ...]]:
        query, caller = self._call.query, self._call.caller
        return await self._call.from_disk(partial(query.history, caller, after, limit))

    def _published(self) -> int:
        return max(self._services.query.position()[1], self._heard)

    async def _tell_gap(self, journal: str, since: int, first: int | None) -> None:
        await self._send(data={"gap": {"journal": journal, "since": since, "first": first}})

    def _fits(self, event: Event) -> bool:
        return event_fits(event, types=self._types, target=self._target)

    # --- as they happen ----------------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            async for event in self._call.commands.subscribe(self._call.caller):
                self._hear(event)
        except Exception as error:  # noqa: BLE001 (the client is told by the sender)
            self._fail(error)
        else:
            self._fail(stopping())

    def _hear(self, event: Event) -> None:
        self._heard = max(self._heard, event.seq)
        if self._live:
            self._take(event)
        elif self._meanwhile is not None:
            self._meanwhile.append(event)
            if len(self._meanwhile) > _PAGE:
                self._meanwhile = None  # the journal has them: another page will tell

    def _take(self, event: Event) -> None:
        if self._failure is None and event.seq > self._after:
            self._after = event.seq
            if self._fits(event):
                self._queue(event)

    def _queue(self, event: Event) -> None:
        data = codec.encode(event)
        self._pending.append((event.seq, data))
        self._pending_bytes += len(data)
        if len(self._pending) > MAX_EVENTS_BEHIND or self._pending_bytes > MAX_BYTES_BEHIND:
            self._fail(self._lagging())
        self._news.set()

    def _lagging(self) -> Unavailable:
        behind = len(self._pending)
        return Unavailable(
            f"this subscriber is {behind} events behind and was cut off",
            next_step=f"Subscribe again with since = {self._told}; nothing is lost by that.",
            details={"since": self._told, "behind": behind},
        )

    def _fail(self, error: Exception) -> None:
        """End it; what was not sent is dropped: a client that reads nothing costs nothing."""
        if self._failure is None:
            self._failure = error
            self._pending.clear()
            self._pending_bytes = 0
            self._news.set()

    async def _send_pending(self) -> None:
        await self._news.wait()
        self._news.clear()
        while self._pending:
            await self._link.drained()
            if not self._pending:
                break  # cut off while it waited
            seq, data = self._pending.popleft()
            self._pending_bytes -= len(data)
            self._put({"data": Raw(data)})
            self._told = seq

    def _release(self) -> None:
        if self._listener is not None and self._listener is not asyncio.current_task():
            self._listener.cancel()
