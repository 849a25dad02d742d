"""Every error that swarmd raises on purpose, and the type each carries on the wire.

::

    SwarmError                      internal_error
    ├── InitializationError         initialization_error
    │   └── StateError              initialization_error    the state directory cannot be used
    ├── ValidationError             validation_error        what was asked for is wrong
    │   └── ConfigError             validation_error        the configuration file is wrong
    ├── NotFoundError               (abstract)
    │   ├── InstanceNotFound        instance_not_found
    │   ├── ProviderNotFound        provider_not_found
    │   ├── OperationNotFound       operation_not_found
    │   └── AlertNotFound           alert_not_found
    ├── ProviderError               provider_error          the provider answered no
    │   └── ProviderUnreachable     provider_error          the provider did not answer
    ├── PermissionDenied            permission_error
    ├── ResourceLimitError          resource_limit_error
    ├── Conflict                    conflict
    ├── OperationCancelled          operation_cancelled
    ├── DeadlineExceeded            timeout
    ├── Unavailable                 unavailable             switched off, or not right now
    │   ├── CircuitOpen             unavailable             a failing provider is not asked now
    │   └── DaemonUnreachable       unavailable             raised by the client alone
    └── InternalError               internal_error          a fault of swarmd's own

The types are those of seed 000, section 3.3, with the additions of DESIGN section 6.
A message says what happened; ``next_step`` says what to do about it; ``field`` names the
input that is to blame, as a dotted path (``config.resources.memory``).
"""

from __future__ import annotations

from typing import Any, ClassVar


class SwarmError(Exception):
    """The root of the tree.

    Args:
        message: One sentence: what happened, with the names and values concerned.
        field: Dotted path of the input that is to blame, if one is.
        next_step: One sentence: what the reader can do about it.
        details: Facts for programs, JSON-compatible. ``details["cause"]`` keeps the text of
            the error underneath.
    """

    type: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        next_step: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.next_step = next_step
        self._details = dict(details or {})

    @property
    def details(self) -> dict[str, Any]:
        """The facts as they go over the wire: field and next step are among them."""
        named = {"field": self.field, "next_step": self.next_step}
        return self._details | {key: value for key, value in named.items() if value is not None}

    def __str__(self) -> str:
        return self.message


class InitializationError(SwarmError):
    """The daemon or one of its parts cannot start."""

    type = "initialization_error"


class StateError(InitializationError):
    """The state directory cannot be used: locked, of a newer version, not writable."""


class ValidationError(SwarmError):
    """What was asked for is wrong; asking again will not help."""

    type = "validation_error"


class ConfigError(ValidationError):
    """The configuration is wrong; ``field`` is the key's path, ``details["file"]`` its file."""


class NotFoundError(SwarmError):
    """What was named does not exist, or the caller may not know of it."""


class InstanceNotFound(NotFoundError):
    """No instance of this id, name or id prefix."""

    type = "instance_not_found"


class ProviderNotFound(NotFoundError):
    """No provider of this name."""

    type = "provider_not_found"


class OperationNotFound(NotFoundError):
    """No operation of this id."""

    type = "operation_not_found"


class AlertNotFound(NotFoundError):
    """No alert of this id."""

    type = "alert_not_found"


class ProviderError(SwarmError):
    """The provider refused or failed; ``details["cause"]`` has its own words."""

    type = "provider_error"


class ProviderUnreachable(ProviderError):
    """The provider did not answer; the same call may go through later."""


class PermissionDenied(SwarmError):
    """The caller may not do this."""

    type = "permission_error"


class ResourceLimitError(SwarmError):
    """There is no room: capacity, ports, descriptors, threads, disk."""

    type = "resource_limit_error"


class Conflict(SwarmError):
    """Another wish won; ``details["operation"]`` names the winner's operation, if it is one."""

    type = "conflict"


class OperationCancelled(SwarmError):
    """The operation was cancelled, by its caller or by a wish that takes precedence."""

    type = "operation_cancelled"


class DeadlineExceeded(SwarmError):
    """The time given ran out. What was begun may still finish: the operation tells."""

    type = "timeout"


class Unavailable(SwarmError):
    """Switched off by configuration, or not possible right now."""

    type = "unavailable"


class CircuitOpen(Unavailable):
    """A provider failed over and over and is not asked now: nothing was sent to it."""


class DaemonUnreachable(Unavailable):
    """No daemon answers on the socket (raised by the client alone)."""


class InternalError(SwarmError):
    """A fault of swarmd's own."""


def _wire_types() -> dict[str, type[SwarmError]]:
    """One class per wire type: the first, and so the most general, in the tree's order."""
    table: dict[str, type[SwarmError]] = {}
    pending: list[type[SwarmError]] = [InternalError, *SwarmError.__subclasses__()]
    while pending:
        cls = pending.pop(0)
        if cls is not NotFoundError:
            table.setdefault(cls.type, cls)
        pending.extend(cls.__subclasses__())
    return table


WIRE_TYPES = _wire_types()


def from_wire(type_name: str, message: str, details: dict[str, Any] | None = None) -> SwarmError:
    """Make the exception that a reply's error stands for.

    An unknown type (a newer daemon) becomes an ``InternalError`` that keeps the type's name
    in ``details["type"]``.
    """
    facts = dict(details or {})
    cls = WIRE_TYPES.get(type_name)
    if cls is None:
        cls, facts = InternalError, facts | {"type": type_name}
    return cls(
        message,
        field=facts.pop("field", None),
        next_step=facts.pop("next_step", None),
        details=facts,
    )
