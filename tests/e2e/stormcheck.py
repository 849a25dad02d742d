"""What must hold after the daemon came back from kill -9."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.daemon import DaemonProcess, Refused
from tests.e2e.docker_kit import ID, PROVIDER, Box
from tests.e2e.looking import healthz
from tests.support import code_server_directory, parents

if TYPE_CHECKING:
    from tests.e2e.storm import Known

SETTLING = 90.0
SETTLED = {"running": {"running"}, "stopped": {"stopped", "created"}}
"""Desired state → what it settles as; what is desired as deleted is listed no more."""

MARKER = b"SWARMD_INSTANCE="


def real_command() -> dict[str, object]:
    """The managed code-server as the provider's command."""
    from swarmd.setup import require_installed

    return {"command": require_installed(code_server_directory()).command}


def check(daemon: DaemonProcess, everything: list[Known], box: Box | None = None) -> list[str]:
    """Wait until the daemon has settled, then compare; one line for each thing wrong."""
    problems = [f"not settled after {SETTLING:g} s: {left}" for left in settle(daemon)]
    listed = daemon.instances()
    trash = {item["id"] for item in daemon.instances(trash=True)}
    problems += acknowledged_is_there(daemon, listed, trash, everything)
    problems += nothing_twice(listed)
    problems += processes_match(daemon, [item for item in listed if item["provider"] == "local"])
    if box is not None:
        ours = [item for item in listed if item["provider"] == box.name]
        problems += containers_match(box, ours, trash)
        problems += volumes_match(box, ours, trash)
    return problems


def settle(daemon: DaemonProcess) -> list[str]:
    """Wait until every operation has ended and wish and status agree; what still does not."""
    deadline = time.monotonic() + SETTLING
    while True:
        left = list(unsettled(daemon))
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def unsettled(daemon: DaemonProcess) -> Iterator[str]:
    """What is still on its way."""
    busy = daemon.call("operation.list", state=["pending", "running"], limit=1000)["items"]
    for operation in busy:
        yield f"{operation['kind']} of {operation['target_ref']} is {operation['state']}"
    for item in daemon.instances():
        if item["status"] not in SETTLED.get(item["desired"], set()):
            yield f"{item['name']} is {item['status']}, desired {item['desired']}"


def acknowledged_is_there(
    daemon: DaemonProcess,
    listed: list[dict[str, Any]],
    trash: set[str],
    everything: list[Known],
) -> Iterator[str]:
    """Every answer that a worker got still holds."""
    by_name = {item["name"]: item for item in listed}
    for known in everything:
        found = by_name.get(known.name)
        if known.wish == "absent" and found is not None:
            yield f"{known.name} was deleted and is there again"
        elif known.wish in {"running", "stopped"}:
            if found is None:
                yield f"{known.name} was acknowledged as {known.wish} and is missing"
            elif (found["id"], found["desired"]) != (known.id, known.wish):
                yield f"{known.name}: {found['id']} {found['desired']}, not {known.id} {known.wish}"
        for gone in known.trashed - trash:
            yield f"{known.name}: {gone} was put into the trash and is not there"
        for operation in known.started:
            with contextlib.suppress(Refused):
                daemon.call("operation.get", id=operation)
                continue
            yield f"{known.name}: operation {operation} was acknowledged and is missing"


def nothing_twice(listed: list[dict[str, Any]]) -> Iterator[str]:
    """Names and addresses are unique."""
    for what in ("name", "url", "id"):
        counted = Counter(item[what] for item in listed if item[what] is not None)
        yield from (f"{what} {value} is there {n} times" for value, n in counted.items() if n > 1)


