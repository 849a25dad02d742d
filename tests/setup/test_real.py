"""The managed installation itself, made by this code from the registries."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from swarmd.errors import InitializationError
from swarmd.setup import (
    InstalledServer,
    find_installed,
    install_code_server,
    require_installed,
)
from swarmd.setup.commands import child_environment, run_command
from swarmd.setup.context import Context
from swarmd.setup.layout import Layout
from swarmd.setup.verify import check_parts, start_once
from tests.support import fastest

pytestmark = pytest.mark.code_server

LOGGING = """
const { createRequire } = require('node:module');
const spdlog = createRequire(process.argv[1])('@vscode/spdlog');
spdlog.createAsyncRotatingLogger('t', process.argv[2], 120, 2).then((logger) => {
  logger.debug('below the level');
  for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) logger.warn('line ' + n);
  logger.clearFormatters();
  logger.info('bare');
  logger.drop();
});
"""


@pytest.fixture
def context(tmp_path: Path) -> Context:
    layout = Layout(tmp_path / "server")
    layout.work.mkdir(parents=True)
    return Context(layout=layout, run=run_command)


def places(server_dir: Path) -> tuple[Path, Path]:
    """Its node and its root."""
    node, entry = map(Path, require_installed(server_dir).command)
    return node, entry.parent.parent.parent


def test_a_second_run_returns_at_once(code_server_dir: Path) -> None:
    def run() -> InstalledServer:
        return install_code_server(code_server_dir, on_progress=lambda progress: None)

    assert run() == find_installed(code_server_dir)
    assert fastest(run) < 0.05


def test_its_parts_work_and_it_starts(code_server_dir: Path, context: Context) -> None:
    check_parts(context, *places(code_server_dir))
    start_once(context, *places(code_server_dir))


def test_one_that_ends_instead_of_serving_is_found_out(
    code_server_dir: Path, context: Context, tmp_path: Path
) -> None:
    node, _ = places(code_server_dir)
    (tmp_path / "out/node").mkdir(parents=True)
    (tmp_path / "out/node/entry.js").write_text("process.exit(0)")
    with pytest.raises(InitializationError, match="ended instead of serving"):
        start_once(context, node, tmp_path)


def test_other_users_can_read_all_of_it(code_server_dir: Path) -> None:
    node, root = places(code_server_dir)
    for path in (code_server_dir, node, root, *(root / "lib/vscode/out").rglob("*")):
        wanted = 0o5 if path.is_dir() or path == node else 0o4
        assert path.stat().st_mode & wanted == wanted, path


def test_log_files_are_written_and_rotate(code_server_dir: Path, tmp_path: Path) -> None:
    node, root = places(code_server_dir)
    log = tmp_path / "a.log"
    subprocess.run([node, "-e", LOGGING, root / "lib/vscode/package.json", log], check=True)
    assert log.read_text().endswith("bare")
    assert "[warning] line 8" in log.read_text()
    assert "below the level" not in log.read_text()
    assert sorted(file.name for file in tmp_path.glob("*.log")) == [
        "a.1.log", "a.2.log", "a.log"
    ]  # fmt: skip


def test_an_extension_is_installed_from_a_file(code_server_dir: Path, tmp_path: Path) -> None:
    vsix = tmp_path / "hello.vsix"
    package = {
        "name": "hello", "publisher": "swarmd", "version": "0.0.1",
        "engines": {"vscode": "^1.80.0"},
    }  # fmt: skip
    with zipfile.ZipFile(vsix, "w") as archive:
        archive.writestr("extension/package.json", json.dumps(package))
    subprocess.run(
        [*require_installed(code_server_dir).command, "--extensions-dir", tmp_path / "extensions",
         "--user-data-dir", tmp_path / "data", "--config", tmp_path / "config.yaml",
         "--install-extension", vsix],
        env=child_environment(os.environ, HOME=str(tmp_path)),
        check=True,
        capture_output=True,
    )  # fmt: skip
    assert (tmp_path / "extensions/swarmd.hello-0.0.1/package.json").is_file()
