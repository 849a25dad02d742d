"""Release archives: hand-made ones, good and hostile."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from swarmd.errors import InitializationError, ValidationError
from swarmd.setup import archive as archives
from swarmd.setup import find_installed, install_code_server
from swarmd.setup.commands import run_command
from swarmd.setup.install import choose_recipe, install
from swarmd.setup.manifest import InstalledServer
from tests.setup.fakes import FakeRegistry, install_from

pytestmark = pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"), reason="Python 3.11.4 and later unpack archives safely"
)

GOOD = {
    "code-server-9.9.9/package.json": b'{"version": "9.9.9"}',
    "code-server-9.9.9/out/node/entry.js": b"entry",
    "code-server-9.9.9/lib/node": b"#!/bin/sh\nexit 3\n",
}


def make_archive(
    tmp_path: Path, *extra: tarfile.TarInfo, files: dict[str, bytes] | None = None
) -> Path:
    path = tmp_path / "release.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in (GOOD if files is None else files).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o4700 if name.endswith("lib/node") else 0o600
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    made.linkname = target
    made.size = 1 if kind == tarfile.REGTYPE else 0
    return made


def install_archive(
    server_dir: Path, archive: Path | str, sha256: str | None = None
) -> InstalledServer:
    return install(
        server_dir,
        choose_recipe(str(archive), sha256),
        on_progress=lambda progress: None,
        run=run_command,
        probes=(),
    )


def test_a_file_is_taken_without_a_digest_and_its_own_node_is_used(tmp_path: Path) -> None:
    server_dir = tmp_path / "server"
    installed = install_archive(server_dir, make_archive(tmp_path))
    assert (installed.version, installed.source) == ("9.9.9", "archive")
    node, entry = map(Path, installed.command)
    assert node == server_dir / "code-server-9.9.9/lib/node"
    assert node.stat().st_mode & 0o7777 == 0o755
    assert entry.stat().st_mode & 0o7777 == 0o644
    assert not (server_dir / ".setup").exists()


def test_an_archive_stays_until_another_one_is_named_or_force_is_used(tmp_path: Path) -> None:
    server_dir = tmp_path / "server"
    first = install_archive(server_dir, make_archive(tmp_path))
    registry = FakeRegistry()
    assert install_from(registry, server_dir) == first
    assert registry.commands == []
    other = dict(GOOD) | {"code-server-9.9.9/package.json": b'{"version": "9.9.10"}'}
    assert install_archive(server_dir, make_archive(tmp_path, files=other)).version == "9.9.10"
    assert install_from(registry, server_dir, force=True).source == "npm"


def test_a_digest_that_fits_is_accepted_in_either_case(tmp_path: Path) -> None:
    archive = make_archive(tmp_path)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert install_archive(tmp_path / "server", archive, digest.upper()).version == "9.9.9"


def test_a_digest_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InitializationError, match="has the SHA-256"):
        install_archive(tmp_path / "server", make_archive(tmp_path), "0" * 64)
    assert find_installed(tmp_path / "server") is None


@pytest.mark.parametrize(
    "hostile",
    [
        member("../evil"),
        member("code-server-9.9.9/../../../evil"),
        member("code-server-9.9.9/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("code-server-9.9.9/link", tarfile.SYMTYPE, "../../../../evil"),
        member("code-server-9.9.9/link", tarfile.LNKTYPE, "../../evil"),
        member("code-server-9.9.9/device", tarfile.CHRTYPE),
        member("code-server-9.9.9/fifo", tarfile.FIFOTYPE),
    ],
    ids=lambda hostile: f"{hostile.name} {hostile.linkname}",
)
def test_hostile_members_are_refused(tmp_path: Path, hostile: tarfile.TarInfo) -> None:
    with pytest.raises(InitializationError, match="cannot be unpacked"):
        install_archive(tmp_path / "server", make_archive(tmp_path, hostile))
    assert find_installed(tmp_path / "server") is None
    assert not list(tmp_path.rglob("evil"))


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmd.setup.archive._LIMIT_BYTES", 20)
    with pytest.raises(InitializationError, match="more than 20 bytes"):
        install_archive(tmp_path / "server", make_archive(tmp_path))


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    archive = make_archive(tmp_path)
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(InitializationError, match="cannot be unpacked"):
        install_archive(tmp_path / "server", archive)


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InitializationError, match="not a release of code-server"):
        install_archive(tmp_path / "server", make_archive(tmp_path, files={"a/b": b""}))


@pytest.mark.parametrize(
    ("archive", "sha256", "field"),
    [
        ("https://example.org/a.tar.gz", None, "sha256"),
        ("http://example.org/a.tar.gz", "0" * 64, "archive"),
        ("file:///etc/passwd", "0" * 64, "archive"),
        ("nowhere.tar.gz", None, "archive"),
        ("https://example.org/a.tar.gz", "xyz", "sha256"),
    ],
)
def test_what_cannot_be_trusted_is_not_asked_for(
    tmp_path: Path, archive: str, sha256: str | None, field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        install_archive(tmp_path / "server", archive, sha256)
    assert caught.value.field == field
    assert not (tmp_path / "server").exists()


def test_an_address_that_cannot_be_reached_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(InitializationError, match="could not be downloaded") as caught:
        install_archive(tmp_path / "server", "https://127.0.0.1:9/a.tar.gz", "0" * 64)
    assert "--archive FILE" in str(caught.value.next_step)


def test_a_download_ends_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_LIMIT_BYTES", 20)
    target = tmp_path / "copy"
    with pytest.raises(InitializationError, match="more than 20 bytes") as caught:
        archives._download(make_archive(tmp_path).as_uri(), target)
    assert caught.value.next_step
    assert not target.exists()


def test_a_download_within_the_limit(tmp_path: Path) -> None:
    source, target = make_archive(tmp_path), tmp_path / "copy"
    archives._download(source.as_uri(), target)
    assert target.read_bytes() == source.read_bytes()


def test_a_python_without_filters_is_told_of_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(InitializationError, match="cannot unpack") as caught:
        install_archive(tmp_path / "server", "https://127.0.0.1:9/a.tar.gz", "0" * 64)
    assert "3.11.4" in str(caught.value.next_step)
    assert not (tmp_path / "server").exists()


def test_an_archive_that_does_not_work_is_not_published(tmp_path: Path) -> None:
    server_dir = tmp_path / "server"
    with pytest.raises(InitializationError, match="a part of it does not work"):
        install_code_server(
            server_dir, on_progress=lambda progress: None, archive=str(make_archive(tmp_path))
        )
    assert find_installed(server_dir) is None
