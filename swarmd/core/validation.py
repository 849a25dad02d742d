"""Whether a configuration can work at a provider: every field takes effect or is refused.

What only the provider can know (paths, images, free ports) it checks itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping

from swarmd.core.changes import DAEMON_FIELDS, covered, set_fields
from swarmd.core.health.schedule import LEAST_INTERVAL
from swarmd.core.naming import check_name
from swarmd.errors import ResourceLimitError, ValidationError
from swarmd.messages.enums import AuthType, ProbeKind
from swarmd.messages.instance import Auth, HealthCheck, InstanceConfig, PortSpec, Resources
from swarmd.messages.provider import Capabilities, InstanceLimits
from swarmd.messages.secret import MASK
from swarmd.messages.units import Size

MAX_TEXT = 64 << 10
"""Bytes of all env entries together, and of all metadata together."""

MAX_LABELS = 64
MAX_LABEL_VALUE = 255
MAX_EXTENSIONS = 200
MAX_PATH = 4096

_ENV_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LABEL_KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?", re.ASCII)
_EXTENSION = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9-]*\.[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9][A-Za-z0-9.+-]*)?", re.ASCII
)
_ARGON2 = re.compile(
    r"\$argon2(id|i|d)\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]+=*", re.ASCII
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PUBLIC = "network.enable_public_access"
_RESERVED = {
    "PASSWORD": "code-server would take it as its password and show it to every terminal",
    "HASHED_PASSWORD": "code-server would take it as its password and show it to every terminal",
}
_RESERVED_PREFIXES = {
    "VSCODE_": "VS Code uses these variables itself and may not start with them",
    "SWARMD_": "the daemon marks its instances with these variables",
    "CODE_SERVER_": "code-server takes its configuration from these variables",
}


def check_config(
    config: InstanceConfig,
    caps: Capabilities,
    *,
    provider: str = "this provider",
    daemon_fields: Collection[str] = DAEMON_FIELDS,
    elsewhere: Mapping[str, Capabilities] | None = None,
    insecure: bool = False,
    tls: bool = False,
) -> None:
    """Refuse what is wrong in itself or cannot work at this provider.

    Args:
        config: What was asked for.
        caps: What the provider can do.
        provider: Its name, for the messages.
        daemon_fields: Paths that the daemon sees to, whatever the provider.
        elsewhere: What other providers can do, by name: a refusal says who could.
        insecure: Whether public access without TLS is allowed.
        tls: Whether the provider serves TLS.

    Raises:
        ValidationError: A wrong value, or a field that the provider cannot put into effect.
        ResourceLimitError: More, or less, than the provider gives one instance.
    """
    check_fits(
        config,
        caps,
        provider=provider,
        daemon_fields=daemon_fields,
        elsewhere=elsewhere,
        insecure=insecure,
        tls=tls,
    )
    check_itself(config)


def check_fits(
    config: InstanceConfig,
    caps: Capabilities,
    *,
    provider: str = "this provider",
    daemon_fields: Collection[str] = DAEMON_FIELDS,
    elsewhere: Mapping[str, Capabilities] | None = None,
    insecure: bool = False,
    tls: bool = False,
) -> None:
    """The half of ``check_config`` that differs from provider to provider."""
    _check_supported(config, caps, provider, daemon_fields, elsewhere or {})
    _check_resources(config.resources, caps.max_resources_per_instance, provider)
    _check_encrypted(config, insecure=insecure, tls=tls)


def check_itself(config: InstanceConfig) -> None:
    """The other half: what is wrong wherever it is to run. Raises ``ValidationError``."""
    check_name(config.name)
    check_env(config.env)
    _check_health(config.health)
    _check_labels(config.labels)
    _check_metadata(config.metadata)
    _check_ports(config.network.ports)
    _check_extensions(config.extensions)
    _check_paths(config)
    _check_auth(config.auth)
    _check_public(config)


def _refuse(message: str, field: str, next_step: str) -> ValidationError:
    return _refuse_at(message, f"config.{field}", next_step)


def _refuse_at(message: str, field: str, next_step: str) -> ValidationError:
    return ValidationError(message, field=field, next_step=next_step)


# --- what the provider can do ----------------------------------------------------------------


def _check_supported(
    config: InstanceConfig,
    caps: Capabilities,
    provider: str,
    daemon_fields: Collection[str],
    elsewhere: Mapping[str, Capabilities],
) -> None:
    supported = {*caps.config_fields, *daemon_fields}
    for path in set_fields(config):
        if not covered(path, supported):
            able = sorted(n for n, other in elsewhere.items() if covered(path, other.config_fields))
            raise _refuse(
                f"{path} has no effect at provider {provider}",
                path,
                f"Leave {path} out, or use a provider that supports it: {', '.join(able)}."
                if able
                else f"Leave {path} out; swarmctl providers get NAME shows what it supports.",
            )


def _check_resources(wanted: Resources, limits: InstanceLimits, provider: str) -> None:
    if wanted.cpu is not None:
        most = limits.cpu.cores if limits.cpu.limit is None else limits.cpu.limit
        if not math.isfinite(wanted.cpu) or wanted.cpu > most:
            raise _no_room("cpu", f"{wanted.cpu:g} cores", f"at most {most:g}", provider)
    if wanted.memory is not None:
        least, top = limits.memory.min, limits.memory.max
        if wanted.memory < least:
            raise _no_room("memory", str(wanted.memory), f"at least {Size(least)}", provider)
        if top is not None and wanted.memory > top:
            raise _no_room("memory", str(wanted.memory), f"at most {_round(top)}", provider)
    if wanted.storage is not None:
        if wanted.storage <= 0:
            raise _no_room("storage", str(wanted.storage), "more than 0", provider)
        if limits.storage is not None and wanted.storage > limits.storage.size:
            most_stored = _round(limits.storage.size)
            raise _no_room("storage", str(wanted.storage), f"at most {most_stored}", provider)


def _round(limit: int) -> str:
    """A size that is within a limit and can be asked for, as a person would write it."""
    for unit, factor in (("g", 1 << 30), ("m", 1 << 20)):
        if limit >= factor:
            return f"{math.floor(limit / factor * 10) / 10:g}{unit}"
    return str(Size(limit))


def _no_room(what: str, asked: str, limit: str, provider: str) -> ResourceLimitError:
    return ResourceLimitError(
        f"{what} {asked}: provider {provider} gives one instance {limit}",
        field=f"config.resources.{what}",
        next_step=f"Ask for {limit}, or use another provider (swarmctl providers).",
    )


# --- what is wrong in itself -----------------------------------------------------------------


def check_env(env: Mapping[str, str], *, start: str = "config.") -> None:
    """Refuse variables that no environment can hold, and those that the daemon itself needs.

    Args:
        env: Of an instance, or of one command in it.
        start: What the blamed fields begin with: ``config.``, or nothing for a command's.

    Raises:
        ValidationError: With the variable in ``field``.
    """
    field = f"{start}env"
    for key, value in env.items():
        if _ENV_KEY.fullmatch(key) is None:
            raise _refuse_at(
                f"{key!r} is not the name of an environment variable",
                field,
                "Use letters, digits and underscores, not beginning with a digit.",
            )
        reason = _reserved(key)
        if reason is not None:
            raise _refuse_at(
                f"the environment variable {key} is reserved: {reason}",
                f"{field}.{key}",
                f"Leave {key} out, or choose another name.",
            )
        if "\0" in value:
            raise _refuse_at(
                f"the value of {key} contains a NUL character",
                f"{field}.{key}",
                "Remove it: no environment can hold it.",
            )
    _check_total(env, field)


def _reserved(key: str) -> str | None:
    if key in _RESERVED:
        return _RESERVED[key]
    return next((why for start, why in _RESERVED_PREFIXES.items() if key.startswith(start)), None)


def _check_total(pairs: Mapping[str, str], field: str) -> None:
    total = sum(len(text.encode(errors="replace")) + 1 for pair in pairs.items() for text in pair)
    if total > MAX_TEXT:
        raise _refuse_at(
            f"{field.removeprefix('config.')} has {total} bytes, more than {MAX_TEXT}",
            field,
            "Keep large values in a file of the workspace.",
        )


def _check_health(check: HealthCheck) -> None:
    """Refuse a probe that lacks what it needs, has what it does not use, or can never succeed."""
    if check.interval is not None and check.interval < LEAST_INTERVAL:
        raise ValidationError(
            f"an interval of {check.interval} is too short",
            field="config.health.interval",
            next_step=f"Use at least {LEAST_INTERVAL:g} s, or leave it out.",
        )
    if check.timeout is not None and check.timeout <= 0:
        raise ValidationError(
            "nothing answers within 0 s",
            field="config.health.timeout",
            next_step='Use a time such as "5s", or leave it out.',
        )
    _check_probe(check)


def _check_probe(check: HealthCheck) -> None:
    if (check.probe is ProbeKind.EXEC) != bool(check.command):
        raise ValidationError(
            "an exec probe needs a command"
            if check.probe is ProbeKind.EXEC
            else f"a {check.probe} probe runs no command",
            field="config.health.command",
            next_step='Give both: probe = "exec" and command = ["test", "-f", "ready"].',
        )
    if check.path is not None and check.probe is not ProbeKind.HTTP:
        raise ValidationError(
            f"a {check.probe} probe has no path",
            field="config.health.path",
            next_step='Use probe = "http" with it, or leave it out.',
        )


def _check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > MAX_LABELS:
        raise _refuse(
            f"{len(labels)} labels, more than {MAX_LABELS}",
            "labels",
            "Put into metadata what no filter needs.",
        )
    for key, value in labels.items():
        if _LABEL_KEY.fullmatch(key) is None:
            raise _refuse(
                f"the label {key!r} is not a valid key",
                "labels",
                "Use 1 to 63 letters, digits, dots, underscores, hyphens or slashes.",
            )
        if len(value) > MAX_LABEL_VALUE or _CONTROL.search(value):
            raise _refuse(
                f"the value of label {key} is too long or contains control characters",
                f"labels.{key}",
                f"Use at most {MAX_LABEL_VALUE} printable characters.",
            )


def _check_metadata(metadata: Mapping[str, str]) -> None:
    for key in metadata:
        if not 1 <= len(key) <= MAX_LABEL_VALUE or _CONTROL.search(key):
            raise _refuse(
                f"the metadata key {key[:40]!r} is empty, too long or has control characters",
                "metadata",
                f"Use 1 to {MAX_LABEL_VALUE} printable characters.",
            )
    _check_total(metadata, "config.metadata")


def _check_ports(ports: tuple[PortSpec, ...]) -> None:
    seen: dict[tuple[str, int, str], int] = {}
    for n, port in enumerate(ports):
        for what, number in _numbers(port):
            key = (what, number, port.protocol.value)
            if key in seen:
                raise _refuse(
                    f"{what} {number}/{port.protocol.value} is published twice",
                    f"network.ports[{n}].{what}",
                    f"Remove entry {n} or {seen[key]}, or choose another port.",
                )
            seen[key] = n


def _numbers(port: PortSpec) -> Iterator[tuple[str, int]]:
    yield "container_port", port.container_port
    if port.host_port:
        yield "host_port", port.host_port


def _check_extensions(extensions: tuple[str, ...]) -> None:
    if len(extensions) > MAX_EXTENSIONS:
        raise _refuse(
            f"{len(extensions)} extensions, more than {MAX_EXTENSIONS}",
            "extensions",
            "Use an extension pack.",
        )
    for n, extension in enumerate(extensions):
        file = extension.endswith(".vsix") and not _CONTROL.search(extension)
        if not file and _EXTENSION.fullmatch(extension) is None:
            raise _refuse(
                f"{extension!r} is not an extension",
                f"extensions[{n}]",
                "Write publisher.name, publisher.name@version or a path that ends in .vsix.",
            )


def _check_paths(config: InstanceConfig) -> None:
    for field in ("image", "region", "workspace", "workspace_path", "swarm"):
        text = getattr(config, field)
        if text is None:
            continue
        if not text or len(text) > MAX_PATH or _CONTROL.search(text):
            raise _refuse(
                f"{field} is empty, too long or contains control characters: {text[:40]!r}",
                field,
                f"Give 1 to {MAX_PATH} printable characters, or leave {field} out.",
            )


def _check_auth(auth: Auth) -> None:
    given = None if auth.credentials is None else auth.credentials.reveal()
    field = "auth.credentials"
    if given == MASK:
        raise _refuse("the password is the mask that replies show", field, "Give the password.")
    match auth.type:
        case AuthType.PASSWORD:
            if given is not None and (not given or _CONTROL.search(given)):
                raise _refuse(
                    "the password is empty or contains control characters",
                    field,
                    "Leave it out and one is made.",
                )
        case AuthType.HASHED_PASSWORD:
            if given is None or _ARGON2.fullmatch(given) is None:
                raise _refuse(
                    "hashed_password needs an argon2 hash as credentials",
                    field,
                    "Make one with: npx argon2-cli -e, or use type password.",
                )
        case AuthType.NONE:
            if given is not None:
                raise _refuse(
                    "credentials have no effect with auth type none",
                    field,
                    "Leave the credentials out, or use type password.",
                )


def _check_public(config: InstanceConfig) -> None:
    if config.network.enable_public_access and config.auth.type is AuthType.NONE:
        raise _refuse(
            "public access without authentication would give everyone a terminal",
            _PUBLIC,
            "Use auth type password, or leave public access off.",
        )


def _check_encrypted(config: InstanceConfig, *, insecure: bool, tls: bool) -> None:
    if config.network.enable_public_access and not (tls or insecure):
        raise _refuse(
            "public access without TLS would send passwords in the clear",
            _PUBLIC,
            "Use a provider with TLS, or set daemon.insecure = true if the network is trusted.",
        )
