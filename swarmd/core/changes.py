"""Changes of an instance's configuration: merge patches, and what they touch (RFC 7396)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from swarmd.core.explain import explain, explain_path
from swarmd.errors import ValidationError
from swarmd.messages import codec
from swarmd.messages.instance import InstanceConfig
from swarmd.messages.secret import MASK

DAEMON_FIELDS = (
    "name",
    "provider",
    "region",
    "provider_labels",
    "labels",
    "metadata",
    "protect",
    "health",
    "idle_timeout",
    "max_age",
)
"""What the daemon itself sees to: it works at every provider and needs no restart."""

_FIXED = {
    "name": "Export the instance and import it under the new name.",
    "provider": "Export the instance and import it with the other provider.",
    "region": "Export the instance and import it with the other region.",
    "provider_labels": "Export the instance and import it with other provider labels.",
}


def merge_patch(config: InstanceConfig, changes: dict[str, Any]) -> InstanceConfig:
    """The configuration after a JSON merge patch; null resets a field to its default.

    A masked secret in the patch (a reply that was sent back) leaves the secret as it is.

    Raises:
        ValidationError: An unknown field, a wrong type or value, or a field that an update
            cannot change; ``field`` is the path below ``changes``.
    """
    current = codec.to_plain(config, reveal=True)
    for field, way in _FIXED.items():
        if field in changes and changes[field] != current.get(field):
            raise ValidationError(
                f"{field} of an instance cannot be changed by an update",
                field=f"changes.{field}",
                next_step=way,
            )
    for path in _reset(changes):
        if (wrong := explain_path(InstanceConfig, path, prefix="changes")) is not None:
            raise wrong.error()
    try:
        return codec.convert(_merged(current, _without_mask(changes)), InstanceConfig)
    except msgspec.ValidationError as error:
        raise explain(error, InstanceConfig, prefix="changes").error() from error


def _without_mask(changes: dict[str, Any]) -> dict[str, Any]:
    auth = changes.get("auth")
    if not isinstance(auth, dict) or auth.get("credentials") != MASK:
        return changes
    return changes | {"auth": {key: auth[key] for key in auth if key != "credentials"}}


def _reset(patch: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths that are null. Merging takes them away, so that nobody would miss their names."""
    for key, value in patch.items():
        if value is None:
            yield (*above, key)
        elif isinstance(value, dict):
            yield from _reset(value, (*above, key))


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def changed_fields(a: InstanceConfig, b: InstanceConfig) -> tuple[str, ...]:
    """The dotted paths of the fields that differ, in the order of the Struct.

    Dicts and lists count as one field: ``env``, not ``env.PATH``.
    """
    return tuple(_differing(a, b, ""))


def set_fields(config: InstanceConfig) -> tuple[str, ...]:
    """The dotted paths of the fields that are not at their default."""
    return changed_fields(InstanceConfig(name=""), config)


def _differing(a: msgspec.Struct, b: msgspec.Struct, prefix: str) -> Iterator[str]:
    for field in a.__struct_fields__:
        one, other = getattr(a, field), getattr(b, field)
        if isinstance(one, msgspec.Struct) and isinstance(other, msgspec.Struct):
            yield from _differing(one, other, f"{prefix}{field}.")
        elif one != other:
            yield prefix + field


def covered(path: str, listed: Collection[str]) -> bool:
    """Whether a field or a group that holds it is listed: ``resources`` covers all of it."""
    parts = path.split(".")
    return any(".".join(parts[:n]) in listed for n in range(1, len(parts) + 1))
