"""What the README shows is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from swarmd.cli.root import TABLE
from tests.daemon import DaemonProcess, require_enforced
from tests.support import CHECKOUT

README = (CHECKOUT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_client_of_the_readme_works(daemon: DaemonProcess, tmp_path: Path) -> None:
    program = next(block for block in blocks("python") if "class Swarmd" in block)
    assert len([line for line in program.splitlines() if line.strip()]) <= 22
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env=daemon.environment, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.strip() == daemon.call("instance.get", id="scripted")["url"]
    again = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env=daemon.environment, cwd=tmp_path,
    )  # fmt: skip
    assert again.returncode == 1
    assert "scripted" in again.stderr


def test_the_file_of_the_readme_makes_instances(daemon: DaemonProcess) -> None:
    text = next(block for block in blocks("toml") if "homework" in block)
    without = re.sub(r"extensions = .*\n", "", text)  # they would come from the marketplace
    require_enforced(daemon, "memory")
    daemon.ctl_json("create", "-f", "-", "--count", "2", "--no-start", given=without)
    assert {item["name"] for item in daemon.instances()} == {"homework-1", "homework-2"}


@pytest.mark.parametrize("line", sorted(set(re.findall(r"swarmctl ([a-z]+)", README))))
def test_every_command_of_the_readme_exists(line: str) -> None:
    assert line in {name for group in TABLE.values() for name in group} | {"is"}
