"""msgspec's errors as people need them: which input, what was expected, what is near.

One place for the configuration file, the parameters of a method and the command line.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import UnionType
from typing import Any

import msgspec

from swarmd.core.naming import nearest
from swarmd.errors import SwarmError, ValidationError

_WHERE = re.compile(r"(?P<text>.*?)(?: - at (?P<key>`key` in )?`(?P<path>\$.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_TYPES = re.compile(r"Expected `(.*?)`, got `(.*?)`")
_BOUND = re.compile(r"Expected `.*?` (.*)")
_WORDS_ONLY = re.compile(r"Expected `str` matching regex '\^\(([\w|]+)\)\$'")
_ENUM = re.compile(r"Invalid enum value (.*)")
_PART = re.compile(r"\.([^.\[\]]+)|\[([^\[\]]*)\]")

MAX_SHOWN = 100
"""Characters of a wrong word that are compared and shown."""

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
    "datetime": "a time such as 2026-01-31T12:00:00Z",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """What is wrong with which input.

    ``field`` is the dotted path, ``message`` the whole sentence, ``expected`` what the place
    takes, ``nearest`` the known keys or values that look like what was written, and
    ``suggestion`` one sentence that tells what to do.
    """

    field: str
    message: str
    expected: str
    nearest: tuple[str, ...]
    suggestion: str

    def error(self, kind: type[SwarmError] = ValidationError, **details: Any) -> SwarmError:
        """The error to raise."""
        return kind(
            self.message,
            field=self.field or None,
            next_step=self.suggestion,
            details={"expected": self.expected, **details},
        )


def explain(error: Exception, kind: Any, *, prefix: str = "") -> Explained:
    """Say which input is wrong and what it should be.

    Args:
        error: What msgspec raised, or a ``ValueError`` with a plain message.
        kind: The type that was decoded: a Struct.
        prefix: Dotted path of the whole thing within what the user wrote.
    """
    match = _WHERE.fullmatch(str(error))
    text, path = (match["text"], match["path"] or "$") if match else (str(error), "$")
    parts = _parts(path)
    if unknown := _UNKNOWN.fullmatch(text):
        return _unknown_key(unknown[1], _at(kind, parts), _dotted(prefix, parts))
    if missing := _MISSING.fullmatch(text):
        return _missing_key(missing[1], _at(kind, parts), _dotted(prefix, parts))
    if match and match["key"]:
        return _wrong_key(text, _dotted(prefix, parts))
    return _wrong_value(text, _at(kind, parts), _dotted(prefix, parts))


def explain_path(kind: Any, path: Sequence[str], *, prefix: str = "") -> Explained | None:
    """Say which key of a path does not exist; None if all do.

    Args:
        kind: The type that the path leads through: a Struct.
        path: Its keys, outermost first.
        prefix: Dotted path of the whole thing within what the user wrote.
    """
    for index, key in enumerate(path):
        here = _at(kind, path[:index])
        known = keys_of(here)
        if known and key not in known:
            return _unknown_key(key, here, _dotted(prefix, path[:index]))
    return None


def _unknown_key(key: str, here: Any, where: str) -> Explained:
    key = _short(key)
    known = keys_of(here)
    near = nearest(key, known)
    listed = ", ".join(sorted(known))
    return Explained(
        field=_join(where, key),
        message=f"unknown key {_join(where, key)!r}",
        expected=f"one of: {listed}" if known else "no keys",
        nearest=near,
        suggestion=f"Did you mean {' or '.join(near)}?" if near else f"Known keys: {listed}.",
    )


def _short(word: str) -> str:
    """What was written, as far as it helps: whoever sends 1 MiB is not sent it back."""
    return word if len(word) <= MAX_SHOWN else word[:MAX_SHOWN] + "…"


def _missing_key(key: str, here: Any, where: str) -> Explained:
    expected = describe(dict(_fields(here)).get(key, Any))
    return Explained(
        field=_join(where, key),
        message=f"{_join(where, key)} is missing",
        expected=expected,
        nearest=(),
        suggestion=f"Give {_join(where, key)}: {expected}.",
    )


def _wrong_key(text: str, where: str) -> Explained:
    got = found[2] if (found := _TYPES.fullmatch(text)) else "something else"
    return Explained(
        field=where,
        message=f"{where}: a key must be text, not {_in_words(got)}",
        expected="text as key",
        nearest=(),
        suggestion="Put the key in quotes.",
    )


def _wrong_value(text: str, here: Any, where: str) -> Explained:
    expected = describe(here)
    near: tuple[str, ...] = ()
    if found := _ENUM.fullmatch(text):
        given = _short(found[1])
        near = nearest(given.strip("'\""), _choices(here))
        message = f"expected {expected}, not {given}"
    elif found := _TYPES.fullmatch(text):
        expected = expected or _in_words(found[1])
        message = f"expected {expected}, not {_in_words(found[2])}"
    elif found := _WORDS_ONLY.fullmatch(text):
        expected = "one of: " + ", ".join(found[1].split("|"))
        message = f"expected {expected}"
    elif found := _BOUND.fullmatch(text):
        message = f"expected {expected or 'a value'} {found[1]}"
        expected = f"{expected} {found[1]}".strip()
    else:
        message = text
        expected = expected or text
    return Explained(
        field=where,
        message=f"{where}: {message}" if where else message,
        expected=expected,
        nearest=near,
        suggestion=f"Did you mean {' or '.join(near)}?" if near else f"Write {expected}.",
    )


def _in_words(types: str) -> str:
    return " or ".join(_WORDS.get(name.strip(), name.strip()) for name in types.split("|"))


# --- walking types ---------------------------------------------------------------------------


def _parts(path: str) -> tuple[str, ...]:
    """``$.a.b[0]`` as (a, b, [0])."""
    return tuple(m[1] if m[1] is not None else f"[{m[2]}]" for m in _PART.finditer(path))


def _dotted(prefix: str, parts: Sequence[str]) -> str:
    where = prefix
    for part in parts:
        where = where + part if part.startswith("[") else _join(where, part)
    return where


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _arms(kind: Any) -> Iterator[Any]:
    """The types that a place takes, without ``Annotated`` and ``Optional``."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        yield from _arms(typing.get_args(kind)[0])
    elif origin in (typing.Union, UnionType):
        for arm in typing.get_args(kind):
            yield from _arms(arm)
    elif kind is not type(None):
        yield kind


