"""A secret shows itself to nobody who does not ask for it by name."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.messages.codec import decoder, encode, encode_private, to_plain
from swarmd.messages.instance import Auth
from swarmd.messages.secret import MASK, Secret

WORD = "tr0ub4dor"


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{0!r:>40}".format, lambda s: f"{s}"])
def test_no_formatting_lets_it_out(show: object) -> None:
    assert callable(show)
    assert WORD not in show(Secret(WORD))


def test_no_log_line_lets_it_out(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("swarmd.test").warning("logged in with %s %r", Secret(WORD), [Secret(WORD)])
    assert "logged in" in caplog.text
    assert WORD not in caplog.text


def test_it_is_revealed_when_asked() -> None:
    assert Secret(WORD).reveal() == WORD


def test_it_is_neither_pickled_nor_text() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(WORD))
    with pytest.raises(TypeError):
        copy.copy(Secret(WORD))
    with pytest.raises(TypeError):
        "".join([Secret(WORD)])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        json.dumps(Secret(WORD))


def test_equal_secrets_are_equal_and_hash_alike() -> None:
    assert Secret(WORD) == Secret(WORD)
    assert hash(Secret(WORD)) == hash(Secret(WORD))
    assert Secret(WORD) != Secret("other")
    assert Secret(WORD) != WORD


def test_replies_mask_it_and_private_files_keep_it() -> None:
    auth = Auth(credentials=Secret(WORD))
    assert WORD.encode() not in encode(auth)
    assert to_plain(auth)["credentials"] == MASK
    assert to_plain(auth, reveal=True)["credentials"] == WORD
    assert decoder(Auth).decode(encode_private(auth)) == auth


def test_only_text_is_a_secret() -> None:
    with pytest.raises(msgspec.ValidationError, match="expected text"):
        decoder(Auth).decode(b'{"credentials": 5}')


@given(st.text())
def test_any_text_survives_the_private_file(text: str) -> None:
    auth = Auth(credentials=Secret(text))
    assert decoder(Auth).decode(encode_private(auth)) == auth
