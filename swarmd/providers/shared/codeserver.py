"""What every code-server is told, wherever it runs (FACTS of code-server 4.139)."""

from __future__ import annotations

import json
import re

from swarmd.errors import ProviderError
from swarmd.messages.enums import AuthType
from swarmd.messages.instance import Auth, Instance

CONTAINER_PORT = 8080
"""The port that VS Code has inside: ``network.ports`` names it to choose its host port."""

RESERVED = re.compile(r"VSCODE_.*|(HASHED_)?PASSWORD|SWARMD_.*|CODE_SERVER_.*")
"""Variables that no instance is given: they change what the server does, or hold secrets."""


def identity_arguments(instance: Instance) -> tuple[str, ...]:
    """The arguments that tell one instance's server from another's, and keep it quiet."""
    return (
        "--cookie-suffix",
        instance.id,
        "--app-name",
        instance.name,
        "--disable-telemetry",
        "--disable-update-check",
    )


def render_config(auth: Auth) -> str:
    """The configuration as YAML; text is quoted as JSON does it, which YAML reads alike.

    Raises:
        ProviderError: There is no password.
    """
    if auth.type is AuthType.NONE:
        return "auth: none\ncert: false\n"
    if auth.credentials is None:
        raise ProviderError(
            "the instance has no password",
            field="config.auth.credentials",
            next_step="Give one with an update of auth.credentials.",
        )
    key = "hashed-password" if auth.type is AuthType.HASHED_PASSWORD else "password"
    return f"auth: password\n{key}: {json.dumps(auth.credentials.reveal())}\ncert: false\n"
