"""The engine's API on the real engine of this machine."""

from __future__ import annotations

import io
import secrets
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import docker
import pytest

from swarmd.errors import OperationCancelled, ProviderError
from swarmd.ports import Call
from swarmd.providers.docker.engine import (
    Engine,
    Login,
    NoAnswer,
    NotRunning,
    NotThere,
    PortTaken,
    Taken,
    Where,
)
from tests.docker_engine import leftovers, remove_all, require_docker
from tests.providers.docker.registry import Registry
from tests.support import free_port, wait_until


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


@pytest.fixture
def bench(docker_client: docker.DockerClient, tiny_image: str) -> Iterator[Bench]:
    mark = f"swarmd-test-{secrets.token_hex(4)}"
    engine = Engine("box", Where(require_docker()))
    bench = Bench(engine, mark, tiny_image)
    try:
        yield bench
    finally:
        engine.close()
        remove_all(docker_client, bench.label)
        assert not leftovers(docker_client, bench.label)


def call(told: list[tuple[str, float | None]] | None = None, seconds: float = 60.0) -> Call:
    def progress(message: str, fraction: float | None) -> None:
        if told is not None:
            told.append((message, fraction))

    return Call(deadline=time.monotonic() + seconds, clock=time.monotonic, progress=progress)


def tar_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


# --- the engine ----------------------------------------------------------------------------------


def test_the_engine_says_what_it_is(bench: Bench, docker_client: docker.DockerClient) -> None:
    said = bench.engine.version(10)
    assert said.version == docker_client.api.version()["Version"]
    assert said.api == docker_client.api.version()["ApiVersion"]
    assert said.os == "linux"
    assert not said.podman
    assert bench.engine.info(10)["ID"] == docker_client.api.info()["ID"]


# --- containers ----------------------------------------------------------------------------------


def test_a_container_from_its_making_to_its_end(bench: Bench) -> None:
    engine, name = bench.engine, bench.container()
    (listed,) = engine.containers([bench.label], 10)
    assert listed["Names"] == [f"/{name}"]
    assert listed["State"] == "created"
    engine.start(name, 30)
    engine.start(name, 30)
    assert engine.inspect(name, 10)["State"]["Running"]
    engine.rename(name, f"{name}-b", 10)
    engine.stop(f"{name}-b", 5, 30)
    engine.stop(f"{name}-b", 5, 30)
    engine.kill(f"{name}-b", 10)
    assert engine.inspect(f"{name}-b", 10)["State"]["Status"] == "exited"
    engine.remove(f"{name}-b", 30)
    engine.remove(f"{name}-b", 30)
    with pytest.raises(NotThere):
        engine.inspect(f"{name}-b", 10)
    assert engine.containers([bench.label], 10) == []


def test_the_grace_of_a_stop_is_kept(bench: Bench) -> None:
    body = {"HostConfig": {"Init": False}}
    name = bench.container("sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done", **body)
    bench.engine.start(name, 30)
    log = bench.engine.logs(name, follow=True, tail=None, since=None, timestamps=False, within=10)
    assert log.read() == ("stdout", b"up\n")
    log.close()
    begun = time.monotonic()
    bench.engine.stop(name, 0.5, 30)
    assert 0.9 < time.monotonic() - begun < 8
    assert bench.engine.inspect(name, 10)["State"]["ExitCode"] == 137


def test_a_running_one_is_killed_and_a_running_one_removed(bench: Bench) -> None:
    killed, removed = bench.running(), bench.running()
    bench.engine.kill(killed, 30)
    assert not bench.engine.inspect(killed, 10)["State"]["Running"]
    bench.engine.remove(removed, 30)
    with pytest.raises(NotThere):
        bench.engine.inspect(removed, 10)


def test_many_may_remove_the_same(bench: Bench) -> None:
    name, failed = bench.running(), list[BaseException]()

    def remove() -> None:
        try:
            bench.engine.remove(name, 30)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=remove) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with pytest.raises(NotThere):
        bench.engine.inspect(name, 10)


