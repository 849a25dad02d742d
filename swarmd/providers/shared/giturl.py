"""Git URLs as workspaces: what is allowed, and what of them may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from swarmd.errors import ValidationError

FIELD = "config.workspace"
_SCP = re.compile(r"(?P<user>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9.-]+):(?P<path>[^/:].*|/[^/].*)")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True, repr=False)
class Remote:
    """Where to clone from.

    Args:
        url: What git is given, and what stays in the clone: without a password.
        protocol: The one that git may use.
        login: ``https://user:password@host`` if the URL had a password, for git alone.
    """

    url: str
    protocol: str
    login: str | None = None

    def __repr__(self) -> str:
        return f"Remote({self.url!r})"


def is_url(workspace: str) -> bool:
    """Whether this is meant as a URL and not as a path."""
    return "://" in workspace or _SCP.fullmatch(workspace) is not None


def parse(workspace: str) -> Remote:
    """Read a git URL.

    Raises:
        ValidationError: A protocol that is not allowed, no host, control characters, a
            password in an ssh URL. The message never shows a password.
    """
    if _CONTROL.search(workspace):
        raise _refused(workspace, "has white space or control characters in it")
    scp = _SCP.fullmatch(workspace)
    if scp is not None and "://" not in workspace:
        if scp["host"].startswith("-"):
            raise _refused(workspace, "has no host")
        return Remote(workspace, "ssh")
    try:
        parts = urlsplit(workspace)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise _refused(workspace, "has no valid host and port") from None
    reader = {"https": _https, "ssh": _ssh, "file": _file}.get(parts.scheme)
    if reader is None:
        raise _refused(workspace, f"has the protocol {parts.scheme!r}")
    if reader is not _file and (not host or host.startswith("-")):
        raise _refused(workspace, "has no host")
    return reader(workspace, parts)


def _file(workspace: str, parts: SplitResult) -> Remote:
    if parts.hostname not in (None, "localhost"):
        raise _refused(workspace, "names another host's files")
    return Remote(f"file://{unquote(parts.path)}", "file")


def _ssh(workspace: str, parts: SplitResult) -> Remote:
    if parts.password is not None:
        raise _refused(workspace, "has a password for ssh, which takes keys")
    if (parts.username or "").startswith("-"):
        raise _refused(workspace, "has no user name")
    return Remote(workspace, "ssh")


def _https(_workspace: str, parts: SplitResult) -> Remote:
    at = parts.netloc.rpartition("@")[2]
    bare = urlunsplit(("https", at, parts.path, parts.query, ""))
    if not parts.username and parts.password is None:
        return Remote(bare, "https")
    user = quote(unquote(parts.username or ""), safe="")
    password = quote(unquote(parts.password or ""), safe="")
    return Remote(bare, "https", login=f"https://{user}:{password}@{at}")


def shown(workspace: str) -> str:
    """A URL as it may be shown: without user and password."""
    return re.sub(r"(?<=://)[^/?#]*@", "", workspace)


def _refused(workspace: str, why: str) -> ValidationError:
    return ValidationError(
        f"the git URL {shown(workspace)!r} {why}",
        field=FIELD,
        next_step="Give https://host/path, ssh://user@host/path or user@host:path.",
    )
