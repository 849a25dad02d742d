"""One handler per request, in one file per noun. Importing this fills ``call.HANDLERS``."""

from swarmd.api.handlers import (
    daemon,
    draining,
    events,
    instances,
    operations,
    providers,
    streams,
)

__all__ = ["daemon", "draining", "events", "instances", "operations", "providers", "streams"]
