"""What other hosts may reach: never a terminal without a login, never a password in the clear."""

from __future__ import annotations

import ipaddress

from swarmd.errors import ValidationError
from swarmd.messages.enums import AuthType
from swarmd.messages.instance import InstanceConfig


def check(config: InstanceConfig, address: str, *, encrypted: bool) -> None:
    """Refuse an instance that other hosts could reach and should not (DESIGN 7).

    Args:
        config: What is asked for.
        address: Where it would listen, an IP address.
        encrypted: Whether it speaks TLS, or may do without.

    Raises:
        ValidationError: It would listen beyond loopback without TLS, or without a password.
    """
    public = config.network.enable_public_access
    if not public and ipaddress.ip_address(address).is_loopback:
        return
    what = "public access" if public else f"publish_address {address}"
    field = "config.network.enable_public_access" if public else "publish_address"
    if not encrypted:
        raise ValidationError(
            f"{what} without TLS would send passwords in the clear",
            field=field,
            next_step="Set tls_cert and tls_key in the provider's options, or daemon.insecure.",
        )
    if config.auth.type is AuthType.NONE:
        raise ValidationError(
            f"{what} without authentication would give everyone a terminal",
            field="config.auth.type",
            next_step="Use auth type password, or an address of this host alone.",
        )
