"""What is typed into forms, read as the daemon would read it: its own Structs and messages."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from swarmd.configuration.problems import find_problems
from swarmd.core.changes import DAEMON_FIELDS, changed_fields, covered, merge_patch
from swarmd.core.validation import check_itself
from swarmd.errors import SwarmError
from swarmd.messages import codec
from swarmd.messages.instance import Auth, InstanceConfig
from swarmd.messages.requests import CreateInstance

MOST: Final = 1000
"""Instances that one form may ask for."""

PATHS: Final[dict[str, str]] = {
    "name": "name",
    "provider": "provider",
    "workspace": "workspace",
    "memory": "resources.memory",
    "cpu": "resources.cpu",
    "storage": "resources.storage",
    "pids": "resources.pids",
    "image": "image",
    "labels": "labels",
    "env": "env",
    "extensions": "extensions",
    "password": "auth.credentials",
    "idle_timeout": "idle_timeout",
    "max_age": "max_age",
    "protect": "protect",
}
"""A form's field → its path in the configuration."""

_PAIRS: Final = frozenset({"labels", "env"})
_NUMBERS: Final = frozenset({"cpu", "pids"})
_RESET: Final = "-"


@dataclass(frozen=True, slots=True)
class Read:
    """What was typed.

    Args:
        wanted: A configuration, or the changes of one; right only without problems.
        problems: What is wrong, by the form's field.
        count: How many are wanted.
        start: Whether they are started at once.
    """

    wanted: dict[str, Any]
    problems: dict[str, str] = field(default_factory=dict)
    count: int = 1
    start: bool = True


def field_of(path: str | None) -> str | None:
    """The form's field that an error's field means; None: no form has it."""
    if path is None:
        return None
    bare = path.removeprefix("config.").removeprefix("changes.")
    for name, known in PATHS.items():
        if bare == known or bare.startswith((f"{known}.", f"{known}[")):
            return name
    return None


def words_of(error: SwarmError) -> str:
    """An error in a line of a form: what, and what to do."""
    text = error.message.removeprefix(f"{error.field}: ").rstrip(".")
    # What was expected needs no second sentence that says so.
    step = f" {error.next_step}" if error.next_step and "expected" not in text else ""
    return f"{text}.{step}"


# --- create ----------------------------------------------------------------------------------


def read_create(values: Mapping[str, str]) -> Read:
    """A configuration of what was typed.

    Args:
        values: By the form's field; ``count`` and ``start`` among them.
    """
    problems: dict[str, str] = {}
    config: dict[str, Any] = {}
    for name, path in PATHS.items():
        text = values.get(name, "").strip()
        if text:
            _put(config, path, _value(name, text, problems))
    count = _count(values.get("count", ""), problems)
    problems = _wrong_config(config) | problems
    return Read(config, problems, count, start=values.get("start", "yes") == "yes")


def _count(text: str, problems: dict[str, str]) -> int:
    if not text.strip():
        return 1
    number = int(text) if text.strip().isdecimal() else 0
    if not 1 <= number <= MOST:
        problems["count"] = f"Expected a number from 1 to {MOST}."
        return 1
    return number


def _wrong_config(config: dict[str, Any]) -> dict[str, str]:
    """What the daemon would refuse wherever it runs, by the form's field."""
    found: dict[str, str] = {}
    if not config.get("name"):
        found["name"] = "Which name? Letters, digits, dots, underscores, hyphens."
    for problem in find_problems({"config": config}, CreateInstance):
        hint = f" {problem.hint}" if problem.hint and "expected" not in problem.message else ""
        found.setdefault(field_of(problem.field) or "name", f"{problem.message}.{hint}")
    if found:
        return found
    # Of many, the number's place in the name is no part of a name yet.
    plain = {**config, "name": numbered(config["name"], 1, 2 if "{n}" in config["name"] else 1)}
    return _refused(lambda: check_itself(codec.convert(plain, InstanceConfig)))


