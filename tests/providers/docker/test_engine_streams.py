"""What goes into a container of a real engine and comes out: commands, logs, files."""

from __future__ import annotations

import io
import secrets
import tarfile
import time
from collections.abc import Iterator

import pytest

from swarmd.providers.docker.engine import NoAnswer, NotRunning, NotThere
from tests.providers.docker.bench import Bench
from tests.support import wait_until


def tar_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


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
    assert time.monotonic() - begun < 25


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
