"""The tour on Docker with the real code-server, through ``swarmctl``, as a person would take it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import visit
from tests.contract.cases import make_vsix
from tests.daemon import BIN, DaemonProcess
from tests.docker_engine import engine_client
from tests.docker_images import HOME, real
from tests.e2e.conftest import MakeDaemon
from tests.e2e.docker_kit import Box
from tests.e2e.looking import healthz, listens, port_of
from tests.support import wait_until

pytestmark = [
    pytest.mark.docker,
    pytest.mark.code_server,
    pytest.mark.browser,
    pytest.mark.timeout(600),  # who comes first makes the image
]

MIB = 1 << 20


@pytest.fixture
def real_box() -> Iterator[Box]:
    """The default engine, with the real code-server; an extension lies below its roots."""
    roots = Path(tempfile.mkdtemp(prefix="swarmd-t-"))  # pytest's folders are closed to others
    roots.chmod(0o755)
    make_vsix(roots / "some.vsix")
    with engine_client() as client:
        found = Box(real(client), options={"roots": [str(roots)], "memory": "1g"})
    yield found
    found.clear()
    shutil.rmtree(roots)


@pytest.fixture
def second_image(real_box: Box) -> Iterator[str]:
    """The same image under another name."""
    name = f"{real_box.name}:second"
    with real_box.client() as client:
        client.images.get(real_box.image).tag(name)
        yield name
        real_box.clear()  # the containers of it
        client.images.remove(name)


@pytest.fixture
def tour(make_daemon: MakeDaemon, real_box: Box) -> Iterator[DaemonProcess]:
    """A daemon with ``local`` and, chosen by default, the engine."""
    daemon = make_daemon(
        providers=[real_box.table()],
        settings={"daemon": {"default_provider": real_box.name, "observe_interval": "1s"}},
    )
    daemon.start()
    yield daemon
    daemon.close()


def said(daemon: DaemonProcess, *arguments: str, given: str | None = None) -> str:
    """What a command that succeeds prints."""
    done = daemon.ctl(*arguments, given=given)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def follow(daemon: DaemonProcess, name: str) -> subprocess.Popen[bytes]:
    """``logs -f``, going on."""
    log = (daemon.folder / "followed").open("wb")
    with log:
        return subprocess.Popen(
            [BIN / "swarmctl", "logs", name, "-f"], stdin=subprocess.DEVNULL, stdout=log,
            env=daemon.environment,
        )  # fmt: skip


def whole(daemon: DaemonProcess, url: str) -> None:
    """The file, the extension and the URL are there."""
    assert daemon.ctl_json("get", "web")["url"] == url
    assert healthz(url) == 200
    assert said(daemon, "exec", "web", "--", "cat", "from-terminal").strip() == "from the terminal"
    listed = said(daemon, "exec", "web", "--", "code-server", "--list-extensions")
    assert "some.extension" in listed.split()


def test_the_tour(tour: DaemonProcess, real_box: Box, second_image: str, tmp_path: Path) -> None:
    daemon = tour
    made = daemon.ctl_json("create", "web")
    assert made["provider"] == real_box.name, "chosen by default"
    assert said(daemon, "create", "here", "--provider", "local")
    shown = said(daemon, "open", "web", "--password").split()
    url, password = shown[0], shown[1]
    assert url == made["url"]

    (seen,) = visit(tmp_path, [{"url": url, "password": password, "file": "from-terminal"}])
    assert (seen["asked"], seen["loggedIn"]) == (True, True)
    vsix = f"{real_box.options['roots'][0]}/some.vsix"
    packed = subprocess.run(["base64", vsix], check=True, capture_output=True, text=True).stdout
    install = "base64 -d >/tmp/some.vsix && code-server --install-extension /tmp/some.vsix"
    said(daemon, "exec", "web", "-i", "--", "sh", "-c", install, given=packed)
    whole(daemon, url)

    commands(daemon)
    stop_and_start(daemon, real_box, made)
    whole(daemon, url)
    resized(daemon, real_box, made["id"])
    another_image(daemon, real_box, made["id"], second_image)
    whole(daemon, url)
    why_and_ops(daemon)

    said(daemon, "rm", "web", "--yes")
    assert [item["name"] for item in daemon.ctl_json("ls")["items"]] == ["here"]
    assert not listens(port_of(url))
    said(daemon, "undelete", "web")
    said(daemon, "start", "web")
    whole(daemon, url)
    said(daemon, "rm", "web", "here", "--force", "--yes")
    assert real_box.left() == []
    assert real_box.containers(made["id"]) == []
    assert not listens(port_of(url))
    assert daemon.instances() == daemon.instances(trash=True) == []


def commands(daemon: DaemonProcess) -> None:
    """Exec with input, an exit code and a timeout; logs that are followed."""
    assert said(daemon, "exec", "web", "-i", "--", "tr", "a-z", "A-Z", given="loud") == "LOUD"
    assert said(daemon, "exec", "web", "--", "pwd").strip() == f"{HOME}/project"
    assert daemon.ctl("exec", "web", "--", "sh", "-c", "exit 7").returncode == 7
    late = daemon.ctl("exec", "web", "--timeout", "1s", "--", "sleep", "4321")
    assert late.returncode not in (0, 7)
    # The command that looks has the pattern in its own words, but not as these bytes.
    look = "grep -l '432[1]' /proc/[0-9]*/cmdline || true"
    assert said(daemon, "exec", "web", "--", "sh", "-c", look).strip() == ""


def stop_and_start(daemon: DaemonProcess, box: Box, made: dict[str, Any]) -> None:
    """A stop while its log is followed, and a start."""
    following = follow(daemon, "web")
    try:
        followed = daemon.folder / "followed"
        wait_until(lambda: b"HTTP server listening" in followed.read_bytes(), timeout=30)
        said(daemon, "stop", "web")
        assert not box.container(made["id"])["State"]["Running"]
        assert not listens(port_of(made["url"]))
    finally:
        following.terminate()
        following.wait()
    said(daemon, "start", "web")


def resized(daemon: DaemonProcess, box: Box, identity: str) -> None:
    """More memory in the running container."""
    before = box.container(identity)
    changed = daemon.ctl("update", "web", "--memory", "768m")
    assert changed.returncode == 0, changed.stderr
    assert "restart" not in changed.stderr
    after = box.container(identity)
    assert after["Id"] == before["Id"]
    assert after["State"]["StartedAt"] == before["State"]["StartedAt"]
    assert after["HostConfig"]["Memory"] == 768 * MIB


def another_image(daemon: DaemonProcess, box: Box, identity: str, image: str) -> None:
    """It is said that it takes a restart; that makes the container anew, around the volume."""
    before = box.container(identity)
    changed = daemon.ctl("update", "web", "--image", image)
    assert changed.returncode == 0, changed.stderr
    assert "image" in changed.stdout + changed.stderr
    assert "restart" in changed.stdout + changed.stderr
    assert box.container(identity)["Id"] == before["Id"]
    assert daemon.ctl_json("get", "web")["restart_required"] == ["image"]
    said(daemon, "restart", "web")
    after = box.container(identity)
    assert after["Id"] != before["Id"]
    assert after["Config"]["Image"] == image
    assert after["HostConfig"]["Memory"] == 768 * MIB
    assert not daemon.ctl_json("get", "web")["restart_required"]


def why_and_ops(daemon: DaemonProcess) -> None:
    """Everything that was done is told."""
    told = said(daemon, "why", "web")
    for word in ("create", "stop", "start", "update", "restart"):
        assert word in told, told
    kinds = {item["kind"] for item in daemon.ctl_json("ops")["items"]}
    assert {"create", "stop", "start", "update", "restart"} <= kinds


def test_an_extension_of_the_configuration(tour: DaemonProcess, real_box: Box) -> None:
    vsix = f"{real_box.options['roots'][0]}/some.vsix"
    said(tour, "create", "web", "--no-start")
    said(tour, "update", "web", "--extension", vsix)
    said(tour, "start", "web")
    listed = said(tour, "exec", "web", "--", "code-server", "--list-extensions")
    assert "some.extension" in listed.split()
    said(tour, "rm", "web", "--force", "--yes")
    assert real_box.left() == []


def test_the_providers(tour: DaemonProcess, real_box: Box) -> None:
    with real_box.client() as client:
        version = client.version()["Version"]
    said(tour, "create", "web", "--no-start")
    said(tour, "create", "here", "--provider", "local", "--no-start")
    table = said(tour, "providers")
    assert "local" in table
    line = next(line for line in table.splitlines() if real_box.name in line)
    assert "Docker" in line
    known = {item["name"]: item for item in tour.ctl_json("providers")["items"]}
    assert known[real_box.name]["instances"] == known["local"]["instances"] == 1
    assert known[real_box.name]["health"]["version"] == version
    assert known[real_box.name]["capabilities"]["max_resources_per_instance"]["cpu"]["cores"] > 0
    listed = {item["name"]: item["provider"] for item in tour.ctl_json("ls")["items"]}
    assert listed == {"web": real_box.name, "here": "local"}
    only = tour.ctl_json("ls", "--provider", real_box.name)["items"]
    assert [item["name"] for item in only] == ["web"]

    wrong = tour.ctl("create", "other", "--provider", "nope")
    assert wrong.returncode in (2, 3)
    assert "nope" in wrong.stderr
    assert "local" in wrong.stderr, "the ones that there are"
    document = json.loads(tour.ctl("create", "x", "--provider", "nope", "-o", "json").stdout)
    assert document["success"] is False
    missing = tour.ctl("create", "other", "--image", "registry.invalid/nothing:1")
    assert missing.returncode == 1
    assert "registry.invalid/nothing:1" in missing.stderr
    said(tour, "rm", "--all", "--force", "--yes")
    assert real_box.left() == []
