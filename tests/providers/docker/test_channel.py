"""A stream of the engine, over real sockets and real TLS."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.errors import ProviderError, ProviderUnreachable
from swarmd.providers.docker.channel import Channel, Frames
from tests.docker_certificates import Authority
from tests.support import wait_until

T = TypeVar("T")
SECONDS = 20


def frame(number: int, data: bytes) -> bytes:
    return bytes([number, 0, 0, 0]) + len(data).to_bytes(4) + data


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def everything(channel: Channel) -> list[tuple[str, bytes]]:
    return list(iter(channel.read, None))


def joined(pieces: list[tuple[str, bytes]]) -> dict[str, bytes]:
    told = {"stdout": b"", "stderr": b""}
    for stream, data in pieces:
        told[stream] += data
    return told


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(SECONDS)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


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


def blocked(future: Future[T]) -> bool:
    """Whether a call still has not come back after a moment."""
    with pytest.raises(TimeoutError):
        future.result(0.05)
    return True


# --- frames ---

PARTS = st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.binary(max_size=40)), max_size=12)


@given(PARTS, st.lists(st.integers(1, 30), min_size=1))
def test_frames_come_apart_however_they_arrive(
    parts: list[tuple[int, bytes]], sizes: list[int]
) -> None:
    raw = b"".join(frame(number, data) for number, data in parts)
    frames, pieces, at = Frames(), [], 0
    while at < len(raw):
        size = sizes[at % len(sizes)]
        pieces += list(frames.feed(raw[at : at + size]))
        at += size
    assert not frames.inside
    assert all(data for _, data in pieces)
    wanted = joined([("stderr" if number == 2 else "stdout", data) for number, data in parts])
    assert joined(pieces) == wanted


def test_a_huge_frame_is_passed_on_as_it_comes() -> None:
    frames = Frames()
    head = bytes([1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])
    assert list(frames.feed(head + b"x")) == [("stdout", b"x")]
    assert list(frames.feed(b"y" * 100_000)) == [("stdout", b"y" * 100_000)]
    assert frames.inside


@pytest.mark.parametrize("raw", [b"HTTP/1.1", b"\x04\0\0\0\0\0\0\x01", b"\x01\0\x01\0\0\0\0\x01"])
def test_what_is_no_frame_is_refused(raw: bytes) -> None:
    with pytest.raises(ProviderError, match="no stream"):
        list(Frames().feed(raw))


def test_the_engines_own_error_is_told() -> None:
    frames = Frames()
    with pytest.raises(ProviderError, match="out of luck") as caught:
        for byte in frame(1, b"a") + frame(3, b"out of luck\n"):
            list(frames.feed(bytes([byte])))
    assert caught.value.next_step
    with pytest.raises(ProviderError):
        list(Frames().feed(frame(3, b"")))


# --- reading ---


def test_output_by_stream(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    channel = Channel(ours, multiplexed=True, rest=frame(1, b"early ") + b"\x02\0\0")
    theirs.sendall(frame(2, b"oops")[3:] + frame(1, b"late"))
    theirs.close()
    assert everything(channel) == [("stdout", b"early "), ("stderr", b"oops"), ("stdout", b"late")]
    assert channel.read() is None
    channel.close()
    assert channel.read() is None


def test_a_terminals_output_comes_bare(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    channel = Channel(ours, multiplexed=False, rest=b"$ ")
    theirs.sendall(frame(2, b"x"))
    theirs.close()
    assert joined(everything(channel))["stdout"] == b"$ " + frame(2, b"x")
    channel.close()


@given(PARTS, st.integers(1, 30))
def test_chunks_are_taken_off_first(parts: list[tuple[int, bytes]], size: int) -> None:
    raw = b"".join(frame(number, data) for number, data in parts)
    body = b"".join(chunk(raw[at : at + size]) for at in range(0, len(raw), size))
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(ours, multiplexed=True, chunked=True, rest=body[:7])
        theirs.sendall(body[7:] + b"0\r\n\r\n"[max(0, 7 - len(body)) if len(body) < 7 else 0 :])
        wanted = joined([("stderr" if number == 2 else "stdout", data) for number, data in parts])
        if len(body) >= 7:
            assert joined(everything(channel)) == wanted, "the end is told while it stays open"
        channel.close()


@pytest.mark.parametrize(
    ("chunked", "raw"),
    [(False, b"\x01\0"), (False, frame(1, b"abc")[:-1]), (True, b"5\r\nab"), (True, b"")],
)
def test_a_stream_that_breaks_off_is_no_end(
    pair: tuple[socket.socket, socket.socket], chunked: bool, raw: bytes
) -> None:
    ours, theirs = pair
    channel = Channel(ours, multiplexed=True, chunked=chunked)
    theirs.sendall(raw)
    theirs.close()
    with pytest.raises(ProviderUnreachable) as caught:
        everything(channel)
    assert caught.value.next_step
    assert channel.read() is None
    channel.close()


def test_what_is_no_chunk_is_refused(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    channel = Channel(ours, multiplexed=True, chunked=True)
    theirs.sendall(b"what\r\n")
    with pytest.raises(ProviderError, match="no stream"):
        channel.read()
    with pytest.raises(BrokenPipeError):
        channel.write(b"x")
    channel.close()


def test_a_connection_that_is_reset_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    channel = Channel(ours, multiplexed=True)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    with pytest.raises(ProviderUnreachable, match="broke"):
        channel.read()
    channel.close()


def test_little_is_read_ahead(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    channel = Channel(ours, multiplexed=True)
    theirs.setblocking(False)
    sent = 0
    raw = bytes([1, 0, 0, 0]) + (1 << 30).to_bytes(4)
    with pytest.raises(BlockingIOError):
        while True:
            sent += theirs.send(raw or bytes(65536))
            raw = b""
    piece = channel.read()
    assert piece is not None
    assert len(piece[1]) <= 65536
    channel.close()


# --- writing ---


def test_input_goes_out_while_output_comes(
    pair: tuple[socket.socket, socket.socket], threads: ThreadPoolExecutor
) -> None:
    ours, theirs = pair
    channel = Channel(ours, multiplexed=True)
    reading = threads.submit(channel.read)
    big = os.urandom(3_000_000)
    writing = threads.submit(channel.write, big)
    assert blocked(writing)
    theirs.sendall(frame(2, b"hm"))
    assert reading.result(SECONDS) == ("stderr", b"hm")
    with theirs.makefile("rb") as file:
        assert file.read(len(big)) == big
        writing.result(SECONDS)
        channel.end_input()
        channel.end_input()
        assert file.read() == b""
    with pytest.raises(BrokenPipeError):
        channel.write(b"more")
    theirs.sendall(frame(1, b"all"))
    assert channel.read() == ("stdout", b"all")
    theirs.close()
    assert channel.read() is None
    channel.close()


def test_a_writer_is_told_of_the_end(
    pair: tuple[socket.socket, socket.socket], threads: ThreadPoolExecutor
) -> None:
    ours, theirs = pair
    channel = Channel(ours, multiplexed=True)
    writing = threads.submit(channel.write, bytes(3_000_000))
    assert blocked(writing)
    theirs.shutdown(socket.SHUT_WR)
    assert channel.read() is None
    with pytest.raises(BrokenPipeError):
        writing.result(SECONDS)
    channel.end_input()
    channel.close()
    with pytest.raises(BrokenPipeError):
        channel.write(b"x")


def test_input_that_nobody_takes_any_more(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    channel = Channel(ours, multiplexed=True)
    theirs.close()
    with pytest.raises(BrokenPipeError):
        channel.write(bytes(3_000_000))
    channel.end_input()
    channel.close()


# --- closing ---


def test_close_wakes_both_and_lets_go(
    pair: tuple[socket.socket, socket.socket], threads: ThreadPoolExecutor
) -> None:
    ours, theirs = pair
    before = len(list(Path("/proc/self/fd").iterdir()))
    channel = Channel(ours, multiplexed=True, keep=object())
    reading = threads.submit(channel.read)
    writing = threads.submit(channel.write, bytes(3_000_000))
    assert blocked(reading)
    assert blocked(writing)
    closing = [threads.submit(channel.close) for _ in range(3)]
    for each in closing:
        each.result(SECONDS)
    assert reading.result(SECONDS) is None
    with pytest.raises(BrokenPipeError):
        writing.result(SECONDS)
    with pytest.raises(BrokenPipeError):
        channel.write(b"x")
    channel.end_input()
    with theirs.makefile("rb") as file:
        file.read()
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1


def test_a_connection_that_someone_else_holds_ends_too(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    with ours.dup():
        Channel(ours, multiplexed=True).close()
        assert theirs.recv(1) == b""


# --- TLS ---


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
