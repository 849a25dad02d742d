"""One invocation: how it prints, which socket it talks to, which operations it waits for."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from swarmd.cli.output import Output
from swarmd.cli.progress import ProgressLine
from swarmd.errors import SwarmError

if TYPE_CHECKING:
    from swarmd.client.sync import Client, Stream

_MARGIN = 5.0
"""Seconds more than the daemon has, so that its own answer at a deadline comes first."""


class App:
    """What every command is given. Threads share it."""

    def __init__(self) -> None:
        self.output = Output()
        self.socket: str | None = None
        self.timeout: str | None = None
        self.running: dict[str, str] = {}
        self._progress = ProgressLine()
        self._client: Client | None = None
        self._follower: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def progress(self) -> ProgressLine:
        """The progress line."""
        self._progress.quiet = self.output.quiet or self.output.json
        return self._progress

    @property
    def seconds(self) -> float | None:
        """What ``--timeout`` says."""
        if self.timeout is None:
            return None
        from swarmd.messages.units import Duration

        return float(Duration.parse(self.timeout))

    @property
    def client(self) -> Client:
        """The connection; made when first needed.

        Raises:
            DaemonUnreachable: No daemon answers.
        """
        with self._lock:
            if self._client is None:
                from swarmd.client.sync import Client

                self._client = Client(self.socket)
            return self._client

    def call(self, method: str, params: dict[str, Any]) -> Any:
        """Ask, and answer with plain data."""
        return self.client.call(method, params, timeout=self.seconds)

    def stream(self, method: str, params: dict[str, Any]) -> Stream:
        """Open a stream."""
        return self.client.stream(method, params)

    def operate(self, method: str, params: dict[str, Any], *, label: str) -> Any:
        """Carry out an operation and tell on the progress line how far it is.

        Args:
            method: Such as ``instance.start``.
            params: Its params; ``--timeout`` is added.
            label: What the progress line calls the instance.
        """
        if self.timeout is not None:
            params = {**params, "timeout": self.timeout}
        limit = None if self.seconds is None else self.seconds + _MARGIN
        if self.progress.visible:
            self._follow()
        begun: list[str] = []

        def started(operation: Any) -> None:
            begun.append(operation.id)
            self.running[operation.id] = label
            self.progress.show(f"{label}: {operation.kind}")

        try:
            result = self.client.call(method, params, timeout=limit, on_started=started)
        except SwarmError:
            self._forget(begun)
            raise
        self._forget(begun)
        self.progress.clear()
        return result

    def wait_for(self, operation_id: str) -> Any:
        """The operation when it has ended, or as it is when ``--timeout`` is over."""
        params = {"id": operation_id}
        if self.timeout is not None:
            params["timeout"] = self.timeout
        if self.progress.visible:
            self._follow()
        self.running[operation_id] = operation_id
        self.progress.show(f"waiting for {operation_id}")
        limit = None if self.seconds is None else self.seconds + _MARGIN
        try:
            found = self.client.call("operation.wait", params, timeout=limit)
        except SwarmError:
            self._forget([operation_id])
            raise
        self._forget([operation_id])
        self.progress.clear()
        return found

    def close(self) -> None:
        """Let go of the connection; operations go on."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()
        if self._follower is not None:
            self._follower.join()

    def _forget(self, operations: list[str]) -> None:
        """They are waited for no longer. An interrupt leaves them, to be told how to follow."""
        for operation in operations:
            self.running.pop(operation, None)

    def _follow(self) -> None:
        """Show the progress of what is waited for, in a thread that ends with the connection."""
        client = self.client
        with self._lock:
            if self._follower is not None:
                return
            self._follower = threading.Thread(
                target=self._show_progress, args=(client,), name="swarmctl-progress", daemon=True
            )
        self._follower.start()

    def _show_progress(self, client: Client) -> None:
        with contextlib.suppress(SwarmError):  # a lost connection is told by the call itself
            for chunk in client.stream("events.subscribe", {"type": ["operation_progress"]}):
                event = chunk.data or {}
                label = self.running.get(event.get("operation", ""))
                if label is not None:
                    data = event.get("data") or {}
                    self.progress.show(f"{label}: {data.get('message', '')}", data.get("fraction"))
