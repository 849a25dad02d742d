"""The prober: a queue that any thread may fill, and the one thread that asks."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable

from swarmd.ports.probe import Answer, Question
from swarmd.probing.turns import Turns

log = logging.getLogger("swarmd.probing")

_JOIN = 1.0  # seconds that closing waits for the thread

Then = Callable[[Answer], None]


class Prober:
    """Asks instances over HTTP or TCP (issue 4, part 1). Implements ``Probe``.

    The thread starts at the first question. What is asked while ``limit`` questions are under
    way waits its turn: its timeout and the answer's seconds begin with the turn, so that a
    crowd is never taken for an illness of those who stand at its end.

    Args:
        limit: Questions under way at once; each holds a descriptor.
    """

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._lock = threading.Lock()  # over the two flags, the thread and the loop
        self._closed = False
        self._woken = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[tuple[Question, Then]] = deque()
        self._turns: Turns
        self._pumping = False  # on the loop's thread alone

    def ask(self, question: Question, then: Then) -> None:
        """Ask one, from any thread. Never raises.

        Args:
            question: What, where, and for how long.
            then: Called once on the prober's thread, unless it is closed before; it must not
                wait, and what it raises is logged. If not even that thread can be started it
                is called at once, on the caller's.
        """
        try:
            with self._lock:
                if self._closed:
                    return
                loop = self._loop or self._start()
                self._waiting.append((question, then))
                if not self._woken:  # a thousand questions wake the loop once
                    self._woken = True
                    loop.call_soon_threadsafe(self._pump, loop)
                return
        except (OSError, RuntimeError) as error:
            failed = Answer(ok=False, seconds=0.0, message=_unstarted(error), asked=False)
        self._tell(then, failed)

    def close(self) -> None:
        """Ask no more; what is under way is dropped. Returns within a second. Idempotent."""
        with self._lock:
            self._closed = True
            thread, loop = self._thread, self._loop
        self._waiting.clear()
        if thread is None or loop is None:
            return
        with contextlib.suppress(RuntimeError):  # it was closed before
            loop.call_soon_threadsafe(loop.stop)
        if thread is not threading.current_thread():
            thread.join(_JOIN)

    def _start(self) -> asyncio.AbstractEventLoop:
        """The loop and its thread; OSError or RuntimeError if there is no room for them."""
        _see_that_there_is_room()
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._run, args=(loop,), name="swarmd-probe", daemon=True)
        self._turns = Turns(loop)
        try:
            thread.start()
        except BaseException:
            loop.close()
            raise
        self._loop, self._thread = loop, thread
        return loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_forever()
        finally:
            self._turns.drop()
            loop.close()

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin what there is room for. Some end while they begin: that is no reason to nest."""
        self._woken = False
        if self._pumping:
            return
        self._pumping = True
        begun = 0
        while self._waiting and len(self._turns) < self._limit and begun < self._limit:
            with contextlib.suppress(IndexError):  # closed at this very moment
                question, then = self._waiting.popleft()
                self._turns.begin(question, functools.partial(self._done, loop, then))
            begun += 1
        self._pumping = False
        if begun == self._limit:  # let the others have the loop before the next crowd
            loop.call_soon(self._pump, loop)

    def _done(self, loop: asyncio.AbstractEventLoop, then: Then, answer: Answer) -> None:
        self._tell(then, answer)
        self._pump(loop)

    def _tell(self, then: Then, answer: Answer) -> None:
        if self._closed:
            return
        try:
            then(answer)
        except BaseException:  # whatever it is, the others go on
            log.exception("what was to be done with an answer failed")


def _see_that_there_is_room() -> None:
    """Raise OSError without the descriptors a loop takes: one half made cannot be closed."""
    one, other = socket.socketpair()
    with one, other:
        os.close(os.dup(one.fileno()))


def _unstarted(error: Exception) -> str:
    return f"could not be asked: the prober's thread does not start ({error})"
