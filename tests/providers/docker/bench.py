"""What the tests of the engine share."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from swarmd.providers.docker.engine import Engine


@dataclass(frozen=True)
class Bench:
    """The engine under test, and what makes things for it."""

    engine: Engine
    mark: str
    image: str

    def container(self, *command: str, **more: object) -> str:
        """A new container that is told this; its name."""
        name = f"{self.mark}-{secrets.token_hex(4)}"
        body = {
            "Image": self.image,
            "Cmd": list(command) or ["sleep", "100"],
            "Labels": {"dev.swarmd.test": self.mark},
            "HostConfig": {"Init": True},
            **more,
        }
        self.engine.create(name, body, 30)
        return name

    def running(self, *command: str) -> str:
        """A new running one."""
        name = self.container(*command)
        self.engine.start(name, 30)
        return name

    @property
    def label(self) -> str:
        return f"dev.swarmd.test={self.mark}"
