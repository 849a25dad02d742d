"""The guard of ``swarmctl web``, asked by a real client over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from swarmd.errors import ResourceLimitError
from tui.web import Guarded, _listen


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
@pytest.mark.parametrize(
    "path", ["/", "/ws", "/static/js/textual.js", "/?token=right", "/wrong/", "/righ/"]
)
async def test_without_the_token_nothing_is_served(path: str) -> None:
    cookie = {"Cookie": "swarmd=right"}
    async with (
        served() as server,
        aiohttp.ClientSession(headers=cookie) as session,
        session.get(server.public_url + path, allow_redirects=False) as answer,
    ):
        assert answer.status == 403
        assert "swarmctl web" in await answer.text()


@pytest.mark.anyio
async def test_a_url_without_its_last_character_leads_there_too() -> None:
    async with (
        served() as server,
        aiohttp.ClientSession() as session,
        session.get(server.url.rstrip("/"), allow_redirects=False) as answer,
    ):
        assert (answer.status, answer.headers["Location"]) == (302, "/right/")


@pytest.mark.anyio
async def test_below_the_token_s_path_everything_is_served_and_no_cookie_is_set() -> None:
    """A cookie would go to every port of this host, and so to whatever an instance serves."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with served() as server, aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.get(server.url) as answer:
            page = await answer.text()
            assert answer.status == 200
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert f'"ws://127.0.0.1:{server.port}/right/ws"' in page
        assert f'src="{server.url}static/js/textual.js"' in page
        async with session.get(f"{server.url}static/js/textual.js") as script:
            assert script.status == 200
        assert not list(jar)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/right/", "/right/static/js/textual.js", "/wrong", "/right/no"])
async def test_the_path_is_told_to_nobody_and_kept_nowhere(path: str) -> None:
    async with (
        served() as server,
        aiohttp.ClientSession() as session,
        session.get(server.public_url + path) as answer,
    ):
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers


@pytest.mark.anyio
async def test_two_of_them_do_not_disturb_each_other() -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        served() as one,
        served() as other,
        aiohttp.ClientSession(cookie_jar=jar) as session,
    ):
        for server in (one, other, one):
            async with session.get(server.url) as answer:
                assert answer.status == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}], ids=["name", "page"]
)
async def test_nobody_else_s_page_gets_in(headers: dict[str, str]) -> None:
    async with served() as server, aiohttp.ClientSession() as session:
        page = f"{server.url}static/js/textual.js"
        async with session.get(page, headers={"Origin": server.public_url}) as answer:
            assert answer.status == 200
        async with session.get(page, headers=headers) as answer:
            assert answer.status == 403
            assert "Not from here" in await answer.text()
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await session.ws_connect(f"{server.url}ws", headers=headers)


@pytest.mark.anyio
async def test_a_port_that_is_taken_is_refused() -> None:
    async with served() as server:
        with pytest.raises(ResourceLimitError, match="cannot be listened on") as caught:
            await asyncio.to_thread(_listen, server.port)
        assert "--port" in str(caught.value.next_step)
