"""The tests' own parts do what the other tests rely on."""

from __future__ import annotations

import functools
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.docker_engine import answers, leftovers, remove_all, run_inside
from tests.docker_images import HOME, tiny
from tests.docker_own import OwnEngine, copy_image
from tests.docker_ssh import LoopbackSsh
from tests.support import wait_until

pytestmark = pytest.mark.docker
SERVE = ["code-server", "--bind-addr", "0.0.0.0:8080"]


@pytest.fixture
def label(docker_client: docker.DockerClient, tmp_path: Path) -> Iterator[str]:
    """On everything of one test."""
    mark = f"dev.swarmd.test={tmp_path}"
    yield mark
    remove_all(docker_client, mark)
    assert leftovers(docker_client, mark) == []


def healthz(port: str) -> int:
    def ask() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                return int(answer.status)
        except OSError:
            return 0

    return wait_until(ask)


def test_the_tiny_image_keeps_the_contract_and_is_small(
    docker_client: docker.DockerClient, tiny_image: str, label: str
) -> None:
    assert tiny(docker_client) == tiny_image, "found, not built again"
    image = docker_client.images.get(tiny_image).attrs
    assert image["Size"] < 60_000_000
    assert image["Config"]["User"] == "coder"
    key, _, value = label.partition("=")
    container = docker_client.containers.run(
        tiny_image, SERVE, detach=True, ports={"8080/tcp": ("127.0.0.1", 0)}, labels={key: value}
    )
    container.reload()
    published = container.ports["8080/tcp"]
    assert published
    assert healthz(published[0]["HostPort"]) == 200
    assert leftovers(docker_client, label)
    look = "id -u; pwd; stat -c '%u %a' . /tmp; touch x"
    inside = functools.partial(run_inside, docker_client, str(container.id))
    assert inside("sh", "-c", look) == (0, f"1000\n{HOME}\n1000 755\n0 1777\n")
    assert inside("code-server", "--install-extension", "a.b", "--extensions-dir", "e")[0] == 0
    # Under load its exit code came once without its output.
    wait_until(lambda: inside("ls", "e") == (0, "a.b-1.0.0\n"), describe=lambda: inside("ls", "e"))


@pytest.mark.root
def test_an_engine_of_our_own_is_killed_hangs_and_comes_back(own_engine: OwnEngine) -> None:
    with own_engine.client() as client:
        name = tiny(client)
        client.containers.run(name, ["sleep", "100"], detach=True, init=True, name="sleeper")
    own_engine.kill()
    assert not own_engine.running
    own_engine.start()
    with own_engine.client() as client:
        assert client.containers.get("sleeper").status == "exited"
    own_engine.hang()
    assert not answers(own_engine.unix_url)
    own_engine.resume()
    with own_engine.client() as client:
        assert client.ping()


@pytest.mark.root
def test_an_engine_of_our_own_answers_over_tls_to_its_clients_alone(own_engine: OwnEngine) -> None:
    pair = own_engine.client_pair
    assert pair is not None
    url = own_engine.url.replace("tcp://", "https://") + "/_ping"
    curl = ["curl", "--silent", "--cacert", str(own_engine.ca), "--max-time", "10"]
    known = [*curl, "--cert", str(pair.cert), "--key", str(pair.key), url]
    assert subprocess.run(known, capture_output=True, check=True).stdout == b"OK"
    assert subprocess.run([*curl, url], capture_output=True, check=False).returncode != 0


@pytest.mark.root
def test_nothing_of_an_engine_of_our_own_remains(docker_client: docker.DockerClient) -> None:
    with OwnEngine() as engine:
        with engine.client() as client:
            name = tiny(docker_client)
            copy_image(name, docker_client, client)
            client.networks.create("between")
            client.containers.run(name, SERVE, detach=True, init=True, network="between")
        engine.kill()
        assert engine.base.exists()
        assert engine.bridge.exists()
    assert not engine.base.exists()
    assert str(engine.base) not in Path("/proc/self/mounts").read_text()
    assert not engine.bridge.exists()
    assert docker_client.ping(), "the machine's own engine is as it was"


def test_ssh_on_loopback_lets_us_in_and_is_cut(loopback_ssh: LoopbackSsh) -> None:
    command = ["ssh", *loopback_ssh.ssh_options, f"ssh://{loopback_ssh.host}", "echo in"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"in\n"
    loopback_ssh.cut()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 255
    loopback_ssh.start()
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"in\n"