def test_a_name_is_given_once(bench: Bench) -> None:
    first, second = bench.container(), bench.container()
    with pytest.raises(Taken) as taken:
        bench.engine.create(first, {"Image": bench.image}, 10)
    assert first in taken.value.details["cause"]
    with pytest.raises(Taken):
        bench.engine.rename(second, first, 10)


def test_a_missing_image_and_a_missing_container_are_not_there(bench: Bench) -> None:
    with pytest.raises(NotThere):
        bench.engine.create(f"{bench.mark}-x", {"Image": "swarmd-test/none:1"}, 10)
    for act in (
        lambda: bench.engine.image("swarmd-test/none:1", 10),
        lambda: bench.engine.start("swarmd-test-none", 10),
        lambda: bench.engine.stop("swarmd-test-none", 1, 10),
        lambda: bench.engine.kill("swarmd-test-none", 10),
        lambda: bench.engine.stats("swarmd-test-none", 10),
        lambda: bench.engine.update("swarmd-test-none", {"Memory": 64 << 20}, 10),
        lambda: bench.engine.exec_state("0" * 64, 10),
        lambda: bench.engine.volume("swarmd-test-none", 10),
        lambda: bench.engine.network("swarmd-test-none", 10),
    ):
        with pytest.raises(NotThere):
            act()
    assert bench.engine.image(bench.image, 10)["Id"]


def test_a_port_that_is_in_use_is_told(bench: Bench) -> None:
    port = str(free_port())
    host = {
        "Init": True,
        "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]},
    }
    ports = {"ExposedPorts": {"8080/tcp": {}}, "HostConfig": host}
    first, second = bench.container(**ports), bench.container(**ports)
    bench.engine.start(first, 30)
    with pytest.raises(PortTaken) as taken:
        bench.engine.start(second, 30)
    assert port in taken.value.details["cause"]
    assert taken.value.next_step


def test_limits_change_while_it_runs(bench: Bench) -> None:
    name = bench.running()
    bench.engine.update(name, {"Memory": 64 << 20, "MemorySwap": 64 << 20}, 10)
    assert bench.engine.inspect(name, 10)["HostConfig"]["Memory"] == 64 << 20
    with pytest.raises(ProviderError) as refused:
        bench.engine.update(name, {"Memory": 1}, 10)
    assert refused.value.details["cause"]


def test_what_it_uses_is_measured_at_once(bench: Bench) -> None:
    name = bench.running()
    begun = time.monotonic()
    assert bench.engine.stats(name, 10)["memory_stats"]["usage"] > 0
    assert time.monotonic() - begun < 0.9, "a second sample was waited for"


# --- commands and logs ---------------------------------------------------------------------------


def test_a_short_command_runs_to_its_end(bench: Bench) -> None:
    name = bench.running()
    script = "echo out; echo bad >&2; echo $WHO; id -u; exit 3"
    code, output = bench.engine.run(name, ["sh", "-c", script], 30, Env=["WHO=me"], User="0")
    assert code == 3
    assert sorted(output.split()) == [b"0", b"bad", b"me", b"out"]


def test_much_output_is_read_and_little_kept(bench: Bench) -> None:
    code, output = bench.engine.run(
        bench.running(), ["sh", "-c", "head -c 3000000 /dev/zero; exit 5"], 30
    )
    assert (code, len(output)) == (5, 64 << 10)


def test_a_command_has_its_time(bench: Bench) -> None:
    name = bench.running()
    bench.engine.version(10)
    begun = time.monotonic()
    with pytest.raises(NoAnswer):
        bench.engine.run(name, ["sleep", "50"], 1.0)
    assert time.monotonic() - begun < 5


def test_a_command_needs_a_running_container(bench: Bench) -> None:
    with pytest.raises(NotRunning):
        bench.engine.run(bench.container(), ["true"], 10)


