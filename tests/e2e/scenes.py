"""Illnesses, one scene each: what is done to an instance, and what has to come of it.

The same scenes are tests on light stand-ins (``test_illnesses``) and are played on the real
code-server for people to read (``illnesses``).
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.daemon import DaemonProcess, Refused
from tests.docker_engine import remove_container
from tests.e2e.docker_kit import Box
from tests.e2e.health_kit import (
    ask,
    automatic,
    await_health,
    await_turns,
    await_well,
    get,
    hung,
    is_held,
    make,
    told,
    turns,
    whole,
)
from tests.e2e.looking import port_of
from tests.support import Process, fill_disk, mentions, read_process, wait_until

SEEN = 90.0
"""Seconds for what takes a few on a machine of one's own."""


@dataclass
class Stage:
    """Where a scene is played.

    Args:
        daemon: It watches health fast, and holds after two attempts.
        memory: What an instance needs to run, and fills quickly.
        folder: Below it are workspaces on this host that instances may have.
        box: The engine; None: the instances are this host's processes.
        tell: Called by a scene where there is something to look at.
    """

    daemon: DaemonProcess
    memory: str
    folder: Path
    box: Box | None = None
    tell: Callable[[str, str], None] = lambda _name, _what: None

    @property
    def provider(self) -> str:
        """Its name."""
        return self.box.name if self.box is not None else "local"

    def make(self, name: str, **config: Any) -> dict[str, Any]:
        """An instance that is well, with a file of its own."""
        return make(self.daemon, name, provider=self.provider, **config)

    def processes(self, made: dict[str, Any]) -> list[Process]:
        """All that runs in it."""
        if self.box is None:
            folder = self.daemon.data / made["id"]
            return [p for p in self.daemon.instance_processes() if mentions(p.pid, folder)]
        with self.box.client() as client:
            shown = client.api.top(self.box.container(made["id"])["Id"])
        column = shown["Titles"].index("PID")
        found = (read_process(int(row[column])) for row in shown["Processes"])
        return [process for process in found if process is not None]

    def kill(self, made: dict[str, Any]) -> None:
        """End its server, as ``kill -9`` does."""
        for process in self.processes(made):
            process.kill()

    def await_held(self, name: str) -> None:
        """Wait until it waits for a human."""
        wait_until(
            lambda: is_held(get(self.daemon, name)),
            timeout=SEEN,
            describe=lambda: (get(self.daemon, name), told(self.daemon, name)),
        )


# --- scenes --------------------------------------------------------------------------------------


def killed(stage: Stage) -> None:
    """kill -9: it is started again, on its URL, with its files."""
    made = stage.make("killed")
    stage.kill(made)
    wait_until(lambda: automatic(stage.daemon, "killed"), timeout=SEEN)
    await_well(stage.daemon, "killed")
    whole(stage.daemon, made)
    assert automatic(stage.daemon, "killed") == ["reconcile start"]
    stage.tell("killed", "it runs again")


def stopped(stage: Stage) -> None:
    """SIGSTOP: it runs and does not answer, and is restarted by force."""
    made = stage.make("hung")
    heard = len(turns(stage.daemon, "hung"))
    with contextlib.ExitStack() as hanging:
        for process in stage.processes(made):
            hanging.enter_context(hung(process))
        await_turns(stage.daemon, "hung", "unhealthy", "healthy", after=heard)
    await_well(stage.daemon, "hung")
    whole(stage.daemon, made)
    assert automatic(stage.daemon, "hung")[0] == "recovery restart"
    stage.tell("hung", "it was restarted by force")


def out_of_memory(stage: Stage) -> None:
    """Its memory limit is reached: once it is started again, then held, and the limit is named."""
    daemon = stage.daemon
    made = stage.make("hungry", resources={"memory": stage.memory})
    with _eating(stage):
        wait_until(lambda: automatic(daemon, "hungry"), timeout=SEEN)
    await_well(daemon, "hungry")
    with _eating(stage):
        stage.await_held("hungry")
    error = get(daemon, "hungry")["last_error"]
    assert f"its limit of {stage.memory}" in error["message"]
    assert f"swarmctl update {made['owner']}/hungry --memory" in error["details"]["next_step"]
    assert automatic(daemon, "hungry") == ["reconcile start"]
    assert ask(daemon, "hungry")["illness"] == "out_of_memory"
    stage.tell("hungry", "held the second time")
    daemon.call("instance.update", id="hungry", changes={"resources": {"memory": "1g"}})
    await_well(daemon, "hungry")
    whole(daemon, made)
    stage.tell("hungry", "given 1g")


_EAT = """
server=$(ls /proc | grep -x '[0-9]*' | sort -n | sed -n 2p)
echo 1000 >/proc/$server/oom_score_adj
exec tail /dev/zero
"""
"""The first process after the container's init is the server; its end is the container's."""


