"""One handler per request, in one file per noun. Importing this fills ``call.HANDLERS``."""

from swarmd.api.handlers import (
    alerts,
    daemon,
    draining,
    events,
    instances,
    operations,
    providers,
    streams,
)

__all__ = [
    "alerts",
    "daemon",
    "draining",
    "events",
    "instances",
    "operations",
    "providers",
    "streams",
]
