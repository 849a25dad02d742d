"""The example file, written from the Structs: every key, its default, its comment.

A line that begins with ``#`` and a letter or bracket is a key at its default: take the ``#``
away to change it. Prose begins with ``# ``.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec
from msgspec import Struct

from swarmd.configuration.problems import struct_in_tuple
from swarmd.messages import codec
from swarmd.messages.config import Config, ProviderConfig
from swarmd.messages.units import Duration

_HEAD = """\
# The configuration of swarmd. Every key stands here with its default: take the "#" away to
# change one. Without a file all defaults hold.
#
# Looked for in this order: --config FILE, $SWARMD_CONFIG, /etc/swarmd/config.toml (root) or
# $XDG_CONFIG_HOME/swarmd/config.toml. Check it with `swarmctl config check`; apply it with
# `swarmctl reload`, which says what needs a restart.
#
# Durations: "30s", "1h30m". Sizes: "512m", "2g".
"""
_PLACES = """\
# An empty place means, for root: /var/lib/swarmd, /var/lib/swarmd-instances, /opt/swarmd and
# /run/swarmd/swarmd.sock; else $XDG_STATE_HOME/swarmd, $XDG_DATA_HOME/swarmd/instances,
# $XDG_DATA_HOME/swarmd/server and $XDG_RUNTIME_DIR/swarmd/swarmd.sock. $SWARMD_STATE_DIR,
# $SWARMD_DATA_DIR, $SWARMD_SERVER_DIR and $SWARMD_SOCKET override the file.
"""


def render_example(options: Mapping[str, type[Struct]] | None = None) -> str:
    """The text of ``config.example.toml``.

    Args:
        options: For each provider type the Struct of its options; each becomes a section.
    """
    parts = [_HEAD]
    parts.extend(
        _render_section(section.name, section.type)
        for section in msgspec.structs.fields(Config)
        if section.name != "providers"
    )
    parts.append(_render_providers(dict(options or {})))
    return "\n".join(parts)


def render_options(kind: type[Struct]) -> str:
    """The keys of one provider type's options, as they stand below ``[providers.options]``."""
    return "".join(_render_keys(kind, kind))


def _render_section(name: str, kind: type[Struct]) -> str:
    lines = [_prose(_summary(kind)), *([_PLACES] if name == "daemon" else []), f"[{name}]\n"]
    return "".join([*lines, *_render_keys(kind, kind())])


def _render_providers(options: dict[str, type[Struct]]) -> str:
    lines = [_prose("One [[providers]] table for each place to run instances.")]
    for name in options or ("local",):
        example = ProviderConfig(name=name, type=name)
        lines.append("#[[providers]]\n")
        lines.extend(_render_keys(ProviderConfig, example, skip={"options"}))
        if kind := options.get(name):
            lines.append("\n" + _prose(_summary(kind)))
            lines.append("#[providers.options]\n")
            lines.append(render_options(kind))
    return "".join(lines)


def _render_keys(
    kind: type[Struct], source: object, skip: frozenset[str] | set[str] = frozenset()
) -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        if field.name in skip:
            continue
        description = comment_of(field.type)
        if description:
            yield _prose(description)
        value = _default(field) if source is kind else getattr(source, field.name)
        if value is None and not field.required:
            yield f"# {field.encode_name}: not set\n"
        else:
            yield f"#{field.encode_name} = {_toml(value)}\n"
        if inner := struct_in_tuple(field.type):
            yield from _render_table(inner)


def _render_table(kind: type[Struct]) -> Iterator[str]:
    """One of many tables, as prose: there is none by default."""
    yield _prose(f"{_summary(kind).replace('``', '')} A dash: it has to be said.")
    for field in msgspec.structs.fields(kind):
        value = "-" if field.required else _toml(field.default)
        yield from _indented(f"{field.encode_name} = {value}", comment_of(field.type))


def _indented(key: str, description: str) -> Iterator[str]:
    yield f"#   {key}\n"
    for line in textwrap.wrap(description, 91):
        yield f"#       {line}\n"


def comment_of(kind: Any) -> str:
    """The description that a type's ``Meta`` carries, also inside ``X | None``; else nothing."""
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.description:
            return meta.description
    return next((text for inner in get_args(kind) if (text := comment_of(inner))), "")


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.required:
        return None
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return field.default_factory()


def _toml(value: object) -> str:
    """One value on one line, as TOML writes it. A required key's is an empty text."""
    if isinstance(value, Duration):
        value = _round(value)
    plain = "" if value is None else codec.to_plain(value)
    if isinstance(plain, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in plain.items()) + "}"
    if isinstance(plain, list | tuple):
        return "[" + ", ".join(_toml(item) for item in plain) + "]"
    return json.dumps(plain, ensure_ascii=False)


def _round(value: Duration) -> str:
    """A duration in the largest unit that leaves no rest: ``7d``, ``24h``, ``90s``."""
    for unit, seconds, least in (("d", 86400, 172800), ("h", 3600, 3600)):
        if value >= least and value % seconds == 0:
            return f"{int(value // seconds)}{unit}"
    return str(value)


def _prose(text: str) -> str:
    lines = textwrap.wrap(text, 97)
    return "".join(f"# {line}\n" for line in lines)


def _summary(kind: type[Struct]) -> str:
    return (kind.__doc__ or "").strip().split("\n\n", 1)[0].replace("\n", " ")
