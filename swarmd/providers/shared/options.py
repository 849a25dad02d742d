"""Reading a provider's own table of the configuration, and what is wrong with it in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from swarmd.errors import ConfigError
from swarmd.messages.codec import convert

OptionsT = TypeVar("OptionsT", bound=Struct)
_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)


def convert_options(
    options: Mapping[str, object], kind: type[OptionsT], provider_type: str
) -> OptionsT:
    """A table as its Struct.

    Args:
        options: The table.
        kind: The Struct of this type of provider.
        provider_type: Its name, for the error.

    Raises:
        ConfigError: A key is unknown or a value is wrong; ``field`` is relative to the table.
    """
    try:
        return convert(dict(options), kind)
    except (msgspec.ValidationError, ValueError) as error:
        raise _as_config_error(str(error), kind, provider_type) from None


def _as_config_error(text: str, kind: type[Struct], provider_type: str) -> ConfigError:
    match = _PATH.match(text)
    what, path = (match["what"], match["path"]) if match else (text, None)
    unknown = re.search(r"unknown field `(.+)`", what)
    if unknown:
        return _unknown(unknown[1], kind, provider_type)
    return ConfigError(
        f"{path or 'options'}: {what}",
        field=path,
        next_step="Correct the value; config.example.toml shows every key.",
    )


def _unknown(key: str, kind: type[Struct], provider_type: str) -> ConfigError:
    import difflib

    near = difflib.get_close_matches(key, kind.__struct_fields__, n=1)
    hint = f"Did you mean {near[0]}?" if near else "config.example.toml shows every key."
    return ConfigError(
        f"the {provider_type} provider has no option {key!r}", field=key, next_step=hint
    )


def range_of(ports: str) -> range:
    """``"21000-21999"`` as a range, its end included."""
    first, last = ports.split("-")
    return range(int(first), int(last) + 1)


def check_ports(ports: range, text: str) -> None:
    """Raise ``ConfigError`` if this is no range of ports."""
    if not ports or ports[0] < 1 or ports[-1] > 65535:
        raise wrong("port_range", f"{text!r} is no range of ports", '"21000-21999"')


def check_pair(first: str, one: str, second: str, other: str) -> None:
    """Raise ``ConfigError`` if only one of two files is given."""
    if bool(one) != bool(other):
        missing = second if one else first
        raise wrong(missing, f"{first} and {second} belong together", "both files")


def check_roots(roots: Sequence[str]) -> None:
    """Raise ``ConfigError`` if one is no absolute path."""
    for root in roots:
        if not Path(root).is_absolute():
            raise wrong("roots", f"{root!r} is not an absolute path", '"/srv/workspaces"')


def check_address(key: str, value: str) -> None:
    """Raise ``ConfigError`` if this is no IP address."""
    import ipaddress

    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise wrong(key, f"{value!r} is no IP address", '"127.0.0.1"') from None


def wrong(field: str, message: str, expected: str) -> ConfigError:
    """The error that names a key, what is wrong with it, and what to give instead."""
    return ConfigError(
        f"{field}: {message}", field=field, next_step=f"Give {expected}, or leave it out."
    )