@contextlib.contextmanager
def _eating(stage: Stage) -> Iterator[None]:
    """Fill the memory that it may have, so that the kernel ends the server.

    On this host by a file in memory, which belongs to no process: the server is the largest
    there is. It is removed afterwards. In a container such files have little room; there
    the server is put first in the kernel's order.
    """
    name = f"/dev/shm/swarmd-test-{secrets.token_hex(4)}"  # memory, on purpose
    fill = ["sh", "-c", _EAT if stage.box is not None else f"cat /dev/zero >{name}"]
    with contextlib.suppress(Refused, ConnectionError):
        stage.daemon.call_stream("instance.exec", id="hungry", command=fill)
    try:
        yield
    finally:
        Path(name).unlink(missing_ok=True)


def disk_full(stage: Stage) -> None:
    """Its workspace's disk is full: degraded, shown, and left alone; room ends it."""
    daemon = stage.daemon
    with _small_disk(stage.folder / "small") as disk:
        made = stage.make("full", workspace=str(disk))
        before = {process.pid for process in stage.processes(made)}
        ballast = fill_disk(disk)
        await_health(daemon, "full", "degraded", SEEN)
        found = ask(daemon, "full")
        assert (found["status"], found["illness"]) == ("degraded", "starved")
        assert "of its disk" in found["details"]
        assert "make room" in found["details"]
        stage.tell("full", "its disk is full")
        ballast.unlink()
        await_health(daemon, "full", "healthy", SEEN)
        assert automatic(daemon, "full") == []
        assert {process.pid for process in stage.processes(made)} >= before
        stage.tell("full", "there is room again")
        daemon.call("instance.delete", id="full", force=True)


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=777", "swarmd-test", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def port_stolen(stage: Stage) -> None:
    """Somebody listens where it listened: it is tried again, then held, and the port is named."""
    daemon = stage.daemon
    made = stage.make("robbed")
    daemon.kill()  # or it would be back before the thief is there
    stage.kill(made)
    with _thief(port_of(made["url"])):
        daemon.start()
        stage.await_held("robbed")
        error = get(daemon, "robbed")["last_error"]
        assert str(port_of(made["url"])) in error["message"]
        # On a busy machine a probe may find it dead before its provider tells of its end.
        tried = set(automatic(daemon, "robbed"))
        assert "reconcile start" in tried, tried
        assert tried <= {"reconcile start", "recovery restart"}, tried
        assert len(automatic(daemon, "robbed")) == 2
        stage.tell("robbed", "its port is taken")
    daemon.call("instance.recover", id="robbed")
    await_well(daemon, "robbed")
    whole(daemon, made)
    stage.tell("robbed", "the port is free, recovered by hand")


@contextlib.contextmanager
def _thief(port: int) -> Iterator[None]:
    """Somebody else who listens there."""
    thief = socket.socket()
    thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def takes() -> bool:
        with contextlib.suppress(OSError):
            thief.bind(("127.0.0.1", port))
            return True
        return False

    with thief:
        wait_until(takes, timeout=SEEN)
        thief.listen()
        yield


def workspace_gone(stage: Stage) -> None:
    """Its folder or volume is gone: held; nothing empty is ever put in its place."""
    daemon = stage.daemon
    made = stage.make("lost")
    if stage.box is not None:
        _volume_gone(stage, stage.box, made)
        return
    folder = daemon.data / made["id"]
    away = stage.folder / f"away-{made['id']}"
    folder.rename(away)
    stage.kill(made)
    wait_until(lambda: ask(daemon, "lost")["illness"] == "lost", timeout=SEEN)
    stage.await_held("lost")
    assert not folder.exists()
    stage.tell("lost", "its folder is gone")
    away.rename(folder)
    daemon.call("instance.start", id="lost")
    await_well(daemon, "lost")
    whole(daemon, made)
    stage.tell("lost", "the folder is back, started by hand")


def _volume_gone(stage: Stage, box: Box, made: dict[str, Any]) -> None:
    daemon = stage.daemon
    daemon.kill()  # or it would have made a container around the volume, before that is gone
    with box.client() as client:
        remove_container(client, box.container(made["id"])["Id"])
        client.api.remove_volume(f"swarmd-{made['id']}")
    daemon.start()
    wait_until(
        lambda: get(daemon, "lost")["status"] == "error",
        timeout=SEEN,
        describe=lambda: told(daemon, "lost"),
    )
    assert ask(daemon, "lost")["illness"] == "lost"
    assert not box.containers(made["id"])
    stage.tell("lost", "its volume is gone")
    daemon.call("instance.delete", id="lost", force=True)


def container_gone(stage: Stage) -> None:
    """Its container was removed behind our back: another one around the same volume."""
    assert stage.box is not None
    made = stage.make("bare")
    with stage.box.client() as client:
        remove_container(client, stage.box.container(made["id"])["Id"])
    wait_until(lambda: automatic(stage.daemon, "bare"), timeout=SEEN)
    await_well(stage.daemon, "bare")
    whole(stage.daemon, made)
    stage.tell("bare", "another container, the same volume")
