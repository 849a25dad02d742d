"""Commands in a container, and its log."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from swarmd.providers.docker.calls import POLL_SECONDS, SAFE, Calls, channel_of, left
from swarmd.providers.docker.channel import Channel
from swarmd.providers.docker.link import json_headers

_KEPT_OUTPUT = 64 << 10


class Commands(Calls):
    """What opens channels."""

    def exec_create(self, ref: str, body: Mapping[str, Any], within: float) -> str:
        """Prepare a command in a running container and return its id.

        Args:
            ref: The container.
            body: That of ``POST /containers/x/exec``; without ``Tty``.
            within: Seconds.

        Raises:
            NotRunning: The container does not run.
        """
        path = f"/containers/{quote(ref, SAFE)}/exec"
        return str(self._post(f"preparing a command in {ref}", path, body, within)["Id"])

    def exec_start(self, exec_id: str, within: float) -> Channel:
        """Start a prepared command; the channel is its input and output."""
        return channel_of(
            self._link.stream(
                "starting a command",
                "POST",
                f"/exec/{quote(exec_id, SAFE)}/start",
                within,
                headers=json_headers(Connection="Upgrade", Upgrade="tcp"),
                body=b'{"Detach": false, "Tty": false}',
            )
        )

    def exec_state(self, exec_id: str, within: float) -> dict[str, Any]:
        """How a command is: ``Running``, ``ExitCode``, ``Pid``. Raises ``NotThere``."""
        return self._read(
            dict, "looking at a command", within, lambda api: api.exec_inspect(exec_id)
        )

    def run(
        self, ref: str, command: Sequence[str], within: float, **body: Any
    ) -> tuple[int, bytes]:
        """Run a short command in a running container to its end.

        Args:
            ref: The container.
            command: Its argv.
            within: Seconds; at their end the command is left alone, not ended.
            body: More of the request, such as ``User`` or ``Env``.

        Returns:
            Its exit code, and the first 64 KiB of both its outputs together.
        """
        deadline = time.monotonic() + within
        asked = {"AttachStdout": True, "AttachStderr": True, "Cmd": list(command), **body}
        exec_id = self.exec_create(ref, asked, within)
        channel = self.exec_start(exec_id, left(deadline))
        alarm = threading.Timer(left(deadline), channel.close)
        alarm.daemon = True
        alarm.start()
        kept = bytearray()
        try:
            while (piece := channel.read()) is not None:
                kept += piece[1][: _KEPT_OUTPUT - len(kept)]
        finally:
            alarm.cancel()
            channel.close()
        return self._exit_code(exec_id, f"running {command[0]} in {ref}", deadline), bytes(kept)

    def _exit_code(self, exec_id: str, doing: str, deadline: float) -> int:
        """The exit code; the engine knows it a moment after the output ended."""
        pause = threading.Event()
        while (rest := left(deadline)) > 0:
            state = self.exec_state(exec_id, rest)
            if not state.get("Running") and state.get("ExitCode") is not None:
                return int(state["ExitCode"])
            pause.wait(POLL_SECONDS)
        raise self._link.faults.silent(doing)

    def logs(
        self,
        ref: str,
        *,
        follow: bool,
        tail: int | None,
        since: float | None,
        timestamps: bool,
        within: float,
    ) -> Channel:
        """Open a container's log.

        Args:
            ref: Its name or id.
            follow: Go on until it stops.
            tail: Last lines of it; None: all.
            since: UNIX time of the first line; None: from the beginning.
            timestamps: Each line begins with its time.
            within: Seconds until it begins.
        """
        query = {
            "stdout": "1",
            "stderr": "1",
            "follow": str(int(follow)),
            "timestamps": str(int(timestamps)),
            "tail": "all" if tail is None else str(tail),
        }
        if since is not None:
            query["since"] = timestamp(since)
        path = f"/containers/{quote(ref, SAFE)}/logs"
        return channel_of(
            self._link.stream(f"reading the log of {ref}", "GET", path, within, query=query)
        )


def timestamp(moment: float) -> str:
    """A UNIX time as the engine reads it."""
    return f"{moment:.9f}"