def test_a_channel_carries_input_and_output(bench: Bench) -> None:
    name = bench.running()
    streams = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
    exec_id = bench.engine.exec_create(name, {**streams, "Cmd": ["cat"]}, 10)
    channel = bench.engine.exec_start(exec_id, 10)
    assert bench.engine.exec_state(exec_id, 10)["Running"]
    channel.write(b"hello")
    assert channel.read() == ("stdout", b"hello")
    channel.end_input()
    assert channel.read() is None
    channel.close()
    wait_until(lambda: bench.engine.exec_state(exec_id, 10)["ExitCode"] == 0)


def test_a_log_is_read_and_followed(bench: Bench) -> None:
    name = bench.running("sh", "-c", "echo one; echo two; echo three >&2; sleep 100")
    wait_until(lambda: b"".join(lines(bench, name)).count(b"\n") == 3)
    assert sorted(lines(bench, name)) == [b"one\n", b"three\n", b"two\n"]
    last = bench.engine.logs(name, follow=False, tail=1, since=None, timestamps=True, within=10)
    piece = last.read()
    assert piece is not None
    assert piece[1].startswith(b"20")
    last.close()
    later = bench.engine.logs(
        name, follow=False, tail=None, since=time.time() + 5, timestamps=False, within=10
    )
    assert later.read() is None
    later.close()
    followed = bench.engine.logs(name, follow=True, tail=0, since=None, timestamps=False, within=10)
    bench.engine.kill(name, 10)
    assert followed.read() is None
    followed.close()


def lines(bench: Bench, name: str) -> list[bytes]:
    log = bench.engine.logs(name, follow=False, tail=None, since=0, timestamps=False, within=10)
    try:
        return [piece[1] for piece in iter(log.read, None) if piece is not None]
    finally:
        log.close()


# --- files ---------------------------------------------------------------------------------------


def test_files_go_in_and_come_out(bench: Bench) -> None:
    name, content = bench.container(), secrets.token_bytes(3_000_000)
    archive = tar_of("thing", content)
    chunks = (archive[at : at + 70_000] for at in range(0, len(archive), 70_000))
    bench.engine.put_archive(name, "/home/coder", chunks, 30)
    back = io.BytesIO(b"".join(bench.engine.get_archive(name, "/home/coder/thing", 30)))
    with tarfile.open(fileobj=back) as tar:
        member = tar.extractfile("thing")
        assert member is not None
        assert member.read() == content


def test_a_missing_path_is_not_there(bench: Bench) -> None:
    name = bench.container()
    with pytest.raises(NotThere):
        bench.engine.get_archive(name, "/none", 10)
    many = (b"\0" * 65536 for _ in range(1000))
    with pytest.raises(NotThere):
        bench.engine.put_archive(name, "/none", many, 30)


def test_what_the_source_raises_comes_out_unchanged(bench: Bench) -> None:
    name, trouble = bench.container(), LookupError("mine")

    def chunks() -> Iterator[bytes]:
        yield tar_of("a", b"1")[:512]
        raise trouble

    with pytest.raises(LookupError) as raised:
        bench.engine.put_archive(name, "/home/coder", chunks(), 30)
    assert raised.value is trouble
    assert bench.engine.version(10), "the next call has a connection of its own"


def test_an_archive_may_be_left_in_the_middle(bench: Bench) -> None:
    name = bench.container()
    pieces = bench.engine.get_archive(name, "/", 10)
    assert next(pieces)
    pieces.close()
    bench.engine.get_archive(name, "/", 10).close()
    assert bench.engine.inspect(name, 10)


# --- volumes and networks ------------------------------------------------------------------------


def test_a_volume_from_its_making_to_its_end(bench: Bench) -> None:
    engine, name = bench.engine, f"{bench.mark}-v"
    for _ in range(2):
        engine.create_volume(name, {"dev.swarmd.test": bench.mark}, {}, 10)
    assert engine.volume(name, 10)["Labels"] == {"dev.swarmd.test": bench.mark}
    assert [volume["Name"] for volume in engine.volumes([bench.label], 10)] == [name]
    host = {"Mounts": [{"Type": "volume", "Source": name, "Target": "/home/coder"}], "Init": True}
    user = bench.container("sh", "-c", "head -c 50000 /dev/zero > $HOME/x; sync; sleep 100",
                           HostConfig=host)  # fmt: skip
    engine.start(user, 30)
    wait_until(lambda: engine.volume_sizes(30)[name] >= 50_000, timeout=30)
    with pytest.raises(Taken):
        engine.remove_volume(name, 10)
    engine.remove(user, 30)
    engine.remove_volume(name, 10)
    engine.remove_volume(name, 10)
    assert engine.volumes([bench.label], 10) == []


