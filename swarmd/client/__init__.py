"""THE client: one sans-IO protocol (``protocol``), a blocking and an asyncio driver.

::

    from swarmd.client import Client

    with Client() as client:
        print(client.call("instance.get", {"id": "web"})["status"])

The asyncio driver is ``swarmd.client.aio.AsyncClient``; it is not imported here, so that a
command line does not pay for asyncio.
"""

from swarmd.client.protocol import OperationStarted
from swarmd.client.sync import Client, Stream
from swarmd.messages.wire import Chunk

__all__ = ["Chunk", "Client", "OperationStarted", "Stream"]
