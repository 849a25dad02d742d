"""What is known of the engine itself: its version, what it can do, whether it answers."""

from __future__ import annotations

import threading
from typing import Any

from msgspec.structs import replace

from swarmd.errors import SwarmError
from swarmd.messages.provider import Capabilities, ProviderHealth
from swarmd.providers.docker.capabilities import describe, network_note, volumes_are_limited
from swarmd.providers.docker.context import SHORT, Context
from swarmd.providers.docker.engine import EngineVersion, NotThere
from swarmd.providers.docker.room import folders_of

_FRESH_SECONDS = 10.0
"""An engine that answered so lately is not asked again whether it works."""

_ASK_SECONDS = 5.0


class Facts:
    """Asks, and remembers. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._capabilities: Capabilities | None = None
        self._version: EngineVersion | None = None
        self._answered = float("-inf")

    def ask(self) -> Capabilities:
        """Ask for everything; make the containers' network if it is missing.

        Raises:
            SwarmError: The engine does not answer, or refuses.
        """
        context = self._context
        version = context.engine.version(SHORT)
        context.podman = version.podman
        context.limits_storage = volumes_are_limited(context, version)
        info = context.engine.info(SHORT)
        context.counts = info.get("CgroupDriver") != "none"
        context.root = folders_of(context.options.engine, info)
        described = describe(context, info, version)
        note = network_note(ensure_network(context), context.options.network)
        found = replace(described, notes=(*described.notes, *([note] if note else [])))
        with self._lock:
            self._version, self._capabilities = version, found
        return found

    def capabilities(self) -> Capabilities:
        """What the engine can do, as it was found out last."""
        with self._lock:
            found = self._capabilities
        return found if found is not None else self.ask()

    def note_answer(self) -> None:
        """The engine has just answered."""
        with self._lock:
            self._answered = self._context.clock.monotonic()

    def probe(self, trouble: str | None) -> ProviderHealth:
        """Whether the engine answers.

        Args:
            trouble: Why its events are not heard, if they are not.
        """
        context = self._context
        now = context.clock.now()
        try:
            version = self._version_now()
        except SwarmError as error:
            with self._lock:
                self._answered = float("-inf")
            message = f"{error.message}. {error.next_step}" if error.next_step else error.message
            return ProviderHealth(ok=False, message=message, checked_at=now)
        name = "Podman" if version.podman else "Docker"
        message = f"{name} {version.version} at {context.options.engine}"
        message += f"; no events: {trouble}" if trouble else ""
        return ProviderHealth(ok=True, message=message, version=version.version, checked_at=now)

    def _version_now(self) -> EngineVersion:
        with self._lock:
            known = self._version
            fresh = self._context.clock.monotonic() - self._answered < _FRESH_SECONDS
        if known is not None and fresh:
            return known
        version = self._context.engine.version(_ASK_SECONDS)
        self.note_answer()
        with self._lock:
            if known is not None and version != known:
                self._capabilities = None  # another engine answers now: it is asked anew
            self._version = version
        return version


def ensure_network(context: Context) -> dict[str, Any]:
    """The containers' network, made if it is not there: in it none reaches another."""
    name, engine = context.options.network, context.engine
    try:
        return engine.network(name, SHORT)
    except NotThere:
        body = {
            "Driver": "bridge",
            "Options": {"com.docker.network.bridge.enable_icc": "false"},
            "Labels": {"dev.swarmd.network": "1"},
        }
        engine.create_network(name, body, SHORT)
        return engine.network(name, SHORT)
