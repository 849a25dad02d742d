"""What people must know of this provider, told in its capabilities."""

from __future__ import annotations

from pathlib import Path

from swarmd.providers.local import capabilities
from swarmd.providers.local.cgroup_probe import Found
from swarmd.providers.local.options import read_options


def notes(data: Path, **options: object) -> str:
    found = capabilities.describe(read_options(options), Found(None), data)
    return "\n".join(found.notes)


def test_the_port_of_a_stopped_instance_is_nobodys(tmp_path: Path) -> None:
    assert "the port of a stopped instance" in notes(tmp_path)


def test_who_can_read_the_key(tmp_path: Path) -> None:
    assert "tls_key" not in notes(tmp_path)
    assert "tls_key is read by the instances' account" in notes(
        tmp_path, tls_cert="/c", tls_key="/k"
    )
