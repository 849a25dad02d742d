"""The guard of ``swarmctl web``, asked by a real client over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from swarmd.errors import ResourceLimitError
from tui.web import COOKIE, Guarded, _listen


@asynccontextmanager
async def served() -> AsyncIterator[Guarded]:
    """The server, with a program that says a word instead of the app."""
    with _listen(0) as listener:
        server = Guarded("echo word", listener, "right")
        runner = web.AppRunner(await server._make_app())
        await runner.setup()
        await web.SockSite(runner, listener).start()
        try:
            yield server
        finally:
            await runner.cleanup()


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", "/ws", "/static/js/textual.js", "/?token=wrong"])
async def test_without_the_token_nothing_is_served(path: str) -> None:
    async with (
        served() as server,
        aiohttp.ClientSession() as session,
        session.get(server.public_url + path) as answer,
    ):
        assert answer.status == 403
        assert "swarmctl web" in await answer.text()


@pytest.mark.anyio
async def test_with_the_token_the_page_comes_and_the_token_leaves_the_address() -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with served() as server, aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.get(server.url) as answer:
            assert answer.status == 200
            assert "token" not in str(answer.url)
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        async with session.get(f"{server.public_url}/static/js/textual.js") as script:
            assert script.status == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}], ids=["name", "page"]
)
async def test_nobody_else_s_page_gets_in(headers: dict[str, str]) -> None:
    cookie = {"Cookie": f"{COOKIE}=right"}
    async with served() as server, aiohttp.ClientSession(headers=cookie) as session:
        page = f"{server.public_url}/static/js/textual.js"
        async with session.get(page) as answer:
            assert answer.status == 200
        async with session.get(page, headers=headers) as answer:
            assert answer.status == 403
            assert "Not from here" in await answer.text()


@pytest.mark.anyio
async def test_a_port_that_is_taken_is_refused() -> None:
    async with served() as server:
        with pytest.raises(ResourceLimitError, match="cannot be listened on") as caught:
            await asyncio.to_thread(_listen, server.port)
        assert "--port" in str(caught.value.next_step)
