"""Sizes and durations as people write them, kept as plain numbers inside.

Both travel as text that says its unit (``"512m"``, ``"30s"``) and come back as the same
number: encoding is exact. Memory without a unit is bytes; storage without a unit is GiB
(seed 000, section 7.2).
"""

from __future__ import annotations

import math
import re
from typing import Self

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_DURATION = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(ms|s|m|h|d)", re.IGNORECASE)
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Size(int):
    """A number of bytes, at least 0.

    ``Size.parse("512m") == 512 * 1024 * 1024``; ``str(Size(1 << 30)) == "1g"``.
    """

    bare_unit = 1

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a size: a number (bytes; GiB for ``Storage``) or text such as ``"2g"``.

        Raises:
            ValueError: It is neither, negative, or has an unknown unit.
        """
        if isinstance(value, Size):
            return cls(int(value))
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(cls._expected(value))
        if isinstance(value, str):
            return cls(cls._from_text(value))
        if not math.isfinite(value) or value < 0:
            raise ValueError(cls._expected(value))
        return cls(int(value * cls.bare_unit))

    @classmethod
    def _from_text(cls, text: str) -> int:
        match = _SIZE.fullmatch(text)
        if match is None:
            raise ValueError(cls._expected(text))
        number, unit = match.groups()
        bare = not text.strip()[-1].isalpha()
        factor = cls.bare_unit if bare else _SIZE_UNITS[unit.lower()]
        return int(float(number) * factor) if "." in number else int(number) * factor

    @classmethod
    def _expected(cls, value: object) -> str:
        return f'expected a size such as "512m" or "2g", not {value!r}'

    def __str__(self) -> str:
        for unit in "tgmk":
            if self and self % _SIZE_UNITS[unit] == 0:
                return f"{int(self) // _SIZE_UNITS[unit]}{unit}"
        return f"{int(self)}b"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class Storage(Size):
    """A number of bytes of disk; a bare number is GiB."""

    bare_unit = 1 << 30


class Duration(float):
    """A length of time in seconds, at least 0.

    ``Duration.parse("1h30m") == 5400.0``; ``str(Duration(90)) == "90s"``.
    """

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a duration: a number of seconds or text such as ``"30s"`` or ``"1h30m"``.

        Raises:
            ValueError: It is neither, negative, or has an unknown unit.
        """
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(cls._expected(value))
        if isinstance(value, str):
            return cls(cls._from_text(value))
        if not math.isfinite(value) or value < 0:
            raise ValueError(cls._expected(value))
        return cls(value)

    @classmethod
    def _from_text(cls, text: str) -> float:
        parts = _DURATION.findall(text)
        if not parts or _DURATION.sub("", text).strip():
            raise ValueError(cls._expected(text))
        return sum(float(number) * _DURATION_UNITS[unit.lower()] for number, unit in parts)

    @classmethod
    def _expected(cls, value: object) -> str:
        return f'expected a duration such as "30s" or "1h30m", not {value!r}'

    def __str__(self) -> str:
        return f"{int(self)}s" if self.is_integer() else f"{float(self)!r}s"

    def __repr__(self) -> str:
        return f"Duration({str(self)!r})"
