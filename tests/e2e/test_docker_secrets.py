"""What an engine shows of an instance, and what its containers may not do."""

from __future__ import annotations

import json

import pytest

from tests.daemon import DaemonProcess
from tests.e2e.docker_kit import Box
from tests.e2e.looking import healthz, output, port_of
from tests.support import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

MIB = 1 << 20
SECRET = "only-the-owner-knows-this"


def words(daemon: DaemonProcess, name: str, *command: str) -> tuple[int, str]:
    """A command in an instance: its exit code and output."""
    done = daemon.call_stream("instance.exec", id=name, command=list(command))
    return done[-1]["exit_code"], output(done)


def everything_shown(box: Box, instance_id: str) -> str:
    """All that the engine tells of a container, its image, its volume, its log and its network."""
    container = box.container(instance_id)
    with box.client() as client:
        api, image = client.api, client.images.get(container["Image"])
        return json.dumps(
            [
                container,
                image.attrs,
                image.history(),
                api.inspect_volume(f"swarmd-{instance_id}"),
                api.inspect_network(box.name),
                api.top(container["Id"], "axeww"),
                api.logs(container["Id"]).decode(),
            ]
        )


@pytest.mark.parametrize("kind", ["generated", "given"])
def test_no_secret_is_shown_by_the_engine(boxed: DaemonProcess, box: Box, kind: str) -> None:
    given = {"auth": {"type": "password", "credentials": SECRET}} if kind == "given" else {}
    made = boxed.create("web", provider=box.name, **given)
    shown = boxed.call("instance.credentials", id="web")["password"]
    assert (shown == SECRET) == (kind == "given")
    code, inside = words(boxed, "web", "cat", "/etc/swarmd/config.yaml")
    assert code == 0
    assert shown in inside or "$argon2" in inside, "or this test would prove nothing"

    seen = everything_shown(box, made["id"])
    assert shown not in seen
    assert "$argon2" not in seen
    exported = boxed.ctl("export", "web", "-o", str(boxed.folder / "web.tar"))
    assert exported.returncode == 0, exported.stderr
    archive = (boxed.folder / "web.tar").read_bytes()
    assert shown.encode() not in archive
    assert b"$argon2" not in archive


def test_the_limits_and_rights_of_a_container(boxed: DaemonProcess, box: Box) -> None:
    resources = {"memory": "256m", "cpu": 0.5, "pids": 77}
    made = boxed.create("web", provider=box.name, resources=resources)
    host = box.container(made["id"])["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (256 * MIB, 256 * MIB)
    assert (host["NanoCpus"], host["PidsLimit"]) == (500_000_000, 77)
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Init"] is True
    assert host["Privileged"] is False
    assert {binding["HostIp"] for each in host["PortBindings"].values() for binding in each} == {
        "127.0.0.1"
    }
    code, told = words(boxed, "web", "cat", "/proc/1/status", "/proc/self/status")
    assert code == 0
    lines = [line.split() for line in told.splitlines()]
    for field, wanted in (("NoNewPrivs:", "1"), ("CapEff:", "0" * 16), ("CapBnd:", "0" * 16)):
        assert [line[1] for line in lines if line[0] == field] == [wanted, wanted]
    code, told = words(boxed, "web", "sh", "-c", "id -u; cat /sys/fs/cgroup/pids/pids.max || true")
    assert told.split()[0] != "0"


def test_a_container_reaches_no_other_one(boxed: DaemonProcess, box: Box) -> None:
    urls = {name: boxed.create(name, provider=box.name)["url"] for name in ("one", "two")}
    ids = {name: boxed.call("instance.get", id=name)["id"] for name in urls}
    addresses = {}
    for name, identity in ids.items():
        network = box.container(identity)["NetworkSettings"]["Networks"][box.name]
        addresses[name] = (network["IPAddress"], network["Gateway"])
    assert [healthz(url) for url in urls.values()] == [200, 200]
    ask = (
        "import socket, sys\n"
        "socket.setdefaulttimeout(2)\n"
        "try: socket.socket().connect((sys.argv[1], int(sys.argv[2])))\n"
        "except OSError as error: sys.exit(f'refused: {error}')\n"
    )

    def reaches(address: str, port: int) -> bool:
        code, told = words(boxed, "one", "python3", "-I", "-S", "-c", ask, address, str(port))
        assert code == 0 or "refused" in told, told
        return code == 0

    two, gateway = addresses["two"]
    wait_until(lambda: reaches(addresses["one"][0], 8080))  # its own: so the question works
    assert not reaches(two, 8080)
    assert not reaches(gateway, port_of(urls["two"]))
    assert not reaches("127.0.0.1", port_of(urls["two"]))
