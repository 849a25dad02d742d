"""The engine's events: what happens behind our back is known within a second (issue 3, part 2).

One thread per provider reads the stream. When it breaks, it is opened again with a pause that
grows. Whoever listens is told to look when it broke, and once it stands again: what happened in
between is found by the list.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from swarmd.core.backoff import delay
from swarmd.errors import SwarmError
from swarmd.providers.docker.context import SHORT, Context
from swarmd.providers.docker.engine import EventStream
from swarmd.providers.docker.looking import Looker, code_words
from swarmd.providers.docker.marks import JOB, PROVIDER, read_name

_log = logging.getLogger(__name__)
_KINDS = ("start", "die", "oom", "destroy", "rename", "pause", "unpause")
_BASE, _CAP = 0.5, 15.0


class Watch:
    """Reads events until it is closed.

    Args:
        context: The engine.
        looker: Learns when containers started and how they ended.
        changed: Told that something is different now.
        chance: A number in [0, 1), for the pause before the stream is opened again.
    """

    def __init__(
        self,
        context: Context,
        looker: Looker,
        changed: Callable[[], None],
        chance: Callable[[], float],
    ) -> None:
        self._context = context
        self._looker = looker
        self._changed = changed
        self._chance = chance
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._stream: EventStream | None = None
        self._out_of_memory: set[str] = set()
        self._failures = 0
        self.problem: str | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"swarmd-{context.name}-events", daemon=True
        )

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """End the thread, and wait for it. Idempotent."""
        self._closed.set()
        with self._lock:
            stream = self._stream
        if stream is not None:
            stream.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._read_stream()
                self.problem = "its event stream ended"
            except SwarmError as error:
                self.problem = error.message
                _log.info("events of %s: %s", self._context.name, error.message)
            except Exception as error:  # noqa: BLE001  # an odd event must not deafen us
                self.problem = f"its events cannot be read: {error!r}"
                _log.exception("events of %s", self._context.name)
            self._failures += 1
            if self._failures == 1 and not self._closed.is_set():
                self._changed()
            count = min(self._failures - 1, 8)
            seconds = delay(count, base=_BASE, cap=_CAP, chance=self._chance(), jitter="equal")
            self._closed.wait(seconds)

    def _read_stream(self) -> None:
        filters = {"type": ["container"], "label": [f"{PROVIDER}={self._context.name}"]}
        filters["event"] = list(_KINDS)
        stream = self._context.engine.events(filters, None, SHORT)
        with self._lock:
            self._stream = stream
        try:
            if self._closed.is_set():
                return
            self.problem, self._failures = None, 0
            self._changed()  # what happened before the stream stood
            for event in stream:
                self._take(event)
        finally:
            with self._lock:
                self._stream = None
            stream.close()

    def _take(self, event: Mapping[str, Any]) -> None:
        actor = event.get("Actor") or {}
        ref, attributes = str(actor.get("ID", "")), actor.get("Attributes") or {}
        kind = event.get("Action")
        if JOB in attributes:
            return  # work for an instance says nothing of it
        if kind == "start":
            self._out_of_memory.discard(ref)
            self._looker.lives.note_start(ref, _when(event))
        elif kind == "oom":
            self._out_of_memory.add(ref)
            return  # the container may live on: what dies is told by itself
        elif kind == "die":
            self._looker.lives.note_end(
                ref, self._end_words(ref, str(attributes.get("exitCode", "0")))
            )
        elif kind == "rename":
            self._name_back(ref, attributes)
        self._changed()

    def _end_words(self, ref: str, code: str) -> str:
        words = code_words(int(code) if code.isdecimal() else 0)
        if ref in self._out_of_memory:
            self._out_of_memory.discard(ref)
            words += " (the memory limit was reached)"
        return words

    def _name_back(self, ref: str, attributes: Mapping[str, str]) -> None:
        """A name that someone gave by hand carries no epoch: the old one is given back."""
        old, new = attributes.get("oldName", ""), attributes.get("name", "")
        if read_name(new) is not None or read_name(old) is None:
            return
        engine = self._context.engine
        try:
            if engine.inspect(ref, SHORT).get("Name", "").removeprefix("/") != new:
                return  # it has another one by now, of ours perhaps
            engine.rename(ref, old.removeprefix("/"), SHORT)
            _log.warning("the container %s was renamed to %s by hand; undone", old, new)
        except SwarmError as error:
            _log.warning("the name of %s cannot be given back: %s", new, error.message)


def _when(event: Mapping[str, Any]) -> datetime:
    nanoseconds = int(event.get("timeNano") or 0) or int(event.get("time") or 0) * 10**9
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
