"""A stream of the engine over real TLS, each way of which ends by itself."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from swarmd.errors import ProviderUnreachable
from swarmd.providers.docker.channel import Channel
from tests.docker_certificates import Authority
from tests.providers.docker.channels import SECONDS, blocked, everything, frame, joined
from tests.support import wait_until


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


Secured = Callable[[ssl.TLSVersion], tuple[ssl.SSLSocket, ssl.SSLSocket]]


@pytest.fixture
def secured(authority: Authority, threads: ThreadPoolExecutor) -> Iterator[Secured]:
    made: list[ssl.SSLSocket] = []

    def make(version: ssl.TLSVersion) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
        server = authority.server()
        inner = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        inner.load_cert_chain(server.cert, server.key)
        inner.maximum_version = inner.minimum_version = version
        outer = ssl.create_default_context(cafile=str(authority.ca))
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.settimeout(SECONDS)
        waiting = threads.submit(inner.wrap_socket, theirs, server_side=True)
        made.append(outer.wrap_socket(ours, server_hostname="localhost"))
        made.append(waiting.result(SECONDS))
        return made[-2], made[-1]

    yield make
    for sock in made:
        sock.close()


TLS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@TLS
def test_tls_both_ways_at_once(
    secured: Secured, threads: ThreadPoolExecutor, version: ssl.TLSVersion
) -> None:
    ours, theirs = secured(version)
    channel = Channel(ours, multiplexed=True)
    big = os.urandom(2_000_000)
    writing = threads.submit(channel.write, big)
    reading = threads.submit(lambda: joined(everything(channel))["stdout"])

    def echo() -> None:
        theirs.settimeout(SECONDS)
        got = 0
        while got < len(big):
            data = theirs.recv(30_000)
            got += len(data)
            theirs.sendall(frame(1, data))
        theirs.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):
            theirs.unwrap()

    echoing = threads.submit(echo)
    writing.result(SECONDS)
    assert reading.result(SECONDS) == big
    channel.close()
    assert echoing.exception(SECONDS) is None, "it was told the end too"


@TLS
def test_tls_input_ends_while_output_is_on_its_way(
    secured: Secured, threads: ThreadPoolExecutor, version: ssl.TLSVersion
) -> None:
    ours, theirs = secured(version)
    channel = Channel(ours, multiplexed=True)
    output = os.urandom(500_000)
    sending = threads.submit(theirs.sendall, frame(1, output))
    first = channel.read()
    assert first is not None
    theirs_ended = threads.submit(lambda: (theirs.recv(10), theirs.recv(10)))
    channel.write(b"in")
    channel.end_input()
    got = first[1]
    while len(got) < len(output):
        piece = channel.read()
        assert piece is not None
        got += piece[1]
    assert got == output
    sending.result(SECONDS)
    assert theirs_ended.result(SECONDS) == (b"in", b""), "close_notify came"
    theirs.sendall(frame(2, b"and more"))
    assert channel.read() == ("stderr", b"and more")
    with pytest.raises(BrokenPipeError):
        channel.write(b"x")
    theirs.shutdown(socket.SHUT_RDWR)
    assert channel.read() is None
    channel.close()


@TLS
def test_tls_input_ends_while_a_reader_waits(
    secured: Secured, threads: ThreadPoolExecutor, version: ssl.TLSVersion
) -> None:
    ours, theirs = secured(version)
    channel = Channel(ours, multiplexed=False)
    reading = threads.submit(channel.read)
    assert blocked(reading)
    channel.end_input()
    assert theirs.recv(10) == b""
    theirs.sendall(b"done")
    assert reading.result(SECONDS) == ("stdout", b"done")
    reading = threads.submit(channel.read)
    assert blocked(reading)
    channel.close()
    assert reading.result(SECONDS) is None


@TLS
def test_tls_input_ends_after_the_other_side_has(secured: Secured, version: ssl.TLSVersion) -> None:
    ours, theirs = secured(version)
    channel = Channel(ours, multiplexed=False)
    theirs.sendall(b"last words")
    theirs.settimeout(0)
    with pytest.raises(ssl.SSLWantReadError):
        theirs.unwrap()
    channel.end_input()
    assert everything(channel) == [("stdout", b"last words")]
    channel.end_input()
    channel.close()


@TLS
def test_tls_close_wakes_both(
    secured: Secured, threads: ThreadPoolExecutor, version: ssl.TLSVersion
) -> None:
    ours, _ = secured(version)
    channel = Channel(ours, multiplexed=True)
    reading = threads.submit(channel.read)
    writing = threads.submit(channel.write, bytes(8_000_000))
    assert blocked(writing)
    channel.close()
    assert reading.result(SECONDS) is None
    with pytest.raises(BrokenPipeError):
        writing.result(SECONDS)


@TLS
def test_tls_that_is_cut_off_inside_a_frame_is_told(
    secured: Secured, version: ssl.TLSVersion
) -> None:
    ours, theirs = secured(version)
    channel = Channel(ours, multiplexed=True)
    theirs.sendall(frame(1, b"whole") + frame(1, b"torn")[:-1])
    theirs.shutdown(socket.SHUT_RDWR)
    assert channel.read() == ("stdout", b"whole")
    assert channel.read() == ("stdout", b"tor")
    with pytest.raises(ProviderUnreachable):
        channel.read()
    channel.close()


def test_many_ends_of_input_at_once_leave_the_connections_whole(
    secured: Secured, threads: ThreadPoolExecutor
) -> None:
    made = [secured(ssl.TLSVersion.TLSv1_3) for _ in range(4)]
    channels = [Channel(ours, multiplexed=False) for ours, _ in made]
    reading = [threads.submit(channel.read) for channel in channels]
    barrier = threading.Barrier(len(channels))

    def end(channel: Channel) -> None:
        barrier.wait(SECONDS)
        channel.end_input()

    for each in [threads.submit(end, channel) for channel in channels]:
        each.result(SECONDS)
    for number, (_, theirs) in enumerate(made):
        assert theirs.recv(1) == b""
        theirs.sendall(b"%d" % number)
    told = wait_until(lambda: all(f.done() for f in reading) and [f.result() for f in reading])
    assert told == [("stdout", b"%d" % number) for number in range(len(made))]
    for channel in channels:
        channel.close()
