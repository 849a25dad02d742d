"""What cannot work on this host, told before anything is made."""

from __future__ import annotations

import os

from swarmd.errors import ResourceLimitError, ValidationError
from swarmd.messages.enums import Transport
from swarmd.messages.instance import Instance, InstanceConfig, PortSpec
from swarmd.providers.local import server
from swarmd.providers.local.context import Context
from swarmd.providers.local.data import workspace
from swarmd.providers.shared import exposure
from swarmd.providers.shared.codeserver import CONTAINER_PORT
from swarmd.providers.shared.wishes import check_extensions

_MIN_PORT_UNPRIVILEGED = 1024


def check(context: Context, instance: Instance) -> None:
    """Refuse what cannot work here. No side effects.

    Raises:
        ValidationError: A field that has no effect here, a path, a port, an account.
        PermissionDenied: It would share a user with another owner's instances.
        ResourceLimitError: The provider is full.
        ProviderError: There is no code-server.
    """
    config = instance.config
    _check_fields(context, config)
    check_exposure(context, config)
    wanted = wanted_port(config)
    if wanted:
        context.ports.check_wanted(instance.id, wanted)
    check_room(context, instance)
    account = context.account(instance)
    workspace.check(config, context.options.roots, account)
    check_extensions(config)
    server.find_server(context.options, context.server_dir)


def check_room(context: Context, instance: Instance) -> None:
    """Raise ``ResourceLimitError`` if a new instance is one too many."""
    most = context.options.max_instances
    known = context.index.all()
    if most and instance.id not in known and len(known) >= most:
        raise ResourceLimitError(
            f"provider {context.name} has {len(known)} instances, the trash included, and takes "
            f"{most}",
            field="max_instances",
            next_step="Delete instances with force, or raise max_instances.",
        )


def wanted_port(config: InstanceConfig) -> int:
    """The host port that was asked for; 0 for any.

    Raises:
        ValidationError: ``network.ports`` asks for what has no effect here.
    """
    wanted = 0
    for number, port in enumerate(config.network.ports):
        _check_port(number, port)
        wanted = port.host_port or wanted
    return wanted


def _check_port(number: int, port: PortSpec) -> None:
    field = f"config.network.ports[{number}]"
    if port.container_port != CONTAINER_PORT or port.protocol is not Transport.TCP:
        raise ValidationError(
            f"port {port.container_port}/{port.protocol} cannot be published: a process of a "
            "local instance opens its ports on this host itself",
            field=f"{field}.container_port",
            next_step=f"Name only container_port {CONTAINER_PORT}, the server's own.",
        )
    privileged = 0 < port.host_port < _MIN_PORT_UNPRIVILEGED
    if privileged and os.geteuid() != 0:
        raise ValidationError(
            f"port {port.host_port} takes root",
            field=f"{field}.host_port",
            next_step=f"Choose a port of at least {_MIN_PORT_UNPRIVILEGED}.",
        )


def _check_fields(context: Context, config: InstanceConfig) -> None:
    enforced = context.groups.enforced
    for name in ("cpu", "memory", "pids", "storage"):
        if getattr(config.resources, name) is not None and name not in enforced:
            raise _no_effect(f"resources.{name}", f"{name} cannot be limited on this host")
    if config.image is not None:
        raise _no_effect("image", "a local instance has no container")


def _no_effect(field: str, reason: str) -> ValidationError:
    return ValidationError(
        f"{field} has no effect at a local provider: {reason}",
        field=f"config.{field}",
        next_step=f"Leave {field} out, or use another provider.",
    )


def check_exposure(context: Context, config: InstanceConfig) -> None:
    """Refuse what would give other hosts a terminal, or show them its password.

    Asked when an instance is made and at each start: options change in between.

    Raises:
        ValidationError: It would listen beyond loopback without TLS, or without a password.
    """
    encrypted = context.options.tls or context.insecure
    exposure.check(config, context.host(config), encrypted=encrypted)
