"""Compare plain data with a Struct and tell every key that is wrong, by its path.

msgspec stops at the first error; a person who edits a file wants to see all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Struct

from swarmd.core.explain import describe, explain
from swarmd.core.naming import nearest
from swarmd.messages import codec

_CHOICE = re.compile(r"\^\(([\w|-]+)\)\$")


class Problem(NamedTuple):
    """One key that is wrong: where, why, and the nearest known key if it is unknown."""

    field: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def find_problems(value: object, kind: Any, path: str = "") -> Iterator[Problem]:
    """Every key of ``value`` that does not fit ``kind``, in the order of the Struct.

    Args:
        value: What TOML or JSON gave.
        kind: A Struct, a tuple of Structs, or any type that msgspec converts.
        path: Where ``value`` stands, as people write it: ``providers[1].options``.
    """
    inner = struct_in_tuple(kind)
    if inner is not None and isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_problems(item, inner, f"{path}[{index}]")
    elif isinstance(kind, type) and issubclass(kind, Struct) and isinstance(value, Mapping):
        yield from _find_in_struct(value, kind, path)
    else:
        yield from _find_in_leaf(value, kind, path)


def _find_in_struct(value: Mapping[str, Any], kind: type[Struct], path: str) -> Iterator[Problem]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key in value:
        if key not in fields:
            yield _unknown(key, fields, path)
    for key, field in fields.items():
        if key in value:
            yield from find_problems(value[key], field.type, _join(path, key))
        elif field.required:
            yield Problem(_join(path, key), "is missing", f"It takes {describe(field.type)}.")


def _find_in_leaf(value: object, kind: Any, path: str) -> Iterator[Problem]:
    try:
        codec.convert(value, kind)
    except msgspec.ValidationError as error:
        choices = _choices(kind) if isinstance(value, str) else ()
        if choices:
            near = nearest(str(value), choices, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Write one of {', '.join(choices)}."
            yield Problem(path, f"expected one of {', '.join(choices)}, not {value!r}", hint)
            return
        found = explain(error, kind, prefix=path)
        text = found.message.removeprefix(f"{found.field}: ")
        shown = "" if "not " in text else f", not {value!r}"
        yield Problem(found.field, text + shown, found.suggestion)


def _unknown(key: str, known: Iterable[str], path: str) -> Problem:
    names = list(known)
    near = [_join(path, name) for name in nearest(key, names, 1)]
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names)}."
    return Problem(_join(path, key), "unknown key", hint)


def _choices(kind: Any) -> tuple[str, ...]:
    """The words that a pattern such as ``^(json|text)$`` takes; none of another pattern."""
    for meta in getattr(kind, "__metadata__", ()):
        found = _CHOICE.fullmatch(getattr(meta, "pattern", None) or "")
        if found:
            return tuple(found[1].split("|"))
    return ()


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def struct_in_tuple(kind: Any) -> type[Struct] | None:
    """The Struct of ``tuple[Struct, ...]``; None of every other type."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is not tuple:
        return None
    inner = get_args(kind)[0]
    return inner if isinstance(inner, type) and issubclass(inner, Struct) else None
