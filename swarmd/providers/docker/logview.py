"""A container's log: its last lines, what is younger than, and on as it grows."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

from swarmd.errors import ProviderError
from swarmd.messages.requests import LogsInstance
from swarmd.ports import Session
from swarmd.providers.docker.channel import Channel
from swarmd.providers.docker.engine import Engine, NotThere

_STAMP_MOST = 64
_OVERLAP_SECONDS = 1.0
_PAUSE, _PAUSE_MOST = 0.1, 1.0
_LAST_LINES = 64
_SECONDS_DIGITS = len("2001-02-03T04:05:06")

Moment = tuple[str, str]
"""A time of the engine's as text: to the second, and the fraction; in the order of time."""


@dataclass(slots=True)
class Position:
    """How far a followed log was read. Pure.

    The engine writes a time before each message, and a message is one frame.

    Args:
        floor: UNIX time of the oldest line that is wanted; None: of all.
        seen: The time of the last message that was given, by stream: their order holds within
            a stream only.
        known: What was seen before this connection: it is not given again. The parts of one
            long line all have the same time.
        stamped: Whether the times are given too.
    """

    floor: float | None = None
    stamped: bool = False
    seen: dict[str, Moment] = field(default_factory=dict)
    known: dict[str, Moment] = field(default_factory=dict)
    _stamp: bytes | None = b""
    _wanted: bool = True

    def take(self, stream: str, data: bytes, *, begins: bool) -> bytes:
        """What is new in a piece of output, without the time.

        Args:
            stream: Of the piece.
            data: The piece.
            begins: Whether it is the first one of a message.
        """
        if begins:
            self._stamp = b""
        if self._stamp is None:
            return data if self._wanted else b""
        stamp, space, rest = (self._stamp + data).partition(b" ")
        if not space and len(stamp) <= _STAMP_MOST:
            self._stamp = stamp
            return b""
        self._stamp = None
        moment = read_moment(stamp.decode(errors="replace"))
        self._wanted = moment is None or moment > self.known.get(stream, ("", ""))
        if moment is None:  # no time: it is passed on as it is
            return stamp + space + rest
        if self._wanted:
            self.seen[stream] = moment
        told = stamp + space + rest if self.stamped else rest
        return told if self._wanted else b""

    @property
    def since(self) -> float | None:
        """Where to read on from: a little before the end, for ``take`` drops what was seen."""
        if not self.seen:
            return self.floor
        again = seconds_of(max(self.seen.values())) - _OVERLAP_SECONDS
        return again if self.floor is None else max(again, self.floor)


def read_moment(text: str) -> Moment | None:
    """A time as the engine writes it (RFC 3339 with nanoseconds); None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    fraction = text[_SECONDS_DIGITS:].removeprefix(".")
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
    second = moment.astimezone(UTC).replace(microsecond=0, tzinfo=None)
    return second.isoformat(), digits.ljust(9, "0") if text[_SECONDS_DIGITS:][
        :1
    ] == "." else "0" * 9


def seconds_of(moment: Moment) -> float:
    """The UNIX time of a moment."""
    second = datetime.fromisoformat(moment[0]).replace(tzinfo=UTC)
    return second.timestamp() + int(moment[1]) / 1e9


class LogSession:
    """A ``Session`` over a container's log. One thread reads; any thread may close.

    A log that is followed goes on when the container is started again, until it is removed.

    Args:
        engine: Where it is.
        container: The container's id.
        channel: The log, with a time before each message if it is followed.
        position: Where to read on from; None: it is not followed.
        within: Seconds that each call of the engine may take.
    """

    def __init__(
        self,
        engine: Engine,
        container: str,
        channel: Channel,
        position: Position | None,
        within: float,
    ) -> None:
        self._engine = engine
        self._container = container
        self._channel = channel
        self._position = position
        self._within = within
        self._reading, self._swapping = threading.Lock(), threading.Lock()
        self._closed = threading.Event()
        self._ended = False

    def read(self) -> tuple[str, bytes] | None:
        """The next bytes; None at the end, or once closed.

        Raises:
            ProviderUnreachable: The connection broke.
        """
        with self._reading:
            while not self._closed.is_set() and not self._ended:
                piece = self._channel.read()
                if piece is None:
                    self._ended = self._position is None or not self._resume(self._position)
                elif self._position is None:
                    return piece
                else:
                    stream, data = piece
                    data = self._position.take(stream, data, begins=self._channel.begins)
                    if data:
                        return stream, data
        return None

    def write(self, data: bytes) -> None:
        """A log takes no input."""
        del data
        raise ProviderError("a log takes no input", next_step="Use exec to run a command.")

    def close_input(self) -> None:
        """There is none."""

    def result(self) -> int | None:
        """A log has no exit code."""
        return None

    def close(self) -> None:
        """Wake a blocked ``read`` and end the connection. Idempotent."""
        with self._swapping:
            self._closed.set()
            self._channel.close()

    def _resume(self, position: Position) -> bool:
        """The container stopped: follow it from its next start on. False: there will be none."""
        pause = _PAUSE
        while not self._closed.wait(pause):
            pause = min(pause * 1.5, _PAUSE_MOST)
            try:
                state = self._engine.inspect(self._container, self._within).get("State") or {}
                if state.get("Running"):
                    self._swap(follow(self._engine, self._container, position, self._within))
                    return True
            except NotThere:
                return False
        return False

    def _swap(self, channel: Channel) -> None:
        with self._swapping:
            self._channel.close()
            self._channel = channel
            if self._closed.is_set():
                channel.close()


def open_logs(
    engine: Engine, container: str, options: LogsInstance, *, now: float, within: float
) -> Session:
    """Open a container's log.

    Args:
        engine: Where it is.
        container: Its name or id.
        options: ``tail`` lines, ``since`` (an age in seconds), ``follow``.
        now: The UNIX time that ``since`` counts from.
        within: Seconds that each call of the engine may take.

    Raises:
        NotThere: There is no such container.
    """
    floor = None if options.since is None else now - float(options.since)
    if not options.follow:
        channel = engine.logs(
            container,
            follow=False,
            tail=options.tail,
            since=floor,
            timestamps=options.timestamps,
            within=within,
        )
        return LogSession(engine, container, channel, None, within)
    # Its name may change while it is followed.
    found = str(engine.inspect(container, within)["Id"])
    position = Position(floor, stamped=options.timestamps)
    if options.tail == 0:
        position.seen = _last_moments(engine, found, within)
    tail = options.tail or None
    channel = follow(engine, found, position, within, tail=tail)
    return LogSession(engine, found, channel, position, within)


def follow(
    engine: Engine, container: str, position: Position, within: float, tail: int | None = None
) -> Channel:
    """Follow a container's log from a position on."""
    position.known = dict(position.seen)
    return engine.logs(
        container,
        follow=True,
        tail=tail,
        since=position.since,
        timestamps=True,
        within=within,
    )


def _last_moments(engine: Engine, container: str, within: float) -> dict[str, Moment]:
    """The time of the log's last message: nothing up to it is wanted, of any stream."""
    # The two streams are written by two writers: the last line need not be the latest.
    channel = engine.logs(
        container, follow=False, tail=_LAST_LINES, since=None, timestamps=True, within=within
    )
    position = Position()
    try:
        while (piece := channel.read()) is not None:
            position.take(*piece, begins=channel.begins)
    finally:
        channel.close()
    if not position.seen:
        return {}
    last = max(position.seen.values())
    return {"stdout": last, "stderr": last}
