"""The one renderer: a request Struct becomes options and arguments, what was typed its params.

==============================  ================================================
field                           on the command line
==============================  ================================================
``bool``                        ``--force``; ``--start/--no-start`` if true by default
an enum                         one of its words
a tuple                         the option several times (``--label a --label b``)
``dict[str, str]``              ``--env KEY=VALUE``, several times
a Struct inside                 its fields, flattened (``config.resources.memory``: ``--memory``)
``Size``, ``Duration``          text with a unit, checked here
``Secret``                      ``--password-file FILE`` and ``--password-stdin``; never in argv
what ``arguments`` names        a positional argument
==============================  ================================================
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from types import UnionType
from typing import Any

import click
import msgspec
from msgspec import Meta, Struct

from swarmd.cli.values import PairParam, ParamType, PortParam, SecretFileParam, UnitParam
from swarmd.messages.instance import PortSpec
from swarmd.messages.secret import Secret
from swarmd.messages.units import Duration, Size

_NAMES = {
    "extensions": "extension",
    "labels": "label",
    "provider_labels": "provider-label",
    "ports": "port",
    "fields": "field",
    "options": "option",
    "type": "auth-type",
    "credentials": "password",
    "enable_public_access": "public",
}
"""Options that are called otherwise than their field: one of many, or clear without context."""


class Leaf(Struct, frozen=True):
    """One field that holds a value: where it stands and what it takes."""

    path: tuple[str, ...]
    kind: Any
    many: bool
    required: bool
    default: object
    metas: tuple[Meta, ...]

    @property
    def key(self) -> str:
        """The parameter's name within click."""
        return "__".join(self.path)

    @property
    def option(self) -> str:
        """The option's name without dashes."""
        name = self.path[-1]
        if name == "type" and len(self.path) == 1:
            return "type"
        return _NAMES.get(name, name).replace("_", "-")

    @property
    def help(self) -> str | None:
        """What ``Meta`` says of the field."""
        return next((meta.description for meta in self.metas if meta.description), None)

    @property
    def bounds(self) -> Meta | None:
        """The ``Meta`` with limits, if there is one."""
        return next((m for m in self.metas if (m.ge, m.le, m.gt, m.lt) != (None,) * 4), None)


class Form:
    """The parameters of one command, and what was typed, as the params of its method.

    Args:
        request: The method's request Struct.
        arguments: Fields that are positional, with the word that stands for them.
        skip: Fields or dotted paths that are not asked for.
        optional: Arguments that may be left out.
        partial: Nothing is required and every ``bool`` has both spellings, since "not given"
            differs from "no": for changes.
        letters: Fields with a short option.
    """

    def __init__(
        self,
        request: type[Struct],
        *,
        arguments: Mapping[str, str] | None = None,
        skip: Sequence[str] = (),
        optional: Sequence[str] = (),
        partial: bool = False,
        letters: Mapping[str, str] | None = None,
    ) -> None:
        self.request = request
        self.arguments = dict(arguments or {})
        self.optional = frozenset(optional)
        self.partial = partial
        self.letters = dict(letters or {})
        self.leaves = [leaf for leaf in leaves(request) if not _skipped(leaf.path, frozenset(skip))]

    def parameters(self) -> list[click.Parameter]:
        """Arguments first, then options, in the order of the fields."""
        made = [parameter for leaf in self.leaves for parameter in self._render(leaf)]
        return sorted(made, key=lambda parameter: isinstance(parameter, click.Option))

    def collect(self, values: dict[str, Any]) -> dict[str, Any]:
        """What was typed, nested as the Struct is; takes it out of ``values``."""
        params: dict[str, Any] = {}
        for leaf in self.leaves:
            value = values.pop(leaf.key, None)
            if leaf.kind is Secret and values.pop(f"{leaf.key}__stdin", False):
                value = SecretFileParam().convert("-", None, None)
            if value is None or (leaf.many and not value):
                continue
            _put(params, leaf.path, _plain(leaf, value))
        return params

    def _render(self, leaf: Leaf) -> Iterator[click.Parameter]:
        where = ".".join(leaf.path)
        if where in self.arguments:
            yield click.Argument(
                [leaf.key],
                type=_param_type(leaf),
                metavar=self.arguments[where],
                nargs=-1 if leaf.many else 1,
                required=leaf.required and where not in self.optional,
            )
        elif leaf.kind is Secret:
            yield from _secret_options(leaf)
        else:
            yield self._option(leaf)

    def _option(self, leaf: Leaf) -> click.Option:
        letter = self.letters.get(".".join(leaf.path))
        names = [leaf.key, *([letter] if letter else []), f"--{leaf.option}"]
        if leaf.kind is bool:
            if self.partial or leaf.default is not False:  # true, or what the daemon has for all
                names[-1] += f"/--no-{leaf.option}"
            return click.Option(names, is_flag=True, default=None, help=leaf.help)
        return click.Option(
            names,
            type=_param_type(leaf),
            metavar=_metavar(leaf),
            multiple=leaf.many,
            required=leaf.required and not leaf.many and not self.partial,
            default=None,
            help=_help(leaf),
        )


