"""The prober against real servers, good and bad."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from swarmd.messages.provider import Address
from swarmd.ports.probe import Answer, Probe
from swarmd.probing import Prober
from tests.probing.servers import (
    ALIVE,
    Behaviour,
    Heard,
    http,
    never,
    question,
    read_question,
    reset,
    says,
    server,
)
from tests.support import free_port


def heard(prober: Prober, behave: Behaviour, **how: object) -> Heard:
    """Ask a server that behaves so, and wait for the answer."""
    ear = Heard()
    with server(behave) as asked:
        prober.ask(question(asked.address, **how), ear)  # type: ignore[arg-type]
        ear.one()
    return ear


def test_a_good_answer(prober: Prober) -> None:
    probe: Probe = prober
    ear = Heard()
    with server(says(http())) as asked:
        probe.ask(question(asked.address), ear)
        answer = ear.one()
    assert answer.ok
    assert answer.asked
    assert answer.message == f"status 200: {ALIVE.decode()}"
    assert 0 < answer.seconds < 10
    assert ear.threads == {"swarmd-probe"}


def test_what_is_asked(prober: Prober) -> None:
    told: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        told.append(read_question(connection))
        connection.sendall(http())

    heard(prober, behave, path="/a b/\r\nX: y/ü?q=1")
    assert told == [
        (
            b"GET /a%20b/%0D%0AX:%20y/%C3%BC?q=1 HTTP/1.1\r\n"
            b"Host: localhost\r\nConnection: close\r\n\r\n"
        )
    ]


@pytest.mark.parametrize(("any_below", "ok"), [(400, False), (500, True)])
def test_404_is_what_the_question_says(prober: Prober, any_below: int, ok: bool) -> None:
    answer = heard(prober, says(http("404 Not Found", b"gone\nfor ever")), any_below=any_below)
    assert answer.one().ok is ok
    assert answer.one().message == "status 404: gone"


def test_503_tells_its_first_line(prober: Prober) -> None:
    answer = heard(prober, says(http("503 Service Unavailable", b"  no room\x1b[31m\n"))).one()
    assert not answer.ok
    assert answer.asked
    assert answer.message == "status 503: no room [31m"


def test_an_answer_in_pieces_that_is_never_closed(prober: Prober) -> None:
    ear = Heard()
    whole = http("200 OK", b"all is well")

    def behave(connection: socket.socket) -> None:
        read_question(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in whole:
            connection.sendall(bytes([byte]))
        never(connection)

    with server(behave) as asked:
        prober.ask(question(asked.address), ear)
        assert ear.one().message == "status 200: all is well"


def test_a_slow_answer_is_none(prober: Prober) -> None:
    ear = Heard()

    def behave(connection: socket.socket) -> None:
        read_question(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        never(connection)

    with server(behave) as asked:
        prober.ask(question(asked.address, timeout=0.2), ear)
        answer = ear.one()
    assert not answer.ok
    assert answer.message == "no answer within 0.2 s"
    assert 0.2 <= answer.seconds < 5


def test_a_server_that_never_accepts(prober: Prober) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = Address(host="127.0.0.1", port=deaf.getsockname()[1])
        ear, connected = Heard(), Heard()
        prober.ask(question(address, timeout=0.2), ear)
        prober.ask(question(address, path=None), connected)
        assert ear.one().message == "no answer within 0.2 s"
        assert ear.one().asked
        assert connected.one().ok
        assert connected.one().message == "connected"


@pytest.mark.parametrize("path", ["/healthz", None])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_nobody_listens(prober: Prober, path: str | None, host: str) -> None:
    port = free_port()
    ear = Heard()
    prober.ask(question(Address(host=host, port=port), path), ear)
    answer = ear.one()
    place = f"{host}:{port}" if host == "127.0.0.1" else f"[{host}]:{port}"
    assert not answer.ok
    assert answer.asked
    assert answer.message == f"refused: nobody listens on {place}"


def test_a_reset_in_the_middle(prober: Prober) -> None:
    def behave(connection: socket.socket) -> None:
        read_question(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhal")
        reset(connection)

    assert heard(prober, behave).one().message == "connection reset"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "the answer is not HTTP"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "the answer is not HTTP"),
        (b"", "the connection was closed without an answer"),
        (http()[:-10], "the answer broke off"),
    ],
)
def test_garbage(prober: Prober, told: bytes, message: str) -> None:
    answer = heard(prober, says(told)).one()
    assert (answer.ok, answer.asked, answer.message) == (False, True, message)


def test_an_endless_body_is_read_to_a_bound(prober: Prober) -> None:
    sent = 0

    def behave(connection: socket.socket) -> None:
        nonlocal sent
        read_question(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nfirst\n")
        while True:
            sent += connection.send(b"x" * 65536)

    assert heard(prober, behave).one().message == "status 200: first"
    assert sent < 64 << 20  # the rest is what the kernel keeps for both ends


def test_a_long_question_waits_for_room(prober: Prober) -> None:
    told = 0

    def behave(connection: socket.socket) -> None:
        nonlocal told
        piece = b""
        while not piece.endswith(b"\r\n\r\n"):
            piece = connection.recv(1 << 20)
            told += len(piece)
        connection.sendall(http())

    assert heard(prober, behave, path="/" + "a" * (8 << 20)).one().ok
    assert told > 8 << 20


def test_ipv6(prober: Prober) -> None:
    ear = Heard()
    with server(says(http()), host="::1") as asked:
        prober.ask(question(asked.address), ear)
        assert ear.one().ok


@pytest.mark.parametrize(("bound", "told"), [("127.0.0.1", "0.0.0.0"), ("::1", "::")])
def test_a_wildcard_is_reached_at_loopback(prober: Prober, bound: str, told: str) -> None:
    ear = Heard()
    with server(says(http()), host=bound) as asked:
        prober.ask(question(Address(host=told, port=asked.address.port)), ear)
        assert ear.one().ok


def test_five_hundred_at_once_keep_to_the_limit(prober: Prober) -> None:
    here, most, lock, full = 0, 0, threading.Lock(), threading.Event()

    def behave(connection: socket.socket) -> None:
        nonlocal here, most
        read_question(connection)
        with lock:
            here += 1
            most = max(most, here)
            if here == 16:
                full.set()
        full.wait(20)  # nobody is answered before sixteen are here
        with lock:
            here -= 1
        connection.sendall(http())

    ear = Heard()
    with server(behave) as asked:
        for _ in range(500):
            prober.ask(question(asked.address), ear)
        assert all(answer.ok for answer in ear.all(500))
    assert (asked.met, len(ear.answers), most) == (500, 500, 16)


def test_the_clock_starts_with_the_turn(prober: Prober) -> None:
    narrow, ear = Prober(limit=1), Heard()
    release = threading.Event()

    def behave(connection: socket.socket) -> None:
        read_question(connection)
        release.wait(20)
        connection.sendall(http())

    with server(behave) as asked:
        begun = time.monotonic()
        first, second = question(asked.address), question(asked.address, timeout=0.3)
        narrow.ask(first, ear)
        narrow.ask(second, ear)
        timer = threading.Timer(0.6, release.set)
        timer.start()
        answers = ear.all(2)
        timer.join()
        passed = time.monotonic() - begun
    narrow.close()
    assert [answer.ok for answer in answers] == [True, True]
    assert sum(answer.seconds for answer in answers) <= passed
    assert answers[1].seconds < 0.3 < answers[0].seconds


def test_many_that_end_at_once_do_not_nest(prober: Prober) -> None:
    ear, port = Heard(), free_port()
    for _ in range(3000):
        prober.ask(question(Address(host="127.0.0.1", port=port)), ear)
    assert {answer.message for answer in ear.all(3000)} == {
        f"refused: nobody listens on 127.0.0.1:{port}"
    }


def test_what_raises_is_logged_and_harms_nobody(
    prober: Prober, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(error: BaseException) -> Callable[[Answer], None]:
        def then(answer: Answer) -> None:
            raise error

        return then

    ear = Heard()
    with server(says(http())) as asked:
        prober.ask(question(asked.address), fails(ValueError("mine")))
        prober.ask(question(asked.address), fails(SystemExit(3)))
        prober.ask(question(asked.address), ear)
        assert ear.one().ok
    assert "ValueError: mine" in caplog.text
    assert "SystemExit: 3" in caplog.text


def test_an_answer_may_ask_again(prober: Prober) -> None:
    ear = Heard()
    with server(says(http())) as asked:
        prober.ask(question(asked.address), lambda _: prober.ask(question(asked.address), ear))
        assert ear.one().ok


def test_many_threads_ask(prober: Prober) -> None:
    ear = Heard()
    with server(says(http())) as asked:

        def some() -> None:
            for _ in range(50):
                prober.ask(question(asked.address), ear)

        threads = [threading.Thread(target=some) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(answer.ok for answer in ear.all(300))
    assert ear.threads == {"swarmd-probe"}
    assert len(ear.answers) == 300