def _refused(check: Any) -> dict[str, str]:
    try:
        check()
    except SwarmError as error:
        return {field_of(error.field) or "name": words_of(error)}
    return {}


def numbered(name: str, number: int, count: int) -> str:
    """The name of one of many: ``web-3``, or where ``{n}`` stands; of one alone the name."""
    if count == 1:
        return name
    return name.replace("{n}", str(number)) if "{n}" in name else f"{name}-{number}"


def requests_of(read: Read) -> Iterator[CreateInstance]:
    """One request for each; they answer once it was begun."""
    for number in range(1, read.count + 1):
        config = {**read.wanted, "name": numbered(read.wanted["name"], number, read.count)}
        yield CreateInstance(
            config=codec.convert(config, InstanceConfig), start=read.start, wait=False
        )


# --- update ----------------------------------------------------------------------------------


def texts_of(config: InstanceConfig) -> dict[str, str]:
    """How a configuration stands in the form."""
    plain = codec.to_plain(config)
    return {name: _spelled(_get(plain, path)) for name, path in PATHS.items()}


def _spelled(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{key}={shlex.quote(text)}" for key, text in value.items())
    if isinstance(value, list | tuple):
        return " ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_update(values: Mapping[str, str], config: InstanceConfig | None) -> Read:
    """A merge patch (RFC 7396) of what is different from how it was.

    Args:
        values: By the form's field, those that may be changed.
        config: What is changed; None: many, of which nothing is shown. Then what is empty
            stays as it is, ``-`` is the default again, and pairs are added.
    """
    before = {} if config is None else texts_of(config)
    problems: dict[str, str] = {}
    changes: dict[str, Any] = {}
    for name in (name for name in PATHS if name in values):
        text = values[name].strip()
        if text == before.get(name, "").strip():
            continue
        reset = not text or (config is None and text == _RESET)
        value = None if reset else _value(name, text, problems)
        if name in _PAIRS and isinstance(value, dict) and config is not None:
            value = _difference(getattr(config, PATHS[name]), value)
        _put(changes, PATHS[name], value)
    if not problems and changes:
        known = config or InstanceConfig(name="one-of-many")
        # A reply has the mask in its place, which is no password.
        plain = msgspec.structs.replace(known, auth=Auth())
        problems |= _refused(lambda: check_itself(merge_patch(plain, changes)))
    return Read(changes, problems)


def _difference(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str | None]:
    patch: dict[str, str | None] = {key: text for key, text in new.items() if old.get(key) != text}
    return patch | {key: None for key in old if key not in new}


def waits_for_restart(
    config: InstanceConfig, changes: dict[str, Any], live: tuple[str, ...]
) -> tuple[str, ...]:
    """The fields among some changes that take effect at the next start only.

    Args:
        config: What is changed.
        changes: The merge patch, which is right.
        live: ``Capabilities.live_fields`` of its provider.
    """
    touched = changed_fields(config, merge_patch(config, changes))
    return tuple(path for path in touched if not covered(path, {*live, *DAEMON_FIELDS}))


# --- values ----------------------------------------------------------------------------------


def _value(name: str, text: str, problems: dict[str, str]) -> Any:
    if name in _PAIRS:
        return _pairs(name, text, problems)
    if name == "extensions":
        return text.replace(",", " ").split()
    if name == "protect":
        return text == "yes"
    if name in _NUMBERS:
        return _number(text)
    return text


def _number(text: str) -> Any:
    """A number; what is none stays text, which the Struct then refuses in its own words."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _pairs(name: str, text: str, problems: dict[str, str]) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError:
        problems[name] = "A quotation mark is not closed."
        return {}
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            problems[name] = f"Expected key=value, not {word!r}; quote values with spaces."
            return {}
        found[key] = value
    return found


def _put(into: dict[str, Any], path: str, value: Any) -> None:
    *groups, last = path.split(".")
    for group in groups:
        into = into.setdefault(group, {})
    into[last] = value


def _get(of: Any, path: str) -> Any:
    for part in path.split("."):
        of = of.get(part) if isinstance(of, dict) else None
    return of
