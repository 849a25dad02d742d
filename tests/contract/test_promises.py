"""A case per promise of ``swarmd.ports.Provider``."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.errors import (
    Conflict,
    DeadlineExceeded,
    InstanceNotFound,
    OperationCancelled,
    ProviderError,
    SwarmError,
    ValidationError,
)
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Instance
from swarmd.messages.requests import ExecInstance, LogsInstance
from swarmd.messages.units import Duration
from swarmd.ports import Call, Provider
from tests.contract.cases import ProviderCase, execute
from tests.support import wait_until


def fresh_call(seconds: float = 60) -> Call:
    return Call(deadline=time.monotonic() + seconds, clock=time.monotonic)


def cancelled_call() -> Call:
    call = fresh_call()
    call.cancelled.set()
    return call


@pytest.fixture
def instance(provider_case: ProviderCase) -> Instance:
    """Not created yet."""
    return provider_case.instance()


@pytest.fixture
def running(provider: Provider, instance: Instance, call: Call) -> Instance:
    """Created and started."""
    provider.create(instance, call)
    provider.start(instance, call)
    return instance


def put(provider: Provider, instance: Instance, text: str = "work") -> None:
    code, _, errors = execute(provider, instance, "sh", "-c", f"printf {text} > file")
    assert code == 0, errors


def content(provider: Provider, instance: Instance) -> bytes:
    return execute(provider, instance, "cat", "file")[1]


def status(provider: Provider, instance: Instance) -> InstanceStatus | None:
    found = provider.get(instance.id)
    return None if found is None else found.status


# --- names, looking ---


def test_it_says_what_it_is(provider: Provider) -> None:
    assert provider.name
    assert provider.type
    health = provider.probe()
    assert health.ok, health.message
    capabilities = provider.capabilities()
    assert capabilities.max_resources_per_instance.cpu.cores > 0
    assert set(capabilities.limits_enforced) <= {"cpu", "memory", "storage", "pids"}


def test_nothing_is_there_at_first(provider: Provider, instance: Instance) -> None:
    assert list(provider.list()) == []
    assert provider.get(instance.id) is None
    assert provider.address(instance.id) is None
    assert list(provider.stats([instance])) == []


def test_get_and_list_agree_through_a_life(
    provider: Provider, provider_case: ProviderCase, instance: Instance, call: Call
) -> None:
    expected: list[tuple[Callable[[], object], InstanceStatus]] = [
        (lambda: provider.create(instance, call), InstanceStatus.CREATED),
        (lambda: provider.start(instance, call), InstanceStatus.RUNNING),
        (lambda: provider.stop(instance, call), InstanceStatus.STOPPED),
        (lambda: provider.trash(instance, call), InstanceStatus.DELETED),
        (lambda: provider.restore(instance, call), InstanceStatus.STOPPED),
        (lambda: provider.start(instance, call), InstanceStatus.RUNNING),
    ]
    for act, wanted in expected:
        act()
        one = provider.get(instance.id)
        (listed,) = provider.list()
        assert one is not None
        assert one.status is listed.status is wanted
        assert replace(one, config=None, bytes=None) == replace(listed, config=None, bytes=None)
        assert (one.id, one.name, one.owner) == (instance.id, instance.name, instance.owner)
        assert one.epoch == instance.epoch
        assert one.complete
        assert one.node
        assert (one.address is not None) == (wanted is InstanceStatus.RUNNING)
    again = provider_case.open()
    assert [found.id for found in again.list()] == [instance.id], "another daemon's start"
    assert status(again, instance) is InstanceStatus.RUNNING


def test_it_answers_where_it_says(provider: Provider, running: Instance, call: Call) -> None:
    address = provider.address(running.id)
    assert address is not None
    assert provider.check(running, call)
    with urllib.request.urlopen(
        f"http://{address.host}:{address.port}/healthz", timeout=10
    ) as answer:
        assert answer.status == 200


# --- idempotency, epochs ---


def test_asking_again_changes_nothing(
    provider: Provider, provider_case: ProviderCase, instance: Instance, call: Call
) -> None:
    provider.create(instance, call)
    first = provider.create(instance, call)
    assert first.status is InstanceStatus.CREATED
    provider.start(instance, call)
    put(provider, instance)
    before = provider.get(instance.id)
    provider.create(instance, call)
    provider.start(instance, call)
    assert provider.get(instance.id) == before
    assert content(provider, instance) == b"work"
    for _ in range(2):
        assert provider.stop(instance, call).status is InstanceStatus.STOPPED
    for _ in range(2):
        provider.trash(instance, call)
    for _ in range(2):
        assert provider.restore(instance, call).status is InstanceStatus.STOPPED
    for _ in range(2):
        provider.purge(instance, call)
    assert provider_case.remains(instance) == []


def test_an_older_epoch_is_refused(
    provider: Provider, provider_case: ProviderCase, instance: Instance, call: Call
) -> None:
    now = replace(instance, epoch=3)
    provider.create(now, call)
    provider.start(now, call)
    for act in (
        lambda old: provider.create(old, call),
        lambda old: provider.start(old, call),
        lambda old: provider.stop(old, call),
        lambda old: provider.update(old, call),
        lambda old: provider.trash(old, call),
        lambda old: provider.restore(old, call),
        lambda old: provider.purge(old, call),
    ):
        with pytest.raises(Conflict) as caught:
            act(instance)
        assert caught.value.next_step
    found = provider.get(instance.id)
    assert found is not None
    assert (found.status, found.epoch) == (InstanceStatus.RUNNING, 3)
    provider.stop(replace(instance, epoch=4), call)
    assert status(provider, instance) is InstanceStatus.STOPPED


# --- cancelled, out of time ---

Act = Callable[[Provider, Instance, Call], object]
ACTS: dict[str, tuple[tuple[str, ...], Act]] = {
    "create": ((), lambda provider, instance, call: provider.create(instance, call)),
    "start": (("create",), lambda provider, instance, call: provider.start(instance, call)),
    "stop": (("create", "start"), lambda provider, instance, call: provider.stop(instance, call)),
    "update": (("create",), lambda provider, instance, call: provider.update(instance, call)),
    "trash": (("create",), lambda provider, instance, call: provider.trash(instance, call)),
    "restore": (
        ("create", "trash"),
        lambda provider, instance, call: provider.restore(instance, call),
    ),
    "purge": (("create",), lambda provider, instance, call: provider.purge(instance, call)),
}


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("how", ["cancelled", "late"])
def test_a_call_that_was_ended_is_completed_or_undone_by_the_next(
    provider: Provider, provider_case: ProviderCase, instance: Instance, name: str, how: str
) -> None:
    before, act = ACTS[name]
    for earlier in before:
        ACTS[earlier][1](provider, instance, fresh_call())
    given = cancelled_call() if how == "cancelled" else fresh_call(-1)
    with contextlib.suppress(OperationCancelled, DeadlineExceeded):  # or it was quick enough
        act(provider, instance, given)
    act(provider, instance, fresh_call())
    wanted = {
        "create": InstanceStatus.CREATED,
        "start": InstanceStatus.RUNNING,
        "stop": InstanceStatus.STOPPED,
        "update": InstanceStatus.CREATED,
        "trash": InstanceStatus.DELETED,
        "restore": {InstanceStatus.CREATED, InstanceStatus.STOPPED},
        "purge": None,
    }[name]
    found = status(provider, instance)
    assert found in wanted if isinstance(wanted, set) else found is wanted
    provider.purge(instance, fresh_call())
    assert provider_case.remains(instance) == []


def test_a_start_that_hangs_ends_at_its_deadline_or_when_cancelled(
    provider: Provider, provider_case: ProviderCase, call: Call
) -> None:
    if provider_case.real:
        pytest.skip("the real server does answer")
    instance = provider_case.instance("mute-web")
    provider.create(instance, call)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        provider.start(instance, fresh_call(1))
    assert time.monotonic() - began < 5
    given = fresh_call()
    failed: list[BaseException] = []

    def start() -> None:
        try:
            provider.start(instance, given)
        except SwarmError as error:
            failed.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    wait_until(lambda: provider_case.running(instance))
    given.cancelled.set()
    thread.join(10)
    assert [type(error) for error in failed] == [OperationCancelled]
    provider.purge(instance, call)
    assert provider_case.remains(instance) == []


# --- stop, address ---


def test_stop_ends_everything(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    execute(provider, running, "sh", "-c", "setsid sleep 300 >/dev/null 2>&1 </dev/null &")
    assert provider_case.running(running)
    provider.stop(running, call)
    assert provider_case.running(running) == []
    assert provider.address(running.id) is None
    with pytest.raises(SwarmError):
        execute(provider, running, "true")


def test_stop_by_force_does_not_wait(
    provider: Provider, provider_case: ProviderCase, call: Call
) -> None:
    instance = provider_case.instance("web" if provider_case.real else "stubborn-web")
    provider.create(instance, call)
    provider.start(instance, call)
    began = time.monotonic()
    provider.stop(instance, call, force=True)
    assert time.monotonic() - began < provider_case.grace
    assert provider_case.running(instance) == []


def test_the_address_stays_over_stop_trash_and_restart_of_the_daemon(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    before = provider.address(running.id)
    provider.stop(running, call)
    provider.start(running, call)
    assert provider.address(running.id) == before
    again = provider_case.open()
    assert again.address(running.id) == before
    again.stop(running, call)
    again.trash(running, call)
    assert again.address(running.id) is None
    again.restore(running, call)
    again.start(running, call)
    assert again.address(running.id) == before


def test_two_instances_have_two_addresses(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    other = provider_case.instance("other")
    provider.create(other, call)
    provider.start(other, call)
    assert provider.address(other.id) != provider.address(running.id)
    put(provider, running)
    assert content(provider, other) == b""


# --- trash, purge ---


def test_trash_and_restore_keep_the_data(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    put(provider, running)
    provider.stop(running, call)
    provider.trash(running, call)
    assert provider_case.running(running) == []
    assert status(provider, running) is InstanceStatus.DELETED
    with pytest.raises(SwarmError):
        provider.start(running, call)
    provider.restore(running, call)
    provider.start(running, call)
    assert content(provider, running) == b"work"


@pytest.mark.parametrize("state", ["created", "running", "stopped", "trashed"])
def test_purge_leaves_nothing(
    provider: Provider, provider_case: ProviderCase, instance: Instance, call: Call, state: str
) -> None:
    provider.create(instance, call)
    if state != "created":
        provider.start(instance, call)
    if state in ("stopped", "trashed"):
        provider.stop(instance, call)
    if state == "trashed":
        provider.trash(instance, call)
    provider.purge(instance, call)
    assert provider_case.remains(instance) == []
    assert provider.get(instance.id) is None
    assert list(provider.list()) == []
    provider.create(instance, call)
    assert status(provider, instance) is InstanceStatus.CREATED


def test_discard_removes_a_stray(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    provider.discard(running.id, call)
    assert provider_case.remains(running) == []


# --- export, import ---


def archive_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as writer:
        for info, data in members:
            info.size = len(data)
            writer.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_export_and_import_make_a_copy(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    script = (
        "mkdir -p 'a b/empty' && printf text > 'a b/ü.txt' && chmod 640 'a b/ü.txt' && "
        "touch -d '2001-02-03 04:05:06.789Z' 'a b/ü.txt' && ln -s 'a b' soft && "
        "ln 'a b/ü.txt' hard && truncate -s 3000000 sparse && ln -s /usr/bin/env out && "
        "chmod 750 'a b'"
    )
    assert execute(provider, running, "sh", "-c", script)[0] == 0
    look = "find . | sort | xargs -d '\\n' stat -c '%n %A %h %s %N %.Y' && cat hard"
    before = execute(provider, running, "sh", "-c", look)
    provider.stop(running, call)
    copy = provider_case.instance("copy")
    observed = provider.import_data(copy, provider.export(running, call), call)
    assert observed.status in (InstanceStatus.CREATED, InstanceStatus.STOPPED)
    provider.start(copy, call)
    after = execute(provider, copy, "sh", "-c", look)
    assert after[0] == 0, after
    kept = [line for line in before[1].splitlines() if not line.startswith(b"./.vscode")]
    assert after[1].splitlines() == kept
    assert provider.address(copy.id) != provider.address(running.id)


HOSTILE: dict[str, Iterable[bytes]] = {
    "absolute": [archive_of((member("/etc/x"), b"x"))],
    "dots": [archive_of((member("workspace/../../x"), b"x"))],
    "symlink out": [archive_of((member("workspace/l", tarfile.SYMTYPE, "/etc"), b""))],
    "through a symlink": [
        archive_of(
            (member("workspace/l", tarfile.SYMTYPE, "m"), b""),
            (member("workspace/l/x"), b"x"),
        )
    ],
    "hard link out": [archive_of((member("workspace/l", tarfile.LNKTYPE, "/etc/passwd"), b""))],
    "device": [archive_of((member("workspace/d", tarfile.CHRTYPE), b""))],
    "pipe": [archive_of((member("workspace/p", tarfile.FIFOTYPE), b""))],
    "cut off": [archive_of((member("workspace/f"), b"x" * 9000))[:4000]],
    "no tar": [b"PK\x03\x04" + bytes(range(256)) * 8],
    "empty": [],
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_imports_are_refused_and_leave_nothing(
    provider: Provider, provider_case: ProviderCase, instance: Instance, call: Call, name: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        provider.import_data(instance, HOSTILE[name], call)
    assert caught.value.next_step
    assert provider.get(instance.id) is None
    assert provider_case.remains(instance) == []


def test_a_cancelled_import_can_be_repeated(
    provider: Provider, provider_case: ProviderCase, instance: Instance, call: Call
) -> None:
    data = archive_of((member("workspace/file"), b"work"))
    with pytest.raises(OperationCancelled):
        provider.import_data(instance, [data], cancelled_call())
    assert provider_case.remains(instance) == []
    provider.import_data(instance, [data], call)
    provider.start(instance, call)
    assert content(provider, instance) == b"work"


def test_what_runs_is_exported_however_large_it_is(
    provider: Provider, running: Instance, call: Call
) -> None:
    size = 32 << 20  # no buffer on the way takes it all
    assert execute(provider, running, "sh", "-c", f"head -c {size} /dev/zero >large")[0] == 0
    told: list[str] = []
    listening = dataclasses.replace(call, progress=lambda message, _: told.append(message))
    assert sum(map(len, provider.export(running, listening))) > size
    assert told == []


def test_a_cancelled_export_ends(provider: Provider, running: Instance) -> None:
    put(provider, running)
    with pytest.raises(OperationCancelled):
        list(provider.export(running, cancelled_call()))


def test_export_follows_no_link_that_its_user_planted(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("canary-1234")
    provider_case.plant_link(running, secret)
    provider.stop(running, call)
    try:
        data = b"".join(provider.export(running, call))
    except ProviderError as error:
        data = str(error.details).encode()
    assert b"canary-1234" not in data
    provider.purge(running, call)
    assert (secret / "key").read_text() == "canary-1234"


# --- update ---


def test_update_takes_over_the_configuration(
    provider: Provider, running: Instance, call: Call
) -> None:
    changed = replace(running, config=replace(running.config, env={"COLOUR": "blue"}))
    outcome = provider.update(changed, call)
    assert outcome.restart_required
    assert outcome.observed.status is InstanceStatus.RUNNING
    provider.stop(changed, call)
    provider.start(changed, call)
    assert execute(provider, changed, "printenv", "COLOUR")[1].strip() == b"blue"
    assert provider.update(changed, call).restart_required == ()


# --- exec ---


def test_exec_tells_output_errors_and_code(provider: Provider, running: Instance) -> None:
    code, out, errors = execute(provider, running, "sh", "-c", "echo a; echo b >&2; exit 7")
    assert (code, out, errors) == (7, b"a\n", b"b\n")
    assert execute(provider, running, "printenv", "X", env={"X": "y z"})[1] == b"y z\n"
    assert execute(provider, running, "sh", "-c", "kill -9 $$")[0] == 137
    _, big, _ = execute(provider, running, "head", "-c", "3000000", "/dev/zero")
    assert len(big) == 3_000_000


def test_exec_takes_input(provider: Provider, running: Instance) -> None:
    options = ExecInstance(id=running.id, command=("sort",), stdin=True)
    session = provider.exec(running, options)
    try:
        session.write(b"b\n")
        session.write(b"a\n")
        session.close_input()
        told = b"".join(data for _, data in iter(session.read, None))
        assert told == b"a\nb\n"
        assert session.result() == 0
    finally:
        session.close()
    assert execute(provider, running, "cat")[:2] == (0, b""), "no input: its end at once"


def test_exec_ends_everything_at_its_timeout(
    provider: Provider, provider_case: ProviderCase, running: Instance
) -> None:
    before = len(provider_case.running(running))
    with pytest.raises(DeadlineExceeded):
        execute(
            provider, running, "sh", "-c", "setsid sleep 300 & sleep 300", timeout=Duration(0.5)
        )
    wait_until(lambda: len(provider_case.running(running)) <= before)


def test_closing_an_exec_wakes_its_reader_and_ends_it(
    provider: Provider, provider_case: ProviderCase, running: Instance
) -> None:
    before = len(provider_case.running(running))
    session = provider.exec(running, ExecInstance(id=running.id, command=("sleep", "300")))
    told: list[object] = []
    reader = threading.Thread(target=lambda: told.append(session.read()))
    reader.start()
    session.close()
    session.close()
    reader.join(10)
    assert told == [None]
    wait_until(lambda: len(provider_case.running(running)) <= before)


@pytest.mark.parametrize(
    "wrong", [{"command": ("/no/such/program",)}, {"command": ("ls",), "workdir": "../.."}]
)
def test_exec_of_what_is_not_there(
    provider: Provider, running: Instance, wrong: dict[str, Any]
) -> None:
    options = dict(wrong)
    command = options.pop("command")
    step: str | None = None
    code: int | None = None
    try:
        code, _, _ = execute(provider, running, *command, **options)
    except SwarmError as error:
        step = error.next_step
    assert step or code in (126, 127)


# --- logs ---


def log_of(provider: Provider, instance: Instance, **options: Any) -> bytes:
    session = provider.logs(instance, LogsInstance(id=instance.id, **options))
    try:
        return b"".join(data for _, data in iter(session.read, None))
    finally:
        session.close()


def stamped_or_refused(provider: Provider, instance: Instance, line: bytes) -> None:
    if provider.type == "local":
        with pytest.raises(ValidationError) as caught:
            log_of(provider, instance, timestamps=True)
        assert (caught.value.field, bool(caught.value.next_step)) == ("timestamps", True)
        return
    told = log_of(provider, instance, timestamps=True)
    stamp, _, rest = told.splitlines(keepends=True)[0].partition(b" ")
    assert rest == line
    assert datetime.fromisoformat(stamp.decode()).tzinfo is not None


def test_logs_tail_since_and_follow(
    provider: Provider, provider_case: ProviderCase, call: Call
) -> None:
    instance = provider_case.instance("web" if provider_case.real else "chatty-web")
    provider.create(instance, call)
    provider.start(instance, call)
    text = wait_until(lambda: log_of(provider, instance))
    lines = text.splitlines(keepends=True)
    assert log_of(provider, instance, tail=1).splitlines(keepends=True)[-1:]
    assert log_of(provider, instance, tail=0) == b""
    assert log_of(provider, instance, since=Duration(3600)).startswith(lines[0])
    stamped_or_refused(provider, instance, lines[0])
    if provider_case.real:
        return
    session = provider.logs(instance, LogsInstance(id=instance.id, follow=True, tail=0))
    try:
        provider.check(instance, call)
        piece = session.read()
        assert piece is not None
        assert b"request" in piece[1]
    finally:
        session.close()
    assert session.read() is None
    provider.stop(instance, call)
    assert log_of(provider, instance), "its log outlives it"


def test_upkeep_may_come_at_any_time(provider: Provider, running: Instance) -> None:
    provider.upkeep(datetime.now(UTC))
    assert status(provider, running) is InstanceStatus.RUNNING


# --- stats ---


def test_stats_of_what_runs(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    other = provider_case.instance("other")
    provider.create(other, call)
    (found,) = provider.stats([running, other])
    assert found.id == running.id
    assert found.pids is None or found.pids >= 1
    assert found.memory_bytes is None or found.memory_bytes > 1 << 20
    assert found.taken_at.tzinfo is not None


# --- errors, dispose ---


def test_only_errors_of_our_own_come_out(
    provider: Provider, instance: Instance, call: Call
) -> None:
    """Every call on what is not there answers, or raises one of ours; nothing appears."""
    for act in (
        lambda: provider.start(instance, call),
        lambda: provider.stop(instance, call),
        lambda: provider.update(instance, call),
        lambda: provider.restore(instance, call),
        lambda: list(provider.export(instance, call)),
        lambda: provider.check(instance, call),
        lambda: provider.logs(instance, LogsInstance(id=instance.id)),
        lambda: execute(provider, instance, "true"),
    ):
        with pytest.raises(InstanceNotFound) as caught:
            act()
        assert caught.value.next_step
    provider.trash(instance, call)
    provider.purge(instance, call)
    provider.discard(instance.id, call)
    assert provider.get(instance.id) is None


def test_a_server_that_ends_at_once_says_why(
    provider: Provider, provider_case: ProviderCase, call: Call
) -> None:
    if provider_case.real:
        pytest.skip("the real server does start")
    instance = provider_case.instance("exit-web")
    provider.create(instance, call)
    with pytest.raises(ProviderError) as caught:
        provider.start(instance, call)
    assert "I was told to end" in caught.value.details["cause"]
    assert caught.value.next_step
    assert provider_case.running(instance) == []
    provider.purge(instance, call)
    assert provider_case.remains(instance) == []


def test_dispose_lets_go_and_instances_keep_running(
    provider_case: ProviderCase, instance: Instance, call: Call
) -> None:
    descriptors, threads = open_descriptors(), threading.active_count()
    provider = provider_case.open()
    provider.create(instance, call)
    provider.start(instance, call)
    put(provider, instance)
    log_of(provider, instance)
    provider.dispose()
    wait_until(
        lambda: open_descriptors() <= descriptors,
        describe=lambda: sorted(open_descriptors() - descriptors),
    )
    wait_until(lambda: threading.active_count() <= threads)
    assert provider_case.running(instance)
    again = provider_case.open()
    assert status(again, instance) is InstanceStatus.RUNNING
    assert content(again, instance) == b"work"


def open_descriptors() -> set[str]:
    """What every open descriptor of this process is."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{path.name} {os.readlink(path)}")  # noqa: PTH115
        except OSError:
            continue
    return {text for text in found if "/proc/" not in text}


def test_calls_for_different_instances_run_side_by_side(
    provider: Provider, provider_case: ProviderCase
) -> None:
    instances = [provider_case.instance(f"web{number}") for number in range(4)]
    failed: list[BaseException] = []

    def live(instance: Instance) -> None:
        try:
            provider.create(instance, fresh_call())
            provider.start(instance, fresh_call())
            provider.stop(instance, fresh_call())
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=live, args=(instance,)) for instance in instances]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert {found.status for found in provider.list()} == {InstanceStatus.STOPPED}
    assert len(provider.list()) == 4
