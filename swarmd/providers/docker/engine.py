"""The engine's API: what the provider asks of it, with deadlines and clear errors.

``within`` is always seconds for the whole call; for a stream until it begins. What the engine
refuses, or does not answer, comes out as subclasses of ``SwarmError`` that name the engine.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from swarmd.errors import ProviderError
from swarmd.providers.docker.calls import POLL_SECONDS, SAFE, left
from swarmd.providers.docker.commands import Commands, timestamp
from swarmd.providers.docker.errors import (
    NoAnswer,
    NotRunning,
    NotThere,
    Stuck,
    Taken,
)
from swarmd.providers.docker.eventstream import EventStream
from swarmd.providers.docker.link import Link
from swarmd.providers.docker.pulling import Login
from swarmd.providers.docker.transfers import Transfers
from swarmd.providers.docker.where import Where, check_where

__all__ = [
    "Engine",
    "EngineVersion",
    "EventStream",
    "Login",
    "NoAnswer",
    "NotRunning",
    "NotThere",
    "Stuck",
    "Taken",
    "Where",
    "check_where",
]

_BUSY_SECONDS = 0.5
"""Between two removals of what the engine is still busy with."""


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """What the engine says of itself.

    Args:
        version: Its own.
        api: The newest version of the API that it speaks.
        os: Of its containers.
        podman: Whether it is Podman, which speaks Docker's API.
    """

    version: str
    api: str
    os: str
    podman: bool


class Engine(Commands, Transfers):
    """One engine. Safe in any number of threads; touches nothing before the first call.

    Args:
        name: The provider's name, for errors.
        where: The engine's place.
        parallel: Calls that usually run at once: so many connections are kept.

    Raises:
        ConfigError: The place must not, or cannot, be connected to.
    """

    def __init__(self, name: str, where: Where, *, parallel: int = 8) -> None:
        super().__init__(Link(name, where, parallel))

    def close(self) -> None:
        """End the tunnel and every connection, streams too. Idempotent."""
        self._link.close()

    # --- the engine itself -------------------------------------------------------------------

    def version(self, within: float) -> EngineVersion:
        """What the engine says of itself; connects if need be."""
        said = self._read(
            dict, "asking for its version", within, lambda api: api.version(api_version=False)
        )
        parts = [part for part in said.get("Components") or () if isinstance(part, dict)]
        return EngineVersion(
            version=str(said.get("Version", "")),
            api=str(said.get("ApiVersion", "")),
            os=str(said.get("Os", "")),
            podman=any("podman" in str(part.get("Name", "")).lower() for part in parts),
        )

    def info(self, within: float) -> dict[str, Any]:
        """What ``docker info`` tells."""
        return self._read(dict, "asking about its host", within, lambda api: api.info())

    def events(
        self, filters: Mapping[str, Sequence[str]], since: float | None, within: float
    ) -> EventStream:
        """Follow the engine's events.

        Args:
            filters: As the API's, such as ``{"label": ["a=b"], "event": ["die"]}``.
            since: UNIX time of the first one; None: from now on.
            within: Seconds until the stream begins.
        """
        query = {"filters": json.dumps({key: list(value) for key, value in filters.items()})}
        if since is not None:
            query["since"] = timestamp(since)
        answer = self._link.stream("following its events", "GET", "/events", within, query=query)
        return EventStream(self._link, answer)

    # --- containers --------------------------------------------------------------------------

    def containers(self, labels: Sequence[str], within: float) -> list[dict[str, Any]]:
        """All containers that bear these labels (``key`` or ``key=value``): one request."""
        filters = {"label": list(labels)}
        return self._read(
            list,
            "listing its containers",
            within,
            lambda api: api.containers(all=True, filters=filters),
        )

    def inspect(self, ref: str, within: float) -> dict[str, Any]:
        """All about one container. Raises ``NotThere``."""
        return self._read(
            dict, f"looking at the container {ref}", within, lambda api: api.inspect_container(ref)
        )

    def create(self, name: str, body: Mapping[str, Any], within: float) -> str:
        """Make a container and return its id.

        Args:
            name: The container's.
            body: That of ``POST /containers/create``, sent as it stands.
            within: Seconds.

        Raises:
            Taken: The name is another container's.
            NotThere: The image is not there.
        """
        made = self._post(f"making the container {name}", "/containers/create", body, within, name)
        return str(made["Id"])

    def start(self, ref: str, within: float) -> None:
        """Start a container; it may run already. Raises ``PortTaken``, ``Stuck``, ``NotThere``."""
        self._do(f"starting the container {ref}", within, lambda api: api.start(ref))

    def stop(self, ref: str, grace: float, within: float) -> None:
        """Stop a container; not running: fine.

        Args:
            ref: Its name or id.
            grace: Seconds between SIGTERM and SIGKILL; the engine counts whole ones.
            within: Seconds, more than those.
        """
        seconds = math.ceil(grace)
        self._do(
            f"stopping the container {ref}", within, lambda api: api.stop(ref, timeout=seconds)
        )

    def kill(self, ref: str, within: float) -> None:
        """End a container at once; not running: fine."""
        try:
            self._do(f"killing the container {ref}", within, lambda api: api.kill(ref))
        except NotRunning:
            return

    def remove(self, ref: str, within: float) -> None:
        """Remove a container, running or not, with its anonymous volumes; not there: fine."""
        doing, deadline = f"removing the container {ref}", time.monotonic() + within
        try:
            self._do(doing, within, lambda api: api.remove_container(ref, v=True, force=True))
        except NotThere:
            return
        except Taken as fault:
            if "already in progress" not in fault.message:
                raise
            self._await_removal(ref, doing, deadline)
        except ProviderError as fault:
            # What it was busy with when its caller went, such as an archive, it still lets go of.
            rest = left(deadline) - _BUSY_SECONDS
            if "failed to remove root filesystem" not in fault.message or rest <= 0:
                raise
            threading.Event().wait(_BUSY_SECONDS)
            self.remove(ref, rest)

    def rename(self, ref: str, name: str, within: float) -> None:
        """Give a container another name. Raises ``Taken``, ``NotThere``."""
        self._do(f"renaming {ref} to {name}", within, lambda api: api.rename(ref, name))

    def update(self, ref: str, body: Mapping[str, Any], within: float) -> None:
        """Change a container's limits; ``body`` is that of ``POST /containers/x/update``."""
        path = f"/containers/{quote(ref, SAFE)}/update"
        self._post(f"changing the container {ref}", path, body, within)

    def stats(self, ref: str, within: float) -> dict[str, Any]:
        """What a container uses: one shot, where the engine can without a second sample."""
        path, query = f"/containers/{quote(ref, SAFE)}/stats", {"stream": "0", "one-shot": "1"}
        return self._get(dict, f"measuring the container {ref}", path, query, within)

    # --- volumes and networks ----------------------------------------------------------------

    def create_volume(
        self, name: str, labels: Mapping[str, str], options: Mapping[str, str], within: float
    ) -> None:
        """Make a volume with the default driver; there already: fine, it stays as it is."""
        self._do(
            f"making the volume {name}",
            within,
            lambda api: api.create_volume(name, driver_opts=dict(options), labels=dict(labels)),
        )

    def volume(self, name: str, within: float) -> dict[str, Any]:
        """All about one volume. Raises ``NotThere``."""
        return self._read(
            dict, f"looking at the volume {name}", within, lambda api: api.inspect_volume(name)
        )

    def volumes(self, labels: Sequence[str], within: float) -> list[dict[str, Any]]:
        """All volumes that bear these labels."""
        filters = {"label": list(labels)}
        found = self._read(
            dict, "listing its volumes", within, lambda api: api.volumes(filters=filters)
        )
        return list(found.get("Volumes") or ())

    def remove_volume(self, name: str, within: float) -> None:
        """Remove a volume, with what is in it; not there: fine. Raises ``Taken`` if in use."""
        try:
            self._do(f"removing the volume {name}", within, lambda api: api.remove_volume(name))
        except NotThere:
            return

    def volume_sizes(self, within: float) -> dict[str, int]:
        """Bytes in each volume, as far as the engine can tell. Slow: it walks through them."""
        found = self._get(dict, "measuring its volumes", "/system/df", {"type": "volume"}, within)
        usages = {
            volume["Name"]: (volume.get("UsageData") or {}).get("Size", -1)
            for volume in found.get("Volumes") or ()
        }
        return {name: size for name, size in usages.items() if size >= 0}

    def network(self, name: str, within: float) -> dict[str, Any]:
        """All about one network. Raises ``NotThere``."""
        return self._read(
            dict, f"looking at the network {name}", within, lambda api: api.inspect_network(name)
        )

    def create_network(self, name: str, body: Mapping[str, Any], within: float) -> None:
        """Make a network; there already: fine, it stays as it is."""
        whole = {**body, "Name": name, "CheckDuplicate": True}
        try:
            self._post(f"making the network {name}", "/networks/create", whole, within)
        except Taken:
            return

    def _await_removal(self, ref: str, doing: str, deadline: float) -> None:
        """Someone else removes it already: wait until it is gone."""
        pause = threading.Event()
        while (rest := left(deadline)) > 0:
            try:
                self.inspect(ref, rest)
            except NotThere:
                return
            pause.wait(POLL_SECONDS)
        raise self._link.faults.silent(doing)
