"""Which code-server is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmd.errors import ProviderError
from swarmd.providers.local.options import LocalOptions
from swarmd.providers.local.server import Server, describe, find_server


def program(folder: Path) -> Path:
    folder.mkdir(parents=True)
    path = folder / "code-server"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_script_of_a_vs_code_terminal_is_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = program(tmp_path / "vscode" / "bin" / "remote-cli")
    monkeypatch.setenv("PATH", str(script.parent))
    with pytest.raises(ProviderError) as caught:
        find_server(LocalOptions(), tmp_path / "nothing")
    assert "swarmctl setup code-server" in (caught.value.next_step or "")
    real = program(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{script.parent}:{real.parent}")
    assert find_server(LocalOptions(), tmp_path / "nothing").command == (str(real),)


def test_which_one_it_is_fits_a_table() -> None:
    managed = Server(("/opt/swarmd/node", "/opt/swarmd/entry.js"), "managed", "4.139.1")
    assert describe(managed) == "code-server 4.139.1, managed"
    assert describe(Server(("/usr/bin/code-server",), "PATH")) == (
        "code-server, PATH: /usr/bin/code-server"
    )
