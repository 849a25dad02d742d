"""Servers behind TLS, whose certificate nobody vouches for."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from swarmd.messages.provider import Address
from swarmd.probing import Prober
from tests.docker_certificates import Authority
from tests.probing.servers import Heard, http, never, question, read_question, says, server

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's, signed by an authority that no system knows."""
    pair = Authority(tmp_path_factory.mktemp("tls")).server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


@pytest.mark.parametrize("path", ["/healthz", None])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_tls(prober: Prober, certificate: ssl.SSLContext, path: str | None, host: str) -> None:
    ear = Heard()
    with server(says(http()), host=host, tls=certificate) as asked:
        for _ in range(20):
            prober.ask(question(asked.address, path), ear)
        assert all(answer.ok for answer in ear.all(20))


def test_an_endless_body_over_tls(prober: Prober, certificate: ssl.SSLContext) -> None:
    ear = Heard()

    def behave(connection: socket.socket) -> None:
        read_question(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nfirst\n")
        while True:
            connection.sendall(b"x" * 65536)

    with server(behave, tls=certificate) as asked:
        prober.ask(question(asked.address), ear)
        assert ear.one().message == "status 200: first"


def test_a_long_question_over_tls(prober: Prober, certificate: ssl.SSLContext) -> None:
    ear = Heard()
    with server(says(http()), tls=certificate) as asked:
        prober.ask(question(asked.address, "/" + "a" * (8 << 20)), ear)
        assert ear.one().ok


def test_a_handshake_that_never_ends(prober: Prober) -> None:
    ear = Heard()
    with server(never) as asked:
        address = Address(host="127.0.0.1", port=asked.address.port, tls=True)
        prober.ask(question(address, timeout=0.2), ear)
        assert ear.one().message == "no answer within 0.2 s"


def test_no_tls_there(prober: Prober) -> None:
    ear = Heard()

    def behave(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with server(behave) as asked:
        address = Address(host="127.0.0.1", port=asked.address.port, tls=True)
        prober.ask(question(address), ear)
        assert ear.one().message.startswith("no TLS: ")
        assert ear.one().asked


def test_tls_at_a_port_where_nobody_listens(prober: Prober) -> None:
    ear = Heard()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    prober.ask(question(Address(host="127.0.0.1", port=port, tls=True)), ear)
    assert ear.one().message.startswith("refused: ")


def test_without_tls_nothing_of_it_is_loaded() -> None:
    program = (
        "import sys; sys.modules['ssl'] = None\n"
        "from swarmd.probing import Prober\n"
        "from swarmd.ports.probe import Question\n"
        "from swarmd.messages.provider import Address\n"
        "import socket, threading\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "done = threading.Event()\n"
        "prober = Prober()\n"
        "address = Address(host='127.0.0.1', port=listener.getsockname()[1])\n"
        "prober.ask(Question(address, '/', 400, 0.1), lambda answer: done.set())\n"
        "assert done.wait(10)\n"
        "prober.close()\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")