def leaves(struct: type[Struct], path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Every field of a Struct that holds a value; Structs inside are walked into."""
    for field in msgspec.structs.fields(struct):
        kind, metas = unwrap(field.type)
        here = (*path, field.name)
        if isinstance(kind, type) and issubclass(kind, Struct):
            yield from leaves(kind, here)
            continue
        many = typing.get_origin(kind) is tuple or _is_dict(kind)
        if typing.get_origin(kind) is tuple:
            kind, inner = unwrap(typing.get_args(kind)[0])
            metas = (*metas, *inner)
        yield Leaf(here, kind, many, field.required, field.default, metas)


def unwrap(kind: Any) -> tuple[Any, tuple[Meta, ...]]:
    """A type without ``Annotated``, ``| None`` and unset, and every ``Meta`` found on the way."""
    if typing.get_origin(kind) is typing.Annotated:
        inner, *marks = typing.get_args(kind)
        base, found = unwrap(inner)
        return base, (*(mark for mark in marks if isinstance(mark, Meta)), *found)
    if typing.get_origin(kind) in (typing.Union, UnionType):
        nothing = (type(None), msgspec.UnsetType)
        (arm,) = (arm for arm in typing.get_args(kind) if arm not in nothing)
        return unwrap(arm)
    return kind, ()


def _words(leaf: Leaf) -> list[str]:
    """The words of an enum that has too many to stand in a usage line."""
    kind = leaf.kind
    if not isinstance(kind, type) or not issubclass(kind, Enum):
        return []
    words = [member.value for member in kind]
    return words if len(words) > 3 else []


def _metavar(leaf: Leaf) -> str | None:
    return leaf.path[-1].upper() if _words(leaf) else None


def _help(leaf: Leaf) -> str | None:
    told, words = leaf.help or "", _words(leaf)
    if all(word in told for word in words):
        return leaf.help
    return f"{told} Words: {', '.join(words)}."


def _is_dict(kind: Any) -> bool:
    return kind is dict or typing.get_origin(kind) is dict


def _skipped(path: tuple[str, ...], skip: frozenset[str]) -> bool:
    return any(".".join(path[: end + 1]) in skip for end in range(len(path)))


def _param_type(leaf: Leaf) -> ParamType:
    kind = leaf.kind
    if _is_dict(kind):
        values = typing.get_args(kind)
        return PairParam(plain=not values or values[1] in (str, str | None))
    if kind is PortSpec:
        return PortParam()
    if issubclass(kind, Enum):
        return click.Choice([member.value for member in kind])
    if issubclass(kind, Size | Duration):
        return UnitParam(kind)
    bounds = leaf.bounds or Meta()
    if kind is int:
        return _described(click.IntRange(min=_whole(bounds.ge), max=_whole(bounds.le)), "number")
    if kind is float:
        least = bounds.gt if bounds.gt is not None else bounds.ge
        ranged = click.FloatRange(min=least, min_open=bounds.gt is not None, max=bounds.le)
        return _described(ranged, "number")
    return click.STRING


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)


def _described(kind: ParamType, name: str) -> ParamType:
    kind.name = name
    return kind


def _secret_options(leaf: Leaf) -> Iterator[click.Option]:
    name = leaf.option
    yield click.Option(
        [leaf.key, f"--{name}-file"],
        type=SecretFileParam(),
        help=f"{leaf.help or 'A secret.'} The first line of this file; - is standard input.",
    )
    yield click.Option(
        [f"{leaf.key}__stdin", f"--{name}-stdin"],
        is_flag=True,
        help="The same as - above.",
    )


def _plain(leaf: Leaf, value: Any) -> Any:
    if _is_dict(leaf.kind):
        return dict(value)
    return list(value) if leaf.many else value


def _put(params: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        params = params.setdefault(part, {})
    params[path[-1]] = value
