"""A stream of the engine, over real sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.errors import ProviderError, ProviderUnreachable
from swarmd.providers.docker.channel import Channel, Frames
from tests.providers.docker.channels import SECONDS, blocked, everything, frame, joined


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(SECONDS)
    yield ours, theirs
    ours.close()
    theirs.close()


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
