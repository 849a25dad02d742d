"""What of a container is a ``swarmd.ports.Session``: a command in it, and its log."""

from __future__ import annotations

from swarmd.providers.docker.execution import ExecSession, open_exec
from swarmd.providers.docker.logview import LogSession, open_logs

__all__ = ["ExecSession", "LogSession", "open_exec", "open_logs"]
