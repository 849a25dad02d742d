"""What an engine refuses, or does not answer, in this project's words."""

from __future__ import annotations

import errno
import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from swarmd.errors import ProviderError, ProviderUnreachable, ResourceLimitError, SwarmError
from swarmd.providers.shared.portbook import PortTaken


class NotThere(ProviderError):
    """The engine has nothing of this name (404)."""


class Taken(ProviderError):
    """The name is another's, or the thing is in a state that forbids this (409)."""


class NotRunning(Taken):
    """The container does not run, and this needs a running one."""


class Going(ProviderError):
    """Somebody is removing the container."""


class Stuck(ProviderError):
    """The engine was killed while it started this container, and can never start it again."""


class NoAnswer(ProviderUnreachable):
    """The engine took the call and did not answer in time: it may yet be carried out."""


_NO_ROOM = (
    "no space left on device",
    "disk quota exceeded",
    "cannot allocate memory",
    "too many open files",
    "resource temporarily unavailable",
)
_STUCK = re.compile(
    r"id already in use|failed to (start|create) (shim|task).*(file|already) exists", re.DOTALL
)
_PORT_TAKEN = ("port is already allocated", "address already in use")
_CLOSED = (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)
_LOOK = "Look at the cause and at the engine's own log, then repeat this."
_OTHER = "Correct engine in the provider's options: what listens there is something else."
_NEXT_STEPS = {
    errno.ENOENT: "Start the engine, or correct the path of its socket.",
    errno.ECONNREFUSED: "Start the engine, or correct the address where it listens.",
    errno.EACCES: "Let the daemon's user use the socket: it is the group docker's as a rule.",
    errno.EPERM: "Let the daemon's user use the socket: it is the group docker's as a rule.",
    errno.EHOSTUNREACH: "See that the engine's host is up and can be reached from here.",
    errno.ENETUNREACH: "See that the engine's host is up and can be reached from here.",
}


@dataclass(frozen=True, slots=True)
class Faults:
    """Makes the errors of one engine.

    Args:
        name: The provider's name.
        url: The engine's.
    """

    name: str
    url: str

    @property
    def engine(self) -> str:
        """The engine in a sentence."""
        return f"the engine of {self.name} at {self.url}"

    def refused(self, status: int, words: str, doing: str) -> SwarmError:
        """The error of an answer that is no success.

        Args:
            status: HTTP's.
            words: The engine's own.
            doing: What was asked for, as in "starting the container web".
        """
        low = words.lower()
        details = {"cause": words, "status": status}
        message = f"{doing} failed: {words or f'status {status}'} (says {self.engine})"
        if any(said in low for said in _NO_ROOM):
            return ResourceLimitError(
                message,
                next_step="Make room on the engine's host (swarmctl rm, docker system df), then "
                "repeat this.",
                details=details,
            )
        if any(said in low for said in _PORT_TAKEN):
            return PortTaken(
                message,
                next_step="End what uses the port on the engine's host, or use another one.",
                details=details,
            )
        if status >= 500 and _STUCK.search(low):
            return Stuck(message, next_step="Make the container anew.", details=details)
        kind, next_step = _kind(status, low)
        return kind(message, next_step=next_step, details=details)

    def lost(self, error: BaseException, doing: str, hint: str = "") -> ProviderUnreachable:
        """The error of a connection that failed or broke.

        Args:
            error: What the libraries raised; its causes are searched for the first one.
            doing: What was asked for.
            hint: What else is known, such as the last words of ssh.
        """
        found = list(chain(error))
        cause = {"cause": "; ".join(filter(None, (_words(found), hint)))}
        if any(isinstance(each, TimeoutError) for each in found):
            return self.silent(doing, cause["cause"])
        for each in found:
            if isinstance(each, ssl.SSLError):
                return self._tls(each, cause)
        if _is_foreign(found):
            return self.alien("it does not speak HTTP", cause["cause"])
        if any(isinstance(each, http.client.IncompleteRead) for each in found):
            return ProviderUnreachable(
                f"{self.engine} broke its answer off: {doing} may have been done or not",
                next_step="See that the engine is up, then repeat this.",
                details=cause,
            )
        number = next((n for each in found if (n := _errno(each))), 0)
        return ProviderUnreachable(
            f"{self.engine} cannot be reached: {cause['cause']}",
            next_step=_NEXT_STEPS.get(number, "See that the engine is up and can be reached."),
            details=cause,
        )

    def silent(self, doing: str, cause: str = "no answer in the time given") -> NoAnswer:
        """The error of a call that got no answer in its time."""
        return NoAnswer(
            f"{self.engine} did not answer in time: {doing} may yet be done",
            next_step="See whether the engine hangs (docker info), then repeat this.",
            details={"cause": cause},
        )

    def alien(self, why: str, cause: str = "") -> ProviderUnreachable:
        """The error of an answer that no engine gives."""
        return ProviderUnreachable(
            f"what answers as {self.engine} is no Docker engine: {why}",
            next_step=_OTHER,
            details={"cause": cause or why},
        )

    def closed(self) -> ProviderUnreachable:
        """The error of a call after ``close``."""
        return ProviderUnreachable(
            f"the connection to {self.engine} was closed: the provider is being let go of",
            next_step="Ask again once the provider is back.",
        )

    def _tls(self, error: ssl.SSLError, cause: dict[str, str]) -> ProviderUnreachable:
        if isinstance(error, ssl.SSLCertVerificationError):
            what = "its certificate is not to be trusted"
            next_step = "Give the authority that signed it, and the host name that it was made for."
        elif "alert" in str(error).lower():
            what = "it does not take our certificate"
            next_step = "Give a client certificate that the engine's authority signed."
        else:
            what = "TLS failed"
            next_step = "See that the engine speaks TLS at this port, and with which certificates."
        return ProviderUnreachable(
            f"{self.engine} cannot be reached: {what}", next_step=next_step, details=cause
        )


def chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that it wraps: as its cause or among its arguments.

    Not its context: that may be what the caller was dealing with when it called.
    """
    pending: list[object] = [error]
    seen: set[int] = set()
    while pending:
        each = pending.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            pending += [*each.args, each.__cause__]


def was_closed(error: BaseException) -> bool:
    """Whether the connection was closed from the other side before an answer came."""
    return any(isinstance(each, _CLOSED) for each in chain(error))


def no_reason(status: int, content: bytes) -> str:
    """Why an answer without an engine's reason comes from none."""
    text = " ".join(content[:200].decode(errors="replace").split())
    return f"it says status {status}" + (f": {text}" if text else " and no reason")


def message_of(content: bytes) -> str | None:
    """The reason in an engine's refusal; None if no engine says it like this."""
    try:
        parsed = json.loads(content)
    except ValueError:
        return None
    message = parsed.get("message") if isinstance(parsed, dict) else None
    return message if isinstance(message, str) else None


def _kind(status: int, low: str) -> tuple[type[ProviderError], str]:
    if status == 404 and "page not found" in low:
        return ProviderError, "Use a newer engine: this one lacks the call."
    if status == 404:
        return NotThere, "Look at what is there (docker ps -a), then repeat this."
    if status >= 409 and "is not running" in low:  # 500 where it ended while a command began
        return NotRunning, "Start it first."
    if status == 409:
        return Taken, "Look at what has the name or uses the thing, then repeat this."
    if status in (401, 403):
        return ProviderError, "Let this client in: an authorization in front of the engine says no."
    if status in (502, 503, 504):
        return ProviderUnreachable, "See that the engine behind this address is up."
    return ProviderError, _LOOK


def _is_foreign(found: list[BaseException]) -> bool:
    return any(
        isinstance(each, http.client.HTTPException)
        and not isinstance(each, (http.client.RemoteDisconnected, http.client.IncompleteRead))
        for each in found
    )


def _errno(error: BaseException) -> int:
    return (error.errno or 0) if isinstance(error, OSError) else 0


def _words(found: list[BaseException]) -> str:
    """The most telling of them: what the system said, else the innermost."""
    for each in found:
        if isinstance(each, socket.gaierror) or _errno(each):
            return str(each)
    return str(found[-1]) or type(found[-1]).__name__
