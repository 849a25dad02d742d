"""What a provider's actor is asked to look at, what a look does in its lane, and what it saw."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from swarmd.actors.repeating import repeated
from swarmd.actors.stepping import as_swarm_error
from swarmd.core.tables import ProviderView
from swarmd.errors import SwarmError
from swarmd.messages.provider import Observed, ProviderHealth
from swarmd.ports import Provider

__all__ = ["Changed", "LookNow", "Looked", "Sweeper"]

log = logging.getLogger("swarmd.provider")

_BURST_SECONDS = 0.25
"""Between two looks for what a provider has heard of itself: each costs a walk over all it has."""


@dataclass(frozen=True, slots=True)
class LookNow:
    """List what is there, out of turn; ``confirm`` asks directly for these too.

    While the provider is left alone only a person has it ``asked``; others are told again what
    it said last.
    """

    confirm: tuple[str, ...] = ()
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """The provider has heard that something is different."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a sweep saw; ``observed`` is None if the provider did not answer.

    ``began`` is monotonic seconds: anything that ended later is newer than this.
    """

    provider: str
    began: float
    observed: Sequence[Observed] | None
    view: ProviderView
    confirmed_absent: frozenset[str] = frozenset()


class Sweeper:
    """Asks a provider what is there. Runs in the lane of its looks, one at a time.

    Args:
        provider: Who is asked.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._began = float("-inf")
        self._complained: str | None = None

    def sweep(
        self, confirm: tuple[str, ...], cancelled: threading.Event, *, calm: bool
    ) -> tuple[Looked, SwarmError | None]:
        """One list call, the provider's health, and direct questions if asked.

        Args:
            confirm: The instances to ask for one by one.
            cancelled: Ends the pause before a list is asked for again.
            calm: Whether nothing has failed lately. Only then is a list that did not get through
                asked for again: a hiccup is no outage, and an outage is known from the looks
                that follow.
        """
        provider = self._provider
        began = self._began = time.monotonic()
        observed: Sequence[Observed] | None = None
        absent: set[str] = set()
        failed: SwarmError | None = None
        health = provider.probe()
        try:
            capabilities = provider.capabilities()
            observed = repeated(provider.list, cancelled.wait) if calm else provider.list()
            absent = {each for each in confirm if provider.get(each) is None}
        except Exception as failure:  # noqa: BLE001  # the provider's border
            failed = as_swarm_error(failure, f"provider {provider.name} did not answer")
            health, capabilities = ProviderHealth(ok=False, message=failed.message), None
            self.complain_once(failed.message)
        else:
            self._complained = None
            health = replace(health, latency=time.monotonic() - began)
        view = ProviderView(health, capabilities)
        return Looked(provider.name, began, observed, view, frozenset(absent)), failed

    def await_burst(self, wait: Callable[[float], object]) -> None:
        """Of changes that come in a burst the first is looked at at once, the others together.

        Args:
            wait: Waits so many seconds, or until the look is cancelled.
        """
        wait(max(0.0, self._began + _BURST_SECONDS - time.monotonic()))

    def complain_once(self, what: str) -> None:
        """Into the log, unless that was the last that was said of the provider."""
        if what != self._complained:
            log.warning("provider %s: %s", self._provider.name, what)
        self._complained = what
