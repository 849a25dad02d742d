"""The ``docker`` provider: VS Code in containers of any engine that speaks Docker's API.

Importing this costs next to nothing; the provider and the SDK are imported when one is made.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msgspec import Struct

    from swarmd.messages.config import Config
    from swarmd.messages.provider import ProviderRecord
    from swarmd.messages.state import Node
    from swarmd.ports import Clock, Provider


class DockerFactory:
    """Makes ``docker`` providers (``swarmd.ports.ProviderFactory``)."""

    type = "docker"

    def check_options(self, options: Mapping[str, object]) -> None:
        """Raise ``ConfigError`` if these options are wrong. No side effects."""
        from swarmd.providers.docker.options import read_options

        read_options(options)

    def options_type(self) -> builtins.type[Struct]:
        """The Struct of these options."""
        from swarmd.providers.docker.options import DockerOptions

        return DockerOptions

    def make(self, record: ProviderRecord, config: Config, node: Node, clock: Clock) -> Provider:
        """The provider, not yet initialized."""
        from swarmd.providers.docker.provider import DockerProvider

        return DockerProvider(record, config, node, clock)


factory = DockerFactory()
