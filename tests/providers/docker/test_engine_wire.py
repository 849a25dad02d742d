"""Our own HTTP: heads, bodies and chunks, however the bytes arrive."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.providers.docker.pulling import json_lines
from swarmd.providers.docker.sockets import PatientSocket
from swarmd.providers.docker.wire import Answer, Dechunker, exchange, read_head


@contextlib.contextmanager
def answering(data: bytes) -> Iterator[PatientSocket]:
    """A socket on which this was sent and the end."""
    ours, theirs = socket.socketpair()
    patient = PatientSocket(fileno=ours.detach())
    with patient, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        yield patient


def chunked(pieces: list[bytes]) -> bytes:
    return b"".join(b"%x;a=b\r\n%b\r\n" % (len(p), p) for p in pieces if p) + b"0\r\nX: y\r\n\r\n"


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(at)]


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(0, 500)))
def test_chunks_are_taken_off_wherever_the_bytes_are_cut(
    pieces: list[bytes], cuts: list[int]
) -> None:
    dechunker = Dechunker()
    found = b"".join(part for data in split(chunked(pieces), cuts) for part in dechunker.feed(data))
    assert found == b"".join(pieces)
    assert dechunker.ended


@pytest.mark.parametrize("data", [b"xyz\r\n", b"-1\r\n", b"1\r\nab\r\n", b"1" * 5000])
def test_what_is_no_chunk_is_told(data: bytes) -> None:
    with pytest.raises(http.client.HTTPException):
        list(Dechunker().feed(data))


@given(st.lists(st.dictionaries(st.text(), st.integers()), max_size=5), st.lists(st.integers(0)))
def test_lines_of_json_are_found_wherever_the_bytes_are_cut(
    objects: list[dict[str, int]], cuts: list[int]
) -> None:
    import json

    data = b"\r\n".join(json.dumps(each).encode() for each in objects)
    assert list(json_lines(split(data, cuts))) == objects


@pytest.mark.parametrize("data", [b"[1]\n", b"nonsense\n", b"{", b"{" + b" " * (5 << 20)])
def test_lines_that_are_no_objects_are_told(data: bytes) -> None:
    with pytest.raises(http.client.HTTPException):
        list(json_lines([data]))


def test_a_request_is_whole_and_its_answer_is_read() -> None:
    ours, theirs = socket.socketpair()
    with PatientSocket(fileno=ours.detach()) as sock, theirs:
        theirs.sendall(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
        )
        answer = exchange(sock, "POST", "/x?y=z", {"A": "b"}, b"body")
        assert (answer.status, answer.chunked, b"".join(answer.body())) == (200, False, b"hi")
        sent = theirs.recv(4096)
    assert sent.startswith(b"POST /x?y=z HTTP/1.1\r\nHost: docker\r\nContent-Length: 4\r\nA: b\r\n")
    assert sent.endswith(b"\r\n\r\nbody")


@pytest.mark.parametrize(
    ("rest", "body"),
    [
        (b"Content-Length: 5\r\n\r\nhello and more", b"hello"),
        (b"Content-Length: 0\r\n\r\n", b""),
        (b"\r\nuntil the end", b"until the end"),
        (b"Transfer-Encoding: chunked\r\n\r\n" + chunked([b"a", b"bc"]), b"abc"),
    ],
)
def test_a_body_ends_where_it_says(rest: bytes, body: bytes) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n" + rest) as sock:
        assert b"".join(read_head(sock).body()) == body


@pytest.mark.parametrize(
    "rest", [b"Content-Length: 5\r\n\r\nhel", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"]
)
def test_a_body_that_is_cut_is_told(rest: bytes) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n" + rest) as sock:
        answer = read_head(sock)
        with pytest.raises(http.client.IncompleteRead):
            list(answer.body())


def test_a_length_that_is_none_is_told() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n") as sock:
        answer = read_head(sock)
        with pytest.raises(http.client.BadStatusLine):
            answer.body()


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 fine\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
        b"",
        b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_a_head_that_is_none_is_told(data: bytes) -> None:
    with answering(data) as sock, pytest.raises(http.client.HTTPException):
        read_head(sock)


def test_a_chunked_answer_says_so() -> None:
    with answering(b"") as sock:
        assert Answer(sock, 200, {"transfer-encoding": "Chunked"}, b"").chunked
