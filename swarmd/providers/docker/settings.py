"""What a container's server is started with: its password, certificate, and what is noted of it."""

from __future__ import annotations

from pathlib import Path

from swarmd.messages.instance import InstanceConfig
from swarmd.providers.docker.container import Plan
from swarmd.providers.docker.files import File, Made, Owner, bare, settings_files
from swarmd.providers.docker.options import DockerOptions
from swarmd.providers.shared.faults import os_faults


def settings_of(plan: Plan, made: Made) -> tuple[File, ...]:
    """The files that are put into a container before its start."""
    owner = Owner(plan.image.uid, plan.image.gid)
    return settings_files(owner, plan.config.auth, made, _tls_files(plan.options))


def made_now(config: InstanceConfig, before: Made | None) -> Made:
    """What ``instance.json`` says when a server is about to be started.

    Args:
        config: It is started with this.
        before: What was noted last. Before the first start nothing is noted as applied: until
            then nobody knows its ports.
    """
    now = bare(config)
    first = before is not None and before.applied is None
    return Made(config=now, applied=None if first else now, installed=config.extensions)


def _tls_files(options: DockerOptions) -> list[tuple[str, bytes]]:
    if not options.tls:
        return []
    with os_faults("reading the instances' certificate", field="tls_cert"):
        return [
            ("tls.crt", Path(options.tls_cert).read_bytes()),
            ("tls.key", Path(options.tls_key).read_bytes()),
        ]
