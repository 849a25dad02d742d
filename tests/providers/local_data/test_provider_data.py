"""What the provider does with data, where it is root and the instance is not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from swarmd.errors import ProviderError, ValidationError
from swarmd.messages.requests import ExecInstance
from swarmd.providers.shared.account import Account
from tests.providers.local.kit import STANDIN, call, make_instance, make_provider
from tests.support import require, wait_until


def test_an_export_has_the_accounts_rights(public_path: Path, stranger: Account) -> None:
    provider = make_provider(public_path / "data", run_as=stranger.name, allow_root=False)
    instance = make_instance()
    provider.create(instance, call())
    secret = public_path / "data" / instance.id / "workspace" / "secret"
    secret.write_text("SECRET")
    secret.chmod(0o600)
    with pytest.raises(ProviderError, match="cannot be read"):
        b"".join(provider.export(instance, call()))
    secret.chmod(0o644)
    assert b"SECRET" in b"".join(provider.export(instance, call()))
    provider.purge(instance, call())
    provider.dispose()


def test_exec_looks_for_its_folder_as_the_account(public_path: Path, stranger: Account) -> None:
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
    require("root", python, "no python3 that every user may run")
    program = public_path / "standin.py"
    shutil.copy(STANDIN, program)
    program.chmod(0o644)
    provider = make_provider(
        public_path / "data",
        run_as=stranger.name,
        allow_root=False,
        command=[str(python), "-I", "-S", str(program)],
    )
    instance = make_instance()
    provider.create(instance, call())
    provider.start(instance, call())
    closed = public_path / "closed"
    (closed / "there").mkdir(parents=True)
    closed.chmod(0o700)
    (public_path / "data" / instance.id / "workspace" / "link").symlink_to(closed)
    try:
        with pytest.raises((ValidationError, ProviderError)):
            wanted = ExecInstance(id=instance.id, command=("true",), workdir="link/there")
            provider.exec(instance, wanted).close()
    finally:
        provider.purge(instance, call())
        provider.dispose()


@pytest.mark.root
def test_a_folder_that_cannot_be_removed_does_not_keep_it_from_starting(
    public_path: Path, stranger: Account
) -> None:
    data = public_path / "data"
    make_provider(data).dispose()
    stuck = data / ".doomed" / "01x.abc" / "mounted"
    stuck.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "none", str(stuck)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"root: cannot mount here: {done.stderr!r}")
    try:
        provider = make_provider(data)
        wait_until(lambda: "01x.abc cannot be removed" in (provider.probe().message or ""))
        assert provider.probe().ok
        instance = make_instance()
        provider.create(instance, call())
        provider.purge(instance, call())
        provider.dispose()
    finally:
        subprocess.run(["umount", str(stuck)], check=True)
