"""Listing 10,000 instances in pages of 200, against a bare server that sends the same pages."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from swarmd.messages.codec import convert, encode
from swarmd.messages.instance import Instance
from swarmd.messages.replies import InstancePage
from tests.benchmarks import many
from tests.benchmarks.figure import Figure, seconds
from tests.daemon import Connection, DaemonProcess

COUNT = 10_000
PAGE = 200
ROUNDS = 9


def figures() -> Iterator[Figure]:
    """The whole list, the two servers in turns."""
    with tempfile.TemporaryDirectory(prefix="swarmd-bench-") as place:
        folder = Path(place) / "d"
        folder.mkdir()
        with DaemonProcess(folder) as daemon:
            many.fill(daemon, COUNT)
            daemon.start()
            pages = read_pages(daemon)
            bare = Path(place) / "bare"
            context = multiprocessing.get_context("spawn")
            server = context.Process(target=serve, args=(bare, pages), daemon=True)
            server.start()
            try:
                ours, theirs = in_turns(daemon, bare)
            finally:
                server.terminate()
                server.join()
    yield Figure(
        f"listing {COUNT:,} instances in pages of {PAGE}", ours * 1e3, "ms", 1.5 * theirs * 1e3,
        f"a bare server that encodes and sends the same pages: {theirs * 1e3:.1f} ms; "
        f"ratio {ours / theirs:.2f}",
    )  # fmt: skip


def read_pages(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """Every page, as the daemon answers it."""
    pages: list[dict[str, Any]] = []
    cursor = None
    with daemon.connect() as connection:
        while not pages or cursor is not None:
            pages.append(connection.call("instance.list", limit=PAGE, cursor=cursor))
            cursor = pages[-1]["next_cursor"]
    assert sum(len(page["items"]) for page in pages) == COUNT
    return pages


def in_turns(daemon: DaemonProcess, bare: Path) -> tuple[float, float]:
    """Medians of both, measured alternately so that what else the machine does meets both."""
    with daemon.connect() as one, connected(bare) as other:
        walk(one)
        walk(other)
        pairs = [(seconds(lambda: walk(one)), seconds(lambda: walk(other))) for _ in range(ROUNDS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def walk(connection: Connection) -> None:
    """Ask for page after page; the replies' bytes are read, the cursor alone is looked for."""
    cursor: str | None = None
    while True:
        number = connection.send("instance.list", limit=PAGE, cursor=cursor)
        line = connection.lines.readline()
        assert b'"id":%d' % number in line[:40] + line[-40:]
        cursor = next_cursor(line)
        if cursor is None:
            return


def next_cursor(line: bytes) -> str | None:
    """The cursor in a reply, without decoding all of it: both servers are read alike."""
    _, _, after = line.rpartition(b'"next_cursor":')
    value = after.split(b"}")[0].split(b",")[0].strip()
    return None if value == b"null" else value.strip(b'"').decode()


def connected(path: Path) -> Connection:
    """A connection to a server that is about to listen."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            return Connection(path)
        assert time.monotonic() < deadline
        time.sleep(0.01)


def serve(path: Path, plain: list[dict[str, Any]]) -> None:
    """The yardstick: the records as Structs, each page encoded when it is asked for."""
    import msgspec

    pages = {
        before: InstancePage(
            items=tuple(convert(item, Instance) for item in page["items"]),
            total=page["total"],
            next_cursor=page["next_cursor"],
        )
        for before, page in zip([None, *(p["next_cursor"] for p in plain)], plain, strict=False)
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = msgspec.json.decode(line)
            page = encode(pages[request["params"]["cursor"]])
            writer.write(b'{"jsonrpc":"2.0","id":%d,"result":%s}\n' % (request["id"], page))
            await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_unix_server(answer, path, limit=1 << 20)
        async with server:
            await server.serve_forever()

    asyncio.run(run())
