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
        """Time, level, logger, message; of a request its mark, of an error the traceback."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (correlation := _correlation(record)) is not None:
            line["correlation"] = correlation
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """One line for people; the mark of the request that a record concerns stands at its end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line without its traceback."""
        line = super().formatMessage(record)
        correlation = _correlation(record)
        if correlation is None:
            return line
        # Clients choose it: it must not begin a line of its own.
        return f"{line} [{correlation if correlation.isprintable() else ascii(correlation)}]"


def _correlation(record: logging.LogRecord) -> str | None:
    """What ``extra`` gave: the mark of the request that a record is about."""
    found = record.__dict__.get("correlation")
    return None if found is None else str(found)


def configure(config: LoggingConfig) -> None:
    """Set the root logger up. Replaces what was set up before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if config.format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level.upper())
    # pykka logs each unhandled exception at full length; the actor's own line says it already.
    logging.getLogger("pykka").setLevel(logging.CRITICAL)