def processes_match(daemon: DaemonProcess, listed: list[dict[str, Any]]) -> Iterator[str]:
    """One tree for each instance that runs, it answers, and no other tree."""
    trees = roots(daemon)
    running = {item["id"]: item for item in listed if item["status"] == "running"}
    for identity, pids in trees.items():
        if identity not in running:
            yield f"{identity} runs as {pids} without a record that says so"
        elif len(pids) > 1:
            yield f"{running[identity]['name']} runs {len(pids)} times: {pids}"
    for identity, item in running.items():
        if identity not in trees:
            yield f"{item['name']} is called running and has no process"
        elif healthz(item["url"]) != 200:
            yield f"{item['name']} is called running and does not answer at {item['url']}"


def containers_match(box: Box, listed: list[dict[str, Any]], trash: set[str]) -> Iterator[str]:
    """At most one container for each record and none for no record; what runs, answers."""
    with box.client() as client:
        label = f"{PROVIDER}={box.name}"
        found = client.api.containers(all=True, filters={"label": label})
    by_id: dict[str, list[dict[str, Any]]] = {}
    for each in found:
        by_id.setdefault(each["Labels"][ID], []).append(each)
    known = {item["id"]: item for item in listed}
    for identity, containers in by_id.items():
        names = [each["Names"] for each in containers]
        running = any(each["State"] == "running" for each in containers)
        if identity not in known.keys() | trash:
            yield f"{names} is there without a record"
        elif len(containers) > 1:
            yield f"{identity} has several containers: {names}"
        elif running and known.get(identity, {}).get("status") != "running":
            yield f"{names} runs without a record that says so"
    for identity, item in known.items():
        state = [each["State"] for each in by_id.get(identity, [])]
        if item["status"] == "running" and state != ["running"]:
            yield f"{item['name']} is called running and its container is {state}"
        elif item["status"] == "running" and healthz(item["url"]) != 200:
            yield f"{item['name']} is called running and does not answer at {item['url']}"


def volumes_match(box: Box, listed: list[dict[str, Any]], trash: set[str]) -> Iterator[str]:
    """One volume for each record, and none for no record."""
    with box.client() as client:
        label = f"{PROVIDER}={box.name}"
        volumes = client.api.volumes(filters={"label": label})["Volumes"] or ()
    found = {each["Labels"][ID]: each["Name"] for each in volumes}
    known = {item["id"] for item in listed}
    yield from (f"{found[i]} is there without a record" for i in found.keys() - known - trash)
    yield from (f"the volume of {identity} is missing" for identity in known - found.keys())


def roots(daemon: DaemonProcess) -> dict[str, list[int]]:
    """Instance id → the pids that head a tree of its processes."""
    owners = {process.pid: owner(process.pid) for process in daemon.instance_processes()}
    above = parents()
    found: dict[str, list[int]] = {}
    for pid, identity in owners.items():
        if identity and owners.get(above.get(pid, 0)) != identity:
            found.setdefault(identity, []).append(pid)
    return found


def owner(pid: int) -> str:
    """The instance that a process says it belongs to."""
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if entry.startswith(MARKER):
                return entry.removeprefix(MARKER).decode()
    return ""


def learn(daemon: DaemonProcess, everything: Iterable[Known]) -> None:
    """What was cut off is now known: the daemon's word holds from here on."""
    listed = {item["name"]: item for item in daemon.instances()}
    for known in everything:
        found = listed.get(known.name)
        known.wish = found["desired"] if found is not None else "absent"
        known.id = found["id"] if found is not None else None


def clean_up(daemon: DaemonProcess, box: Box | None = None) -> list[str]:
    """Delete everything; what is left nevertheless."""
    for item in [*daemon.instances(), *daemon.instances(trash=True)]:
        daemon.call("instance.delete", id=item["id"], force=True)
    problems = [f"left running: {process}" for process in daemon.instance_processes()]
    problems += [f"left: {path}" for path in daemon.data.iterdir() if not path.name.startswith(".")]
    problems += [f"left: {path}" for path in (daemon.state / "instances").glob("*.json")]
    problems += [f"left: {what}" for what in (box.left() if box else [])]
    status = daemon.stop()
    return problems + ([f"the daemon ended with status {status}"] if status else [])
