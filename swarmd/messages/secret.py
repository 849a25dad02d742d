"""A value that must not be seen by accident."""

from __future__ import annotations

import re
from typing import Any

MASK = "********"


class Secret:
    """Text that shows itself only when asked to: ``repr``, ``str`` and encoding give a mask.

    Not a subclass of ``str``, so that no formatting, joining or logging can let it out.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that needs it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a Secret is not pickled")


class Location(str):
    """A path or a URL that may carry a login: everyone but the daemon sees it without.

    Text like any other to those that open it; only its public encoding differs.
    """

    __slots__ = ()

    def public(self) -> str:
        """Without the user and password of an http(s) URL."""
        return re.sub(r"^(https?://)[^/?#]*@", r"\1", self, flags=re.IGNORECASE)
