"""Streams of one connection, towards the daemon too."""

from __future__ import annotations

from swarmd.messages.requests.base import Request


class OpenUpload(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open a stream towards the daemon, for instance.import."""


class WriteStream(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give bytes to a stream of this connection: an upload, or a command's input."""

    stream: str
    data_b64: str = ""
    end: bool = False


class CloseStream(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End a stream of this connection."""

    stream: str
