"""Commands in containers of an engine that is reached by TLS, or through ssh."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from swarmd.errors import DeadlineExceeded
from swarmd.messages.units import Duration
from swarmd.providers.docker.engine import Engine, Where
from tests.docker_engine import engine_client, engine_url
from tests.docker_images import tiny
from tests.docker_own import OwnEngine
from tests.docker_ssh import LoopbackSsh
from tests.providers.docker.sessions import Box, box

SECONDS = 30


@contextmanager
def by_tls() -> Iterator[Box]:
    with OwnEngine(tls=True) as own, own.client() as client:
        pair = own.client_pair
        assert pair is not None
        where = Where(own.url, ca=str(own.ca), cert=str(pair.cert), key=str(pair.key))
        engine = Engine("far", where)
        try:
            with box(client, engine, tiny(client)) as made:
                yield made
        finally:
            engine.close()


@contextmanager
def by_ssh(folder: Path) -> Iterator[Box]:
    with LoopbackSsh(folder) as ssh, engine_client() as client:
        path = engine_url().removeprefix("unix://")
        engine = Engine("far", Where(f"ssh://{ssh.host}{path}", ssh_options=ssh.ssh_options))
        try:
            with box(client, engine, tiny(client)) as made:
                yield made
        finally:
            engine.close()


@pytest.mark.parametrize("how", ["tls", "ssh"])
def test_input_output_and_end_from_afar(tmp_path: Path, how: str) -> None:
    with by_tls() if how == "tls" else by_ssh(tmp_path) as far, ThreadPoolExecutor(1) as pool:
        session = far.open("sort", stdin=True)
        session.write(b"b\na\n")
        session.close_input()
        assert b"".join(data for _, data in iter(session.read, None)) == b"a\nb\n"
        assert session.result() == 0
        session.close()

        data = os.urandom(3_000_000)
        echo = far.open("cat", stdin=True)
        reading = pool.submit(lambda: b"".join(piece for _, piece in iter(echo.read, None)))
        echo.write(data)
        echo.close_input()
        assert reading.result(SECONDS) == data
        echo.close()

        with pytest.raises(DeadlineExceeded):
            far.do("sh", "-c", "setsid sleep 300 & sleep 300", timeout=Duration(0.4))
        assert b"sleep 300" not in far.do("ps", "ax")[1]