def _fields(kind: Any) -> list[tuple[str, Any]]:
    """Keys and types of the Structs that a place takes."""
    return [
        (field.encode_name, field.type)
        for arm in _arms(kind)
        if isinstance(arm, type) and issubclass(arm, msgspec.Struct)
        for field in msgspec.structs.fields(arm)
    ]


def keys_of(kind: Any) -> tuple[str, ...]:
    """The keys that a Struct knows; none of another type."""
    return tuple(name for name, _ in _fields(kind))


def _at(kind: Any, parts: Sequence[str]) -> Any:
    """The type at a path; ``Any`` where it cannot be told."""
    for part in parts:
        kind = _item(kind, part) if part.startswith("[") else dict(_fields(kind)).get(part, Any)
    return kind


def _item(kind: Any, part: str) -> Any:
    for arm in _arms(kind):
        args = typing.get_args(arm)
        origin = typing.get_origin(arm)
        if not args or not isinstance(origin, type):
            continue
        if issubclass(origin, Mapping):
            return args[1]
        index = part[1:-1]
        fixed = origin is tuple and args[-1] is not Ellipsis and index.isdigit()
        return args[int(index)] if fixed and int(index) < len(args) else args[0]
    return Any


def _choices(kind: Any) -> tuple[str, ...]:
    return tuple(
        str(member.value)
        for arm in _arms(kind)
        if isinstance(arm, type) and issubclass(arm, Enum)
        for member in arm
    )


def describe(kind: Any) -> str:
    """What a place takes, in words; empty if it cannot be told."""
    words = [word for arm in _arms(kind) if (word := _describe_one(arm))]
    return " or ".join(dict.fromkeys(words))


def _describe_one(arm: Any) -> str:
    origin = typing.get_origin(arm)
    if isinstance(origin, type):
        return "a table" if issubclass(origin, Mapping) else "a list"
    if not isinstance(arm, type):
        return ""
    if issubclass(arm, Enum):
        return "one of: " + ", ".join(str(member.value) for member in arm)
    if issubclass(arm, msgspec.Struct | dict):
        return "a table"
    known = {
        "Size": 'a size such as "512m" or "2g"',
        "Storage": 'a size such as "10g" or a number of GiB',
        "Duration": 'a duration such as "30s" or "1h30m"',
        "Secret": "text",
        "Location": "text",
        "tuple": "a list",
        "list": "a list",
    }
    return known.get(arm.__name__) or _WORDS.get(arm.__name__, "")
