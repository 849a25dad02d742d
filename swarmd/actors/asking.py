"""How a monitor asks: over a socket where it can, else through the provider, in a lane."""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Callable, Sequence

from swarmd.actors.lanes import Lanes
from swarmd.core.health.rules import Rules
from swarmd.errors import SwarmError
from swarmd.messages.enums import ProbeKind
from swarmd.messages.instance import Instance, InstanceStats
from swarmd.messages.provider import Address
from swarmd.messages.requests import ExecInstance
from swarmd.messages.units import Duration
from swarmd.ports import Answer, Call, Probe, Provider, Question

log = logging.getLogger("swarmd.health")

_SERVER_BELOW = 201
_PAGE_BELOW = 400
_FIGURES = "#figures"

Told = Callable[[Answer], None]


def not_kept(_stats: Sequence[InstanceStats]) -> None:
    """Where nobody else wants to know what was measured."""


def no_refusal() -> None:
    """Where nothing tells whether a provider fails, it is always asked."""


class Asker:
    """Asks the instances of one provider.

    Args:
        provider: Whose.
        probe: For what is reached over a socket.
        lanes: For what is not: commands, instances behind a tunnel, figures.
        refusal: Why nothing is to be asked through the provider now; None: it may be asked.
        measured: Is told as well whatever is measured.
    """

    def __init__(
        self,
        provider: Provider,
        probe: Probe,
        lanes: Lanes,
        refusal: Callable[[], SwarmError | None] = no_refusal,
        measured: Callable[[Sequence[InstanceStats]], None] = not_kept,
    ) -> None:
        self._provider = provider
        self._probe = probe
        self._lanes = lanes
        self._refusal = refusal
        self._keep = measured

    def ask(self, row: Instance, rules: Rules, address: Address | None, told: Told) -> None:
        """Ask one; ``told`` is called once, on another thread."""
        kind = rules.probe
        try:
            # An address is known from a look, and so is then what the provider can do. Without
            # one an engine that is gone would be asked here, in a mailbox.
            tunnelled = address is not None and self._provider.capabilities().tunnel is not None
        except SwarmError as error:
            told(_unasked(error.message))
            return
        here = address is not None and not tunnelled and _is_here(address)
        if kind is ProbeKind.EXEC:
            self._in_lane(row, told, lambda: self._command(row, rules))
        elif kind is ProbeKind.SERVER and not here:
            # What people use need not lead there from here: its provider knows the way.
            self._in_lane(row, told, lambda: self._through_provider(row, rules))
        elif address is None:
            told(_unasked("it has no address"))
        elif tunnelled:
            told(_unasked(f"a {kind} probe does not reach it from here: use server or exec"))
        else:
            self._probe.ask(_question(rules, address), told)

    def measure(
        self, rows: Sequence[Instance], told: Callable[[Sequence[InstanceStats]], None]
    ) -> None:
        """What these use; not told if nobody can tell, or the last question is still open."""
        if self._lanes.busy(_FIGURES) or self._refusal() is not None:
            return

        def task() -> None:
            try:
                stats = self._provider.stats(rows)
                self._keep(stats)
                told(stats)
            except SwarmError as error:
                log.info("no figures of %s: %s", self._provider.name, error.message)

        self.run(_FIGURES, task)

    def _in_lane(self, row: Instance, told: Told, ask: Callable[[], str]) -> None:
        def task() -> None:
            told(_answered(row, ask))

        if (refused := self._refusal()) is not None:
            told(_unasked(refused.message))
        elif not self.run(row.id, task):
            told(_unasked("no thread can be started to ask it"))

    def run(self, key: str, task: Callable[[], None]) -> bool:
        """Do this in a lane, behind what has the same key; False if no lane can be had."""
        try:
            self._lanes.submit(key, task, threading.Event())
        except SwarmError as error:
            log.warning("health of %s: %s", self._provider.name, error.message)
            return False
        return True

    def _through_provider(self, row: Instance, rules: Rules) -> str:
        deadline = time.monotonic() + rules.timeout
        return self._provider.check(row, Call(deadline=deadline, clock=time.monotonic))

    def _command(self, row: Instance, rules: Rules) -> str:
        """Run the command; its exit code is the answer.

        Raises:
            SwarmError: It failed, could not be run, or took too long.
        """
        request = ExecInstance(id=row.id, command=rules.command, timeout=Duration(rules.timeout))
        session = self._provider.exec(row, request)
        try:
            said = b""
            while (piece := session.read()) is not None:
                said = (said + piece[1])[-400:]
            code = session.result()
        finally:
            session.close()
        words = said.decode(errors="replace").strip().rpartition("\n")[2]
        if code:
            raise SwarmError(f"{rules.command[0]} ended with {code}: {words}".rstrip(": "))
        return words or f"{rules.command[0]} ended with 0"

    def close(self) -> None:
        """Ask nothing more in lanes."""
        self._lanes.close(0.0)


def _answered(row: Instance, ask: Callable[[], str]) -> Answer:
    """What it said, or why not. Never raises: who waits for an answer would wait for good."""
    began = time.monotonic()
    try:
        ok, message = True, ask()
    except SwarmError as error:
        ok, message = False, error.message
    except Exception as error:  # it broke its promise, and is asked again at its time
        log.exception("%s could not be asked", row.ref)
        return _unasked(f"asking it failed: {error!r}")
    return Answer(ok=ok, seconds=time.monotonic() - began, message=message)


def _unasked(why: str) -> Answer:
    """It could not be asked: that says nothing of it."""
    return Answer(ok=False, seconds=0.0, message=why, asked=False)


def _is_here(address: Address) -> bool:
    """Whether it listens on a loopback address, which is this host's if nothing is between."""
    try:
        return ipaddress.ip_address(address.reachable).is_loopback
    except ValueError:
        return False


def _question(rules: Rules, address: Address) -> Question:
    below = _SERVER_BELOW if rules.probe is ProbeKind.SERVER else _PAGE_BELOW
    return Question(address=address, path=rules.path, any_below=below, timeout=rules.timeout)
