"""Asking thousands of instances whether they answer: the adapter of ``swarmd.ports.probe``.

One asyncio loop on one thread, and sockets that it watches itself. A general HTTP client costs
seven times what a bare one does, and a health check uses nothing of what that buys (issue 4,
Speed).
"""

from swarmd.probing.prober import Prober

__all__ = ["Prober"]
