"""Promises on an instance's files as a stream: export, import, and archives that mean ill."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from swarmd.errors import OperationCancelled, ProviderError, ValidationError
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Instance
from swarmd.ports import Call, Provider
from tests.contract.cases import ProviderCase, execute
from tests.contract.kit import cancelled_call, content, put


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
