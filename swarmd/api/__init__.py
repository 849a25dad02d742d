"""The socket: JSON-RPC 2.0 over a Unix socket (DESIGN section 6).

``framing`` cuts lines · ``wire`` reads and writes envelopes · ``connection`` is one client ·
``handlers`` has one handler per request · ``streams`` and ``subscription`` are what goes on after
a reply · ``openrpc`` describes it all · ``server`` binds and serves.
"""

from swarmd.api.server import ApiServer

__all__ = ["ApiServer"]
