"""Find the configuration file, read it, check it, resolve the places."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmd.configuration.alerting import check_alerting
from swarmd.configuration.places import default_file, resolve_places
from swarmd.configuration.problems import Problem, find_problems
from swarmd.core.naming import nearest
from swarmd.core.placement import STRATEGIES
from swarmd.core.telemetry.listening import parse_listen
from swarmd.errors import ConfigError, SwarmError
from swarmd.messages import codec
from swarmd.messages.config import Config, Places, ProviderConfig

CheckOptions = Callable[[str, dict[str, Any]], None]
"""Checks one provider's options: its type and its table. Raises a ``SwarmError``."""

_POSITION = re.compile(r"\(at line (\d+), column (\d+)\)")
_SHORTEST_INTERVAL = 0.05
_INTERVALS = (
    "daemon.auto_save_interval",
    "daemon.reconcile_interval",
    "daemon.observe_interval",
    "health.check_interval",
    "telemetry.interval",
)
_LIMITS = ("instances.start_timeout", "instances.operation_timeout", "health.timeout")


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """What a start needs: the configuration, the places, and the file if there was one."""

    config: Config
    places: Places
    file: Path | None


def load(
    path: Path | None,
    env: Mapping[str, str],
    *,
    uid: int,
    check_options: CheckOptions | None = None,
) -> LoadedConfig:
    """Read the configuration (DESIGN 8). Without a file the defaults are the configuration.

    Args:
        path: What ``--config`` names, if anything.
        env: The environment.
        uid: Who runs: decides the default file and places.
        check_options: Checks each provider's own table as well.

    Raises:
        ConfigError: ``details["file"]`` and ``field`` say where; ``details["problems"]`` lists
            everything that is wrong.
    """
    file = find_file(path, env, uid=uid)
    config = Config() if file is None else parse(_read(file), file)
    try:
        places = resolve_places(config, env, uid=uid, file=file)
    except ConfigError as error:
        raise _report(file, [_as_problem(error, error.field or "")]) from error
    if check_options is not None:
        _refuse(file, list(_check_options(config.providers, check_options)))
    return LoadedConfig(config, places, file)


def find_file(path: Path | None, env: Mapping[str, str], *, uid: int) -> Path | None:
    """The file to read: the one named, else the default one if it exists, else none.

    Raises:
        ConfigError: A named file does not exist.
    """
    named = path or _from_environment(env)
    if named is None:
        usual = default_file(env, uid=uid)
        return usual if usual.exists() else None
    if not named.exists():
        raise ConfigError(
            f"there is no configuration file {named}",
            next_step=f"Write one with `swarmctl config init {named}`, or leave the option out: "
            "the defaults work."
            if path
            else "$SWARMD_CONFIG names it. Write one with `swarmctl config init`, or unset the "
            "variable: the defaults work.",
            details={"file": str(named)},
        )
    return named.absolute()


def usual_file(env: Mapping[str, str], *, uid: int) -> Path:
    """Where the file belongs if no option names one, whether or not it is there."""
    return _from_environment(env) or default_file(env, uid=uid)


def _from_environment(env: Mapping[str, str]) -> Path | None:
    variable = env.get("SWARMD_CONFIG")
    return Path(variable).expanduser() if variable else None


