"""The daemon's own log: one line a record, on stderr."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from swarmd.messages.config import LoggingConfig


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message and, of an error, the traceback."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(config: LoggingConfig) -> None:
    """Set the root logger up. Replaces what was set up before."""
    handler = logging.StreamHandler(sys.stderr)
    if config.format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level.upper())
    # pykka logs each unhandled exception at full length; the actor's own line says it already.
    logging.getLogger("pykka").setLevel(logging.CRITICAL)
