"""Logs of containers of a real engine, and where a followed one is read on from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.errors import ProviderError, ProviderUnreachable
from swarmd.messages.requests import LogsInstance
from swarmd.messages.units import Duration
from swarmd.ports import Session
from swarmd.providers.docker.engine import Engine, NotThere, Where
from swarmd.providers.docker.logview import Position, open_logs, read_moment, seconds_of
from tests.docker_engine import engine_url
from tests.providers.docker.sessions import Box, box
from tests.support import wait_until

SECONDS = 30
SAYS = "/tmp/says"
"""A pipe whose lines the container writes to its log."""

TALKER = (
    f"test -p {SAYS} || mkfifo {SAYS}; echo begun; echo wrong >&2; exec 3<>{SAYS}; "
    'while read -r line <&3; do eval "$line"; done'
)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine("test", Where(engine_url()))
    yield made
    made.close()


@pytest.fixture
def talker(docker_client: docker.DockerClient, engine: Engine, tiny_image: str) -> Iterator[Box]:
    with box(docker_client, engine, tiny_image, "sh", "-c", TALKER) as made:
        wait_until(lambda: log(made).count(b"\n") == 2)
        yield made


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def say(talker: Box, *commands: str) -> None:
    script = f"test -p {SAYS} && printf '%s\\n' \"$@\" >{SAYS}"
    wait_until(lambda: talker.do("sh", "-c", script, "sh", *commands)[0] == 0)


def start(talker: Box, **options: Any) -> Session:
    asked = LogsInstance(id="x", **options)
    return open_logs(talker.engine, talker.ref, asked, now=time.time(), within=SECONDS)


def log(talker: Box, **options: Any) -> bytes:
    return b"".join(data for _, data in pieces(talker, **options))


def pieces(talker: Box, **options: Any) -> list[tuple[str, bytes]]:
    session = start(talker, **options)
    try:
        return list(iter(session.read, None))
    finally:
        session.close()


class Follower:
    """Reads in a thread; tells what it has so far."""

    def __init__(self, session: Session, threads: ThreadPoolExecutor) -> None:
        self.session = session
        self.told: list[tuple[str, bytes]] = []
        self.ended: Future[None] = threads.submit(self._run)

    def _run(self) -> None:
        for piece in iter(self.session.read, None):
            self.told.append(piece)

    def text(self) -> bytes:
        return b"".join(data for _, data in list(self.told))

    def until(self, wanted: bytes) -> None:
        wait_until(lambda: wanted in self.text(), timeout=SECONDS, describe=lambda: self.told)


# --- once ---


def test_all_of_it_by_stream(talker: Box) -> None:
    assert sorted(pieces(talker)) == [("stderr", b"wrong\n"), ("stdout", b"begun\n")]


def test_tail_and_since(talker: Box) -> None:
    say(talker, "echo 1; echo 2; echo 3")
    wait_until(lambda: b"3\n" in log(talker))
    assert log(talker, tail=2) == b"2\n3\n"
    assert log(talker, tail=0) == b""
    assert log(talker, since=Duration(3600)).endswith(b"1\n2\n3\n")
    assert log(talker, since=Duration(0)) == b""


def test_it_takes_no_input_and_has_no_code(talker: Box) -> None:
    session = start(talker)
    with pytest.raises(ProviderError):
        session.write(b"x")
    session.close_input()
    assert session.result() is None
    session.close()
    session.close()
    assert session.read() is None


def test_of_a_stopped_container(talker: Box) -> None:
    talker.engine.kill(talker.ref, SECONDS)
    assert b"begun\n" in log(talker)


@pytest.mark.parametrize("follow", [False, True])
def test_of_what_is_not_there(talker: Box, follow: bool) -> None:
    talker.ref = "swarmd-no-such-container"
    with pytest.raises(NotThere):
        start(talker, follow=follow)


# --- followed ---


def test_what_comes_is_told_without_its_time(talker: Box, threads: ThreadPoolExecutor) -> None:
    follower = Follower(start(talker, follow=True, tail=0), threads)
    say(talker, "echo new; echo bad >&2; echo; echo last")
    follower.until(b"last\n")
    told = follower.told
    follower.session.close()
    follower.ended.result(SECONDS)
    assert [data for stream, data in told if stream == "stderr"] == [b"bad\n"]
    assert b"".join(data for stream, data in told if stream == "stdout") == b"new\n\nlast\n"


def test_tail_and_then_on(talker: Box, threads: ThreadPoolExecutor) -> None:
    say(talker, "echo 1; echo 2; echo 3")
    wait_until(lambda: b"3\n" in log(talker))
    follower = Follower(start(talker, follow=True, tail=2), threads)
    say(talker, "echo 4")
    follower.until(b"4\n")
    follower.session.close()
    follower.ended.result(SECONDS)
    assert follower.text() == b"2\n3\n4\n"


def test_long_lines_and_bytes_come_as_they_are(talker: Box, threads: ThreadPoolExecutor) -> None:
    follower = Follower(start(talker, follow=True, tail=0), threads)
    say(talker, "head -c 100000 /dev/zero | tr '\\0' x; echo; printf '\\377\\000z\\n'; printf end")
    follower.until(b"z\n")
    follower.session.close()
    follower.ended.result(SECONDS)
    text = follower.text()
    assert text.startswith(b"x" * 100_000 + b"\n")
    assert text.endswith(b"z\n")


def test_it_goes_on_over_a_stop_and_a_start(talker: Box, threads: ThreadPoolExecutor) -> None:
    follower = Follower(start(talker, follow=True), threads)
    say(talker, "echo before")
    follower.until(b"before\n")
    for number in (2, 3):
        talker.engine.kill(talker.ref, SECONDS)
        talker.engine.start(talker.ref, SECONDS)
        wait_until(
            lambda number=number: follower.text().count(b"begun\n") == number,  # type: ignore[misc]
            timeout=SECONDS,
            describe=follower.text,
        )
        say(talker, f"echo run {number}")
        follower.until(b"run %d\n" % number)
    assert not follower.ended.done()
    talker.engine.remove(talker.ref, SECONDS)
    follower.ended.result(SECONDS)
    follower.session.close()
    assert sorted(follower.text().splitlines()) == sorted(
        [*[b"begun", b"wrong"] * 3, b"before", b"run 2", b"run 3"]
    ), "nothing is lost, nothing comes twice"


def test_without_tail_only_the_next_run_is_told(talker: Box, threads: ThreadPoolExecutor) -> None:
    talker.engine.kill(talker.ref, SECONDS)
    follower = Follower(start(talker, follow=True, tail=0), threads)
    talker.engine.start(talker.ref, SECONDS)
    say(talker, "echo end")
    follower.until(b"end\n")
    follower.session.close()
    follower.ended.result(SECONDS)
    assert sorted(follower.text().splitlines()) == [b"begun", b"end", b"wrong"]


@pytest.mark.parametrize("stopped", [False, True])
def test_close_wakes_the_reader(talker: Box, threads: ThreadPoolExecutor, stopped: bool) -> None:
    if stopped:
        talker.engine.kill(talker.ref, SECONDS)
    follower = Follower(start(talker, follow=True), threads)
    follower.until(b"begun\n")
    with pytest.raises(TimeoutError):
        follower.ended.result(0.3)
    follower.session.close()
    follower.ended.result(SECONDS)


def test_a_container_that_is_removed_ends_it(talker: Box, threads: ThreadPoolExecutor) -> None:
    follower = Follower(start(talker, follow=True), threads)
    follower.until(b"begun\n")
    talker.engine.rename(talker.ref, f"swarmd-test-renamed-{talker.ref[:8]}", SECONDS)
    say(talker, "echo renamed")
    follower.until(b"renamed\n")
    talker.engine.remove(talker.ref, SECONDS)
    follower.ended.result(SECONDS)
    follower.session.close()


def test_a_lost_engine_is_told(talker: Box, threads: ThreadPoolExecutor) -> None:
    other = Engine("test", Where(engine_url()))
    session = open_logs(
        other, talker.ref, LogsInstance(id="x", follow=True), now=time.time(), within=SECONDS
    )
    follower = Follower(session, threads)
    follower.until(b"begun\n")
    other.close()
    with pytest.raises(ProviderUnreachable):
        follower.ended.result(SECONDS)
    session.close()


# --- where it is read on from ---

T1, T2 = b"2026-01-02T03:04:05.000000001Z", b"2026-01-02T03:04:05.000000002Z"


def test_what_was_seen_is_not_told_again() -> None:
    position = Position()
    assert position.take("stdout", T1 + b" a\n", begins=True) == b"a\n"
    assert position.take("stdout", T1 + b" same line\n", begins=True) == b"same line\n"
    position.known = dict(position.seen)
    assert position.take("stdout", T1 + b" a", begins=True) == b""
    assert position.take("stdout", b" rest\n", begins=False) == b""
    assert position.take("stderr", T1 + b" other\n", begins=True) == b"other\n"
    assert position.take("stdout", T2 + b" b\n", begins=True) == b"b\n"
    assert position.since == pytest.approx(seconds_of(("2026-01-02T03:04:05", "000000002")) - 1)


@given(st.binary(max_size=60), st.lists(st.integers(1, 9), min_size=1))
def test_a_message_comes_apart_however_it_arrives(data: bytes, sizes: list[int]) -> None:
    raw, position, told, at = T1 + b" " + data, Position(), b"", 0
    while at < len(raw):
        size = sizes[at % len(sizes)]
        told += position.take("stdout", raw[at : at + size], begins=at == 0)
        at += size
    assert told == data


@pytest.mark.parametrize("raw", [b"no time here\n", b"2026-01-02T03:04:05 no zone\n", b"x" * 99])
def test_what_bears_no_time_is_told_as_it_is(raw: bytes) -> None:
    assert Position().take("stdout", raw, begins=True) == raw


def test_without_anything_seen_the_floor_counts() -> None:
    assert Position().since is None
    assert Position(floor=5.0).since == 5.0
    late = Position(floor=4e9, seen={"stdout": ("2026-01-02T03:04:05", "0" * 9)})
    assert late.since == 4e9


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05.123456789Z", ("2026-01-02T03:04:05", "123456789")),
        ("2026-01-02T03:04:05.5Z", ("2026-01-02T03:04:05", "500000000")),
        ("2026-01-02T03:04:05Z", ("2026-01-02T03:04:05", "000000000")),
        ("2026-01-02T05:04:05.25+02:00", ("2026-01-02T03:04:05", "250000000")),
        ("2026-01-02T03:04:05", None),
        ("GET", None),
        ("", None),
    ],
)
def test_times_of_the_engine(text: str, moment: tuple[str, str] | None) -> None:
    assert read_moment(text) == moment


def test_a_time_may_be_given_too() -> None:
    position = Position(stamped=True)
    assert position.take("stdout", b"2026-01-02T03:04:05.6Z line\n", begins=True) == (
        b"2026-01-02T03:04:05.6Z line\n"
    )
    assert position.take("stdout", b"more\n", begins=False) == b"more\n"
