"""The questions under way on one loop: each a conversation, a deadline, and an end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable

from swarmd.ports.probe import Answer, Question
from swarmd.probing.conversation import READ, Link, Steps, converse
from swarmd.probing.names import Found, Names
from swarmd.probing.reply import BadReply
from swarmd.probing.words import explain

log = logging.getLogger("swarmd.probing")


class Turn:
    """One question under way."""

    __slots__ = ("begun", "done", "handle", "hosts", "link", "question", "steps", "timer", "waits")

    def __init__(self, question: Question, done: Callable[[Answer], None], begun: float) -> None:
        self.question = question
        self.done = done
        self.begun = begun
        self.timer: asyncio.TimerHandle | None = None
        self.hosts: tuple[str, ...] = ()  # that are left to be tried
        self.link: Link | None = None
        self.steps: Steps | None = None
        self.waits = 0  # READ, WRITE, or for nothing
        self.handle = -1  # what is watched; a failed handshake takes it from its socket


class Turns:
    """Drives them. Everything here happens on the loop's thread.

    Args:
        loop: What watches the sockets.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._names = Names(self._post)
        self._under_way: set[Turn] = set()

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, question: Question, done: Callable[[Answer], None]) -> None:
        """Ask; ``done`` is called once, perhaps before this returns, and must not raise."""
        turn = Turn(question, done, self._loop.time())
        self._under_way.add(turn)
        turn.timer = self._loop.call_later(question.timeout, self._expire, turn)
        host = question.address.reachable
        hosts = self._names.known(host)
        if hosts is None:
            self._names.look_up(host, functools.partial(self._named, turn))
        else:
            turn.hosts = hosts
            self._connect(turn)

    def drop(self) -> None:
        """End them all without an answer."""
        for turn in [*self._under_way]:
            self._release(turn)

    def _named(self, turn: Turn, found: Found) -> None:
        if turn not in self._under_way:  # its time was over before
            return
        if isinstance(found, OSError):
            why = found.strerror or str(found)
            words = f"the name {turn.question.address.host} is not resolved: {why}"
            self._finish(turn, ok=False, message=words, asked=False)
        else:
            turn.hosts = found
            self._connect(turn)

    def _connect(self, turn: Turn) -> None:
        """Begin with the next host."""
        host, *others = turn.hosts
        turn.hosts = (*others,)
        self._leave(turn)
        try:
            turn.link = Link(host, turn.question.address.port)
        except OSError as error:
            self._fail(turn, error)
            return
        turn.steps = converse(turn.link, turn.question)
        self._step(turn)

    def _step(self, turn: Turn) -> None:
        """Go on until it must wait for its socket, or is at its end."""
        assert turn.steps is not None
        try:
            self._watch(turn, next(turn.steps))
        except StopIteration as end:
            ok, message = end.value
            self._finish(turn, ok=ok, message=message)
        except BadReply as error:
            self._finish(turn, ok=False, message=str(error))
        except OSError as error:
            self._fail(turn, error)
        except Exception as error:  # no question may harm the others
            log.warning("a question could not be put to %s", turn.question.address, exc_info=True)
            self._finish(turn, ok=False, message=f"could not be asked: {error}", asked=False)

    def _fail(self, turn: Turn, error: OSError) -> None:
        if turn.hosts and not (turn.link and turn.link.connected):
            self._connect(turn)
            return
        message, asked = explain(error, turn.question.address)
        self._finish(turn, ok=False, message=message, asked=asked)

    def _expire(self, turn: Turn) -> None:
        within = f"within {turn.question.timeout:g} s"
        if turn.link is None:
            message = f"the name {turn.question.address.host} was not resolved {within}"
            self._finish(turn, ok=False, message=message, asked=False)
        else:
            self._finish(turn, ok=False, message=f"no answer {within}")

    def _finish(self, turn: Turn, *, ok: bool, message: str, asked: bool = True) -> None:
        seconds = self._loop.time() - turn.begun
        self._release(turn)
        turn.done(Answer(ok, seconds, message, asked))

    def _release(self, turn: Turn) -> None:
        self._under_way.discard(turn)
        if turn.timer is not None:
            turn.timer.cancel()
        self._leave(turn)

    def _leave(self, turn: Turn) -> None:
        """Let go of the socket, if there is one."""
        if turn.link is None:
            return
        self._watch(turn, 0)
        turn.link.close()

    def _watch(self, turn: Turn, wanted: int) -> None:
        """Wait for this and for nothing else."""
        if turn.waits == wanted:
            return
        if turn.waits:
            remove = self._loop.remove_reader if turn.waits == READ else self._loop.remove_writer
            turn.waits = 0
            remove(turn.handle)
        if wanted and turn.link is not None:
            turn.handle = turn.link.socket.fileno()
            add = self._loop.add_reader if wanted == READ else self._loop.add_writer
            add(turn.handle, self._step, turn)
            turn.waits = wanted

    def _post(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # closed meanwhile
            self._loop.call_soon_threadsafe(work)