def test_a_network_is_made_once(bench: Bench) -> None:
    body = {"Driver": "bridge", "Labels": {"dev.swarmd.test": bench.mark}}
    for _ in range(2):
        bench.engine.create_network(f"{bench.mark}-n", body, 30)
    assert bench.engine.network(f"{bench.mark}-n", 10)["Driver"] == "bridge"


# --- events --------------------------------------------------------------------------------------


def test_events_come_as_they_happen(bench: Bench) -> None:
    stream = bench.engine.events({"label": [bench.label], "type": ["container"]}, None, 10)
    began = time.time() - 1
    bench.engine.remove(bench.running(), 30)
    seen = [next(stream)["Action"] for _ in range(2)]
    assert seen == ["create", "start"]
    stream.close()
    again = bench.engine.events({"label": [bench.label], "event": ["destroy"]}, began, 10)
    assert next(again)["Action"] == "destroy"
    again.close()


def test_a_stream_of_events_is_ended_from_another_thread(bench: Bench) -> None:
    stream = bench.engine.events({"label": [bench.label]}, None, 10)
    ended = threading.Event()

    def read() -> None:
        assert list(stream) == []
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    stream.close()
    stream.close()
    assert ended.wait(5)
    reader.join()


# --- images --------------------------------------------------------------------------------------


@pytest.fixture
def registry(docker_client: docker.DockerClient) -> Iterator[Registry]:
    with Registry(login="ana:s3cret-word") as registry:
        yield registry
        for image in docker_client.images.list(filters={"label": "dev.swarmd.test=registry"}):
            docker_client.images.remove(str(image.id), force=True)


def test_an_image_is_fetched_with_progress(bench: Bench, registry: Registry) -> None:
    told: list[tuple[str, float | None]] = []
    bench.engine.pull(registry.image, Login("ana", "s3cret-word"), call(told))
    assert bench.engine.image(registry.image, 10)["Id"]
    message, fraction = told[-1]
    assert message == "layer 3 of 3, 3 MB of 3 MB"
    assert fraction == 1.0


def test_a_login_that_is_wrong_is_told_without_it(bench: Bench, registry: Registry) -> None:
    for login in (Login("ana", "another-s3cret"), None):
        with pytest.raises(ProviderError) as refused:
            bench.engine.pull(registry.image, login, call())
        for word in (registry.image, "box", "unix://", "registry_user"):
            assert word in f"{refused.value.message} {refused.value.next_step}"
        assert "another" not in f"{refused.value} {refused.value.details} {login!r}"


def test_a_tag_that_is_missing_is_told(bench: Bench, registry: Registry) -> None:
    with pytest.raises(ProviderError) as missing:
        bench.engine.pull(f"{registry.image}23", Login("ana", "s3cret-word"), call())
    assert missing.value.next_step == "Correct the image's name and tag."


def test_a_registry_that_does_not_answer_is_named(bench: Bench) -> None:
    image = f"127.0.0.1:{free_port()}/x/y"
    with pytest.raises(ProviderError) as refused:
        bench.engine.pull(image, None, call())
    assert refused.value.details["image"] == image
    assert "refused" in refused.value.message
    assert refused.value.field == "config.image"


def test_a_pull_is_cancelled_in_the_middle(bench: Bench, registry: Registry) -> None:
    registry.stall.set()
    asked = call()

    def cancel() -> None:
        registry.stalled.wait(20)
        asked.cancelled.set()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(OperationCancelled):
        bench.engine.pull(registry.image, Login("ana", "s3cret-word"), asked)
    canceller.join()
    with pytest.raises(NotThere):
        bench.engine.image(registry.image, 10)
