"""What the tests of sessions share: an engine, and containers in it that are removed again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker

from swarmd.messages.requests import ExecInstance
from swarmd.ports import Session
from swarmd.providers.docker.engine import Engine
from swarmd.providers.docker.execution import open_exec
from tests.docker_engine import engine_client, remove_all

LABEL = "dev.swarmd.test.sessions"
WITHIN = 20.0
HOME = "/home/coder"
SECONDS = 30
"""What must happen has happened by then."""


class Box:
    """A container.

    Args:
        engine: Where it is.
        ref: Its id.
    """

    def __init__(self, engine: Engine, ref: str, user: str) -> None:
        self.engine = engine
        self.ref = ref
        self.user = user

    def open(self, *command: str, folder: str = HOME, **options: Any) -> Session:
        """Start a command."""
        asked = ExecInstance(id="x", command=command, **options)
        return open_exec(
            self.engine,
            self.ref,
            asked,
            folder=folder,
            env=asked.env,
            user=self.user,
            within=WITHIN,
        )

    def do(self, *command: str, **options: Any) -> tuple[int | None, bytes, bytes]:
        """Run a command to its end: exit code, output, errors."""
        session = self.open(*command, **options)
        told = {"stdout": b"", "stderr": b""}
        try:
            while (piece := session.read()) is not None:
                told[piece[0]] += piece[1]
            return session.result(), told["stdout"], told["stderr"]
        finally:
            session.close()

    def sleepers(self) -> list[str]:
        """What in it runs ``sleep 300`` or a shell around it."""
        with engine_client() as client:
            rows = client.api.top(self.ref)["Processes"] or ()
        return [row[-1] for row in rows if "sleep 300" in row[-1]]


@contextmanager
def box(
    client: docker.DockerClient, engine: Engine, image: str, *command: str, **body: Any
) -> Iterator[Box]:
    """A running container of an image, removed at the end."""
    mark = secrets.token_hex(4)
    whole = {
        "Image": image,
        "Entrypoint": [],
        "Cmd": list(command) or ["sh", "-c", "while :; do sleep 1000; done"],
        "Labels": {LABEL: mark},
        "HostConfig": {"Init": True, "NetworkMode": "none", **body.pop("HostConfig", {})},
        **body,
    }
    try:
        ref = engine.create(f"swarmd-test-sessions-{mark}", whole, WITHIN)
        engine.start(ref, WITHIN)
        yield Box(engine, ref, str(body.get("User", "coder")))
    finally:
        remove_all(client, f"{LABEL}={mark}")


def everything(session: Session) -> bytes:
    """What comes out until the end, errors too."""
    return b"".join(data for _, data in iter(session.read, None))
