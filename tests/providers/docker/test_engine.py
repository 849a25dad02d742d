"""The engine's API on the real engine of this machine: what it has, and its events."""

from __future__ import annotations

import threading
import time

import docker
import pytest

from swarmd.errors import ProviderError
from swarmd.providers.docker.engine import NotThere, Taken
from swarmd.providers.shared.portbook import PortTaken
from tests.providers.docker.bench import Bench
from tests.support import free_port, wait_until

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
    seen = bench.engine.stats(name, 10)
    assert seen["memory_stats"]["usage"] > 0
    assert not seen["precpu_stats"].get("system_cpu_usage"), "a second sample was waited for"


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