def parse(text: str, file: Path | None = None) -> Config:
    """TOML into a ``Config``.

    Raises:
        ConfigError: Not TOML (``details`` has line and column), or any key is wrong.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(error, file) from error
    _refuse(file, list(find_problems(raw, Config)))
    config = codec.convert(raw, Config)
    _refuse(file, list(_check_values(config)))
    return config


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the configuration file {file} cannot be read: {error.strerror}",
            next_step="Check its owner and mode, or name another with --config.",
            details={"file": str(file), "cause": str(error)},
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"the configuration file {file} is not UTF-8 text (byte {error.start})",
            next_step="Save it as UTF-8.",
            details={"file": str(file), "cause": str(error)},
        ) from error


def _syntax_error(error: tomllib.TOMLDecodeError, file: Path | None) -> ConfigError:
    details: dict[str, Any] = {"file": _name(file), "cause": str(error)}
    position = _POSITION.search(str(error))
    if position:
        details |= {"line": int(position[1]), "column": int(position[2])}
        where = f"{_name(file)}:{position[1]}:{position[2]}"
    else:
        where = _name(file)
    return ConfigError(
        f"{where}: this is not TOML: {_POSITION.sub('', str(error)).strip()}",
        next_step="Correct the line; text needs quotes, tables stand in [brackets].",
        details=details,
    )


def _check_values(config: Config) -> Iterator[Problem]:
    """What a type cannot say."""
    for path in _INTERVALS:
        if _at(config, path) < _SHORTEST_INTERVAL:
            yield Problem(path, f"expected at least {_SHORTEST_INTERVAL:g} s")
    for path in _LIMITS:
        if _at(config, path) == 0:
            yield Problem(path, "expected more than 0 s")
    if config.journal.segment_size > config.journal.max_size:
        yield Problem("journal.segment_size", "expected at most journal.max_size")
    if config.journal.segment_size < 1 << 12:
        yield Problem("journal.segment_size", 'expected at least "4k"')
    for key in ("idle_timeout", "max_age"):
        if getattr(config.instances, key) and not config.health.enabled:
            hint = "Switch health on, or leave this at 0."
            yield Problem(f"instances.{key}", "has no effect with health.enabled = false", hint)
    yield from check_alerting(config.alerting)
    yield from _check_strategy(config.placement.strategy)
    yield from _check_listen(config.telemetry.listen, insecure=config.daemon.insecure)
    yield from _check_providers(config.providers)


def _check_listen(listen: str, *, insecure: bool) -> Iterator[Problem]:
    """What leaves this host in the clear is refused (DESIGN 7)."""
    if not listen:
        return
    try:
        address = parse_listen(listen)
    except ValueError as error:
        hint = "Write an IP address and a port: 127.0.0.1:9464 or [::1]:9464."
        yield Problem("telemetry.listen", str(error), hint)
        return
    if not (address.is_loopback or insecure):
        told = f"{listen} would show the figures to other hosts in the clear"
        yield Problem("telemetry.listen", told, "Listen on 127.0.0.1, or set daemon.insecure.")


def _check_providers(providers: tuple[ProviderConfig, ...]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, provider in enumerate(providers):
        if provider.name in seen:
            first = f"providers[{seen[provider.name]}]"
            yield Problem(
                f"providers[{index}].name",
                f"{provider.name!r} is the name of {first} already",
                "Give each provider a name of its own.",
            )
        seen.setdefault(provider.name, index)
        for key in ("priority", "cost_per_hour"):
            if not math.isfinite(getattr(provider, key) or 0.0):
                yield Problem(f"providers[{index}].{key}", "expected a finite number")


def _check_strategy(name: str) -> Iterator[Problem]:
    known = [strategy.name for strategy in STRATEGIES]
    if name not in known:
        near = nearest(name, known, 1)
        hint = f"Did you mean {near[0]}?" if near else f"Write one of {', '.join(known)}."
        yield Problem("placement.strategy", f"there is no strategy {name!r}", hint)


def _at(config: Config, path: str) -> float:
    section, key = path.split(".")
    return float(getattr(getattr(config, section), key))


def _check_options(providers: tuple[ProviderConfig, ...], check: CheckOptions) -> Iterator[Problem]:
    for index, provider in enumerate(providers):
        try:
            check(provider.type, provider.options)
        except SwarmError as error:
            inside = error.field or ""
            if inside == "type":
                yield _as_problem(error, f"providers[{index}].type")
            else:
                dot = "." if inside and not inside.startswith("[") else ""
                yield _as_problem(error, f"providers[{index}].options{dot}{inside}")


def _as_problem(error: SwarmError, field: str) -> Problem:
    return Problem(field, error.message, error.next_step)


def _refuse(file: Path | None, problems: list[Problem]) -> None:
    if problems:
        raise _report(file, problems)


def _report(file: Path | None, problems: list[Problem]) -> ConfigError:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ConfigError(
        f"{_name(file)}: {first}{more}",
        field=first.field or None,
        next_step=first.hint or "config.example.toml lists every key with its default.",
        details={
            "file": _name(file),
            "problems": [problem._asdict() for problem in problems],
        },
    )


def _name(file: Path | None) -> str:
    return "the configuration" if file is None else str(file)
