"""Answers, cut into pieces at every place."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.messages.provider import Address
from swarmd.probing.reply import MOST, BadReply, Reply
from swarmd.probing.words import explain

WHOLE = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "status 200: hello"),
    (b"HTTP/1.0 200\r\ncontent-length:0\r\n\r\n", 200, "status 200"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, "status 204"),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "status 304"),
    (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "status 101"),
    (b"HTTP/1.1 500 Oh\nContent-Length: 2\n\nno", 500, "status 500: no"),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nall\r\n0\r\n\r\n",
        200,
        "status 200: hello",
    ),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 200, "status 200"),
    (
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\n!"
        ),
        404,
        "status 404: !",
    ),
]


@pytest.mark.parametrize(("raw", "status", "words"), WHOLE)
@given(data=st.data())
def test_a_whole_answer_needs_no_end(
    raw: bytes, status: int, words: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=8)))
    reply = Reply()
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    wants = [reply.feed(piece) for piece in pieces]
    assert wants == [False] * (len(pieces) - 1) + [True]
    assert (reply.status, reply.words()) == (status, words)


@pytest.mark.parametrize(("raw", "status", "words"), WHOLE)
def test_what_ends_early_is_no_answer(raw: bytes, status: int, words: str) -> None:
    for cut in range(1, len(raw)):
        reply = Reply()
        assert not reply.feed(raw[:cut])
        with pytest.raises(BadReply, match="broke off"):
            reply.feed(b"")


def test_without_a_length_the_end_is_the_end() -> None:
    reply = Reply()
    assert not reply.feed(b"HTTP/1.1 200 OK\r\n\r\nall")
    assert not reply.feed(b" is well")
    assert reply.feed(b"")
    assert reply.words() == "status 200: all is well"


@given(st.binary(min_size=1, max_size=40))
def test_anything_may_come(raw: bytes) -> None:
    reply = Reply()
    try:
        reply.feed(raw)
        reply.feed(b"")
    except BadReply:
        return
    assert raw.startswith(b"HTTP/")


@pytest.mark.parametrize(
    "raw",
    [
        b"G",
        b"HTTP 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000\r\n\r\n",
        b"HTTP/\n\n",
    ],
)
def test_what_is_not_http(raw: bytes) -> None:
    with pytest.raises(BadReply, match="not HTTP"):
        Reply().feed(raw)


@pytest.mark.parametrize("size", [1000, MOST])
def test_a_body_is_read_to_a_bound(size: int) -> None:
    reply = Reply()
    fed = 0
    enough = reply.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
    while not enough:
        enough = reply.feed(b"y" * size)
        fed += size
    assert fed <= MOST + size
    assert reply.words() == f"status 200: {'y' * 200}"


def test_a_head_without_end_is_read_to_a_bound() -> None:
    reply = Reply()
    reply.feed(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(BadReply, match="longer than 65536 bytes"):
        for _ in range(MOST):
            reply.feed(b"X: y\r\n")


def test_hints_without_end_are_read_to_a_bound() -> None:
    reply = Reply()
    with pytest.raises(BadReply, match="longer than 65536 bytes"):
        for _ in range(MOST):
            reply.feed(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize(
    ("code", "message", "asked"),
    [
        (errno.ECONNREFUSED, "refused: nobody listens on [::1]:80", True),
        (errno.EPIPE, "connection reset", True),
        (errno.EHOSTUNREACH, "no way to [::1]:80: no route to host", True),
        (errno.EADDRNOTAVAIL, "out of local ports, or no address of that kind here", False),
        (errno.ENFILE, "out of descriptors: this machine can open no more", False),
        (errno.ETIMEDOUT, "connection timed out", True),
    ],
)
def test_words_for_errors(code: int, message: str, asked: bool) -> None:
    error = OSError(code, os.strerror(code))
    assert explain(error, Address(host="::", port=80)) == (message, asked)


def test_an_error_without_a_number_has_words_too() -> None:
    assert explain(OSError("odd"), Address(host="h", port=80)) == ("odd", True)
