"""The ``local`` provider: VS Code as processes of this host, the embedded default.

Importing this costs next to nothing; the provider itself is imported when one is made.
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


class LocalFactory:
    """Makes ``local`` providers (``swarmd.ports.ProviderFactory``)."""

    type = "local"

    def check_options(self, options: Mapping[str, object]) -> None:
        """Raise ``ConfigError`` if these options are wrong. No side effects."""
        from swarmd.providers.local.options import read_options

        read_options(options)

    def options_type(self) -> builtins.type[Struct]:
        """The Struct of these options."""
        from swarmd.providers.local.options import LocalOptions

        return LocalOptions

    def make(self, record: ProviderRecord, config: Config, node: Node, clock: Clock) -> Provider:
        """The provider, not yet initialized."""
        from swarmd.providers.local.provider import LocalProvider

        return LocalProvider(record, config, node, clock)


factory = LocalFactory()
