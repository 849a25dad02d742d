"""A configuration as people write it in a file: TOML, secrets masked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tomli_w

from swarmd.core.changes import set_fields
from swarmd.messages import codec
from swarmd.messages.instance import InstanceConfig
from tui.model.text import BLANK, Line, line

_HEAD = (
    "# What was asked for; what is not here is at its default.",
    "# swarmctl create -f reads it as it stands, but for masked secrets.",
)


def as_toml(config: InstanceConfig) -> str:
    """What differs from the defaults, and the name.

    Args:
        config: Of an instance.
    """
    plain = codec.to_plain(config)
    wanted: dict[str, Any] = {"name": config.name}
    for path in set_fields(config):
        here, source = wanted, plain
        *groups, last = path.split(".")
        for group in groups:
            here, source = here.setdefault(group, {}), source[group]
        here[last] = _filled(source[last])
    return tomli_w.dumps(wanted)


def _filled(value: Any) -> Any:
    """TOML knows no null: what is not set is left out."""
    if isinstance(value, dict):
        return {key: _filled(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_filled(each) for each in value]
    return value


def toml_lines(config: InstanceConfig) -> Iterator[Line]:
    """The same with colours."""
    for comment in _HEAD:
        yield line(comment, "dim")
    yield BLANK
    for text in as_toml(config).splitlines():
        key, equals, value = text.partition(" = ")
        if text.startswith("["):
            yield line(text, "title")
        elif equals:
            yield (*line(key, "busy"), (" = ", "dim"), *line(value))
        else:
            yield line(text)
