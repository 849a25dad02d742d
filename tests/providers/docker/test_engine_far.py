"""Engines behind TLS and behind ssh, and engines that are killed, hang and come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarmd.errors import ConfigError, ProviderUnreachable
from swarmd.providers.docker.engine import Engine, NoAnswer, NotThere, Where
from swarmd.providers.docker.errors import Faults
from swarmd.providers.docker.tunnel import Tunnel, private_folder, small_environment
from swarmd.providers.docker.where import read_url
from tests.docker_certificates import Authority
from tests.docker_engine import require_docker
from tests.docker_own import OwnEngine
from tests.docker_ssh import LoopbackSsh
from tests.support import Process, all_pids, is_alive, read_process, wait_until

MakeEngine = Callable[..., Engine]


@pytest.fixture(scope="module")
def own() -> Iterator[OwnEngine]:
    with OwnEngine(tls=True) as own:
        yield own


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[LoopbackSsh]:
    with LoopbackSsh(tmp_path) as ssh:
        yield ssh


@pytest.fixture
def make() -> Iterator[MakeEngine]:
    made: list[Engine] = []

    def one(url: str, **more: object) -> Engine:
        made.append(Engine("far", Where(url, **more)))  # type: ignore[arg-type]
        return made[-1]

    yield one
    for engine in made:
        engine.close()


def tls(own: OwnEngine) -> dict[str, str]:
    pair = own.client_pair
    assert pair is not None
    return {"ca": str(own.ca), "cert": str(pair.cert), "key": str(pair.key)}


def ssh_children() -> list[Process]:
    """Those ssh that this process has started."""
    found = (read_process(pid) for pid in all_pids() if parent(pid) == os.getpid())
    return [each for each in found if each is not None and each.command.startswith("ssh ")]


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


# --- TLS -----------------------------------------------------------------------------------------


def test_an_engine_behind_tls_answers_and_streams(own: OwnEngine, make: MakeEngine) -> None:
    engine = make(own.url, **tls(own))
    assert engine.version(10).os == "linux"
    assert engine.containers([], 10) == []
    with pytest.raises(NotThere):
        engine.get_archive("none", "/", 10)
    stream = engine.events({"type": ["volume"]}, None, 10)
    engine.create_volume("far", {}, {}, 10)
    assert next(stream)["Actor"]["ID"] == "far"
    engine.remove_volume("far", 10)
    left: list[object] = []
    reader = threading.Thread(target=lambda: left.extend(stream))
    reader.start()
    stream.close()
    reader.join(5)
    assert not reader.is_alive()


def test_who_is_not_trusted_is_said(own: OwnEngine, make: MakeEngine, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    stranger = other.client()
    with pytest.raises(ProviderUnreachable, match="not to be trusted"):
        make(own.url, **(tls(own) | {"ca": str(other.ca)})).version(10)
    with pytest.raises(ProviderUnreachable, match="does not take our certificate") as refused:
        make(own.url, ca=str(own.ca), cert=str(stranger.cert), key=str(stranger.key)).version(10)
    assert "client certificate" in str(refused.value.next_step)
    with pytest.raises(ProviderUnreachable, match="does not take our certificate"):
        make(own.url, ca=str(own.ca)).version(10)


def test_tls_and_plain_do_not_meet(own: OwnEngine, make: MakeEngine) -> None:
    with pytest.raises(ProviderUnreachable, match="HTTP request to an HTTPS server"):
        make(own.url).version(10)


def test_files_that_cannot_be_used_are_named(own: OwnEngine, make: MakeEngine) -> None:
    for changed, field in (
        ({"ca": "/none.pem"}, "engine_ca"),
        ({"cert": "/none.pem"}, "engine_cert"),
        ({"key": str(own.ca)}, "engine_cert"),
    ):
        with pytest.raises(ConfigError) as wrong:
            make(own.url, **(tls(own) | changed)).version(10)
        assert wrong.value.field == field
        assert wrong.value.next_step


# --- killed, hanging, back -----------------------------------------------------------------------


def test_a_killed_engine_is_told_and_found_again() -> None:
    with OwnEngine(tls=True) as own:
        secured = Where(own.url, **tls(own))  # type: ignore[arg-type]
        engines = [Engine("far", Where(own.unix_url)), Engine("far", secured)]
        try:
            kill_and_start(own, *engines)
        finally:
            for engine in engines:
                engine.close()


def kill_and_start(own: OwnEngine, near: Engine, far: Engine) -> None:
    stream = near.events({}, None, 10)
    for engine in (near, far):
        engine.info(10)
    own.kill()
    try:
        with pytest.raises(ProviderUnreachable):
            next(stream)
        for engine in (near, far):
            with pytest.raises(ProviderUnreachable):
                engine.info(10)
    finally:
        own.start()
    for engine in (near, far):
        engine.create_volume("back", {}, {}, 10)
        assert engine.info(10)
    near.remove_volume("back", 10)


def test_a_hanging_engine_is_told_in_time_and_used_again(own: OwnEngine, make: MakeEngine) -> None:
    engines = make(own.unix_url), make(own.url, **tls(own))
    for engine in engines:
        engine.info(10)
    own.hang()
    try:
        for engine in engines:
            begun = time.monotonic()
            with pytest.raises(NoAnswer):
                engine.info(0.5)
            with pytest.raises(NoAnswer):
                engine.events({}, None, 0.5)
            assert time.monotonic() - begun < 20
    finally:
        own.resume()
    for engine in engines:
        assert engine.info(30)


# --- ssh -----------------------------------------------------------------------------------------


def test_an_engine_behind_ssh_answers_and_streams(
    own: OwnEngine, ssh: LoopbackSsh, make: MakeEngine
) -> None:
    engine = make(f"ssh://{ssh.host}{own.socket}", ssh_options=ssh.ssh_options)
    assert ssh_children() == []
    assert engine.version(20).os == "linux"
    (child,) = ssh_children()
    stream = engine.events({"type": ["volume"]}, None, 10)
    engine.create_volume("tunnel", {}, {}, 10)
    assert next(stream)["Actor"]["ID"] == "tunnel"
    engine.remove_volume("tunnel", 10)
    assert ssh_children() == [child], "one ssh for all"
    (folder,) = {Path(word.partition(":")[0]).parent for word in argv(child) if word[0] == "/"
                 and word.endswith(f":{own.socket}")}  # fmt: skip
    assert folder.stat().st_mode & 0o777 == 0o700
    engine.close()
    with pytest.raises(ProviderUnreachable):
        list(stream)
    assert not is_alive(child)
    assert not folder.exists()


def argv(process: Process) -> list[str]:
    return Path(f"/proc/{process.pid}/cmdline").read_text().rstrip("\0").split("\0")


def test_the_default_engine_of_the_other_host_is_used(ssh: LoopbackSsh, make: MakeEngine) -> None:
    if require_docker() != "unix:///var/run/docker.sock":
        pytest.skip("the default engine is elsewhere")
    assert make(f"ssh://{ssh.host}", ssh_options=ssh.ssh_options).version(20).api


def test_a_tunnel_that_died_is_made_again(
    own: OwnEngine, ssh: LoopbackSsh, make: MakeEngine
) -> None:
    engine = make(f"ssh://{ssh.host}{own.socket}", ssh_options=ssh.ssh_options)
    engine.info(20)
    (child,) = ssh_children()
    child.kill()
    wait_until(lambda: not is_alive(child))
    assert engine.info(20)
    assert ssh_children() != [child]
    ssh.cut()
    with pytest.raises(ProviderUnreachable) as gone:
        wait_until(lambda: engine.info(20) is None)
    assert gone.value.next_step
    with pytest.raises(ProviderUnreachable, match=r"ssh ended.*refused"):
        wait_until(lambda: engine.info(20) is None)
    ssh.start()
    assert engine.info(20)


def test_a_missing_engine_behind_ssh_is_told_in_its_words(
    ssh: LoopbackSsh, make: MakeEngine
) -> None:
    engine = make(f"ssh://{ssh.host}/none/docker.sock", ssh_options=ssh.ssh_options)
    with pytest.raises(ProviderUnreachable) as missing:
        engine.info(20)
    wait_until(lambda: "open failed" in cause(engine))
    assert missing.value.next_step


def cause(engine: Engine) -> str:
    with pytest.raises(ProviderUnreachable) as failed:
        engine.info(20)
    return str(failed.value.details["cause"])


def test_a_login_that_is_not_taken_is_told(ssh: LoopbackSsh, make: MakeEngine) -> None:
    options = tuple(each for each in ssh.ssh_options if "KnownHostsFile" not in each)
    options = ("-o", "UserKnownHostsFile=/dev/null", *(o for o in options if o))
    engine = make(f"ssh://{ssh.host}", ssh_options=tuple(ungrouped(options)))
    with pytest.raises(ProviderUnreachable) as refused:
        engine.info(20)
    assert "Host key verification failed" in refused.value.details["cause"]
    assert "host key" in str(refused.value.next_step)


def ungrouped(options: tuple[str, ...]) -> Iterator[str]:
    """Without an ``-o`` whose value was taken away."""
    for word, following in zip(options, (*options[1:], ""), strict=True):
        if word != "-o" or (following and not following.startswith("-")):
            yield word


def test_an_ssh_that_is_not_through_has_its_time(tmp_path: Path) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        engine = Engine("far", Where(f"ssh://127.0.0.1:{port}", ssh_options=("-F", "none")))
        begun = time.monotonic()
        with pytest.raises(NoAnswer):
            engine.info(0.6)
        assert time.monotonic() - begun < 20
        engine.close()
        assert ssh_children() == []
        with pytest.raises(ProviderUnreachable, match="closed"):
            engine.info(5)


def test_a_host_without_ssh_is_told(make: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ProviderUnreachable, match="ssh: No such file"):
        make("ssh://127.0.0.1").info(20)


def test_ssh_gets_a_small_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARMD_FLY_TOKEN", "s3cret")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    environment = small_environment()
    assert environment["SSH_AUTH_SOCK"] == "/agent"
    assert "s3cret" not in str(environment)


def test_what_must_hold_stands_before_the_users_options() -> None:
    target = read_url("ssh://ana@box1:2222/d.sock")
    tunnel = Tunnel(target, ("-i", "/key"), Faults("far", "ssh://box1"))
    words = tunnel.argv(Path("/here"))
    assert words[:2] == ["ssh", "-nNT"]
    assert words[-8:] == ["-p", "2222", "-l", "ana", "-L", "/here:/d.sock", "--", "box1"]
    assert words.index("BatchMode=yes") < words.index("-i") < words.index("ConnectTimeout=10")
    tunnel.close()


def test_a_long_temporary_folder_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = private_folder()
    assert len(str(folder)) < 96
    folder.rmdir()
    assert list(long.iterdir()) == []


_DAEMON = """
import sys
from swarmd.providers.docker.engine import Engine, Where
engine = Engine("far", Where(sys.argv[1], ssh_options=tuple(sys.argv[2:])))
engine.version(20)
print("up", flush=True)
sys.stdin.read()
"""


def test_ssh_dies_with_the_daemon_however_that_ends(
    own: OwnEngine, ssh: LoopbackSsh, tmp_path: Path
) -> None:
    daemon = subprocess.Popen(
        [sys.executable, "-c", _DAEMON, f"ssh://{ssh.host}{own.socket}", *ssh.ssh_options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    with daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"up\n"
        children = [
            p for pid in all_pids() if parent(pid) == daemon.pid if (p := read_process(pid))
        ]
        assert [child.command.split()[0] for child in children] == ["ssh"]
        daemon.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, children)))
