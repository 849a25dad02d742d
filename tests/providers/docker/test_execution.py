"""A command's session where the connection breaks: by its end, or before it."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from swarmd.errors import ProviderUnreachable
from swarmd.messages.requests import ExecInstance
from swarmd.providers.docker.execution import ExecSession


class Reset:
    """A connection that the other side has reset."""

    def read(self) -> None:
        raise ProviderUnreachable("the connection to the engine broke: Connection reset by peer")

    def close(self) -> None:
        """There is nothing left of it."""


class Ending:
    """A command that has ended with this code; None: it runs."""

    def __init__(self, code: int | None) -> None:
        self.code = code

    def await_code(self, until: threading.Event, seconds: float | None = None) -> int | None:
        return self.code

    def end(self) -> int | None:
        return self.code

    def settle(self) -> None:
        """It has begun."""


def session(code: int | None, *, stdin: bool) -> ExecSession:
    options = ExecInstance(id="web", command=("true",), stdin=stdin)
    return ExecSession(cast(Any, Reset()), cast(Any, Ending(code)), options)


def test_a_reset_over_input_that_nobody_read_is_the_end() -> None:
    ended = session(3, stdin=True)
    assert ended.read() is None
    assert ended.result() == 3


@pytest.mark.parametrize(("code", "stdin"), [(None, True), (3, False)])
def test_any_other_reset_is_a_broken_connection(code: int | None, stdin: bool) -> None:
    with pytest.raises(ProviderUnreachable):
        session(code, stdin=stdin).read()
