"""The checkout itself: what it promises to people who clone it."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support import CHECKOUT

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
MAKEFILE = (CHECKOUT / "Makefile").read_text()
README = (CHECKOUT / "README.md").read_text()


def test_the_licence_is_apache_2() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    text = (CHECKOUT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_commands_and_providers_are_installed_by_name() -> None:
    assert set(PROJECT["scripts"]) == {"swarmd", "swarmctl"}
    assert "local" in PROJECT["entry-points"]["swarmd.providers"]


@pytest.mark.parametrize("target", ["run", "stop", "test", "bench", "lint", "storm", "soak"])
def test_make_knows_the_target_and_the_readme_or_help_tells_of_it(target: str) -> None:
    assert re.search(rf"^{target}:.*## \S", MAKEFILE, flags=re.MULTILINE)
    done = subprocess.run(
        ["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert f"make {target} " in done.stdout
    assert f"make {target}" in README


def test_make_without_a_new_enough_python_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "-B", "run", "PYTHON3=", f"VENV={tmp_path / 'env'}"],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Python 3.11 or later" in done.stderr


def test_the_changelog_has_a_chapter_for_what_is_not_released() -> None:
    text = (CHECKOUT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text
    assert re.search(r"^### Added$", text, flags=re.MULTILINE)


def test_ci_is_a_program_that_calls_make() -> None:
    script = CHECKOUT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", script], check=True)
    assert "make test" in script.read_text()


def test_what_is_made_here_is_not_committed() -> None:
    for name in (".venv/x", ".run/x", ".coverage.x", "swarmd/__pycache__/x"):
        done = subprocess.run(
            ["git", "check-ignore", "-q", name], cwd=CHECKOUT, check=False, capture_output=True
        )
        if done.returncode == 128:
            pytest.skip("this is no git checkout")
        assert done.returncode == 0, name
