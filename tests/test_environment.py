"""The script that makes the environment: what it takes from a package index's page."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support import CHECKOUT

SCRIPT = CHECKOUT / ".make" / "environment.py"


@pytest.fixture(scope="module")
def environment() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("url", "version"),
    [
        ("https://i.example/p/pip-24.3.1-py3-none-any.whl#sha256=ab", (24, 3, 1)),
        ("https://i.example/p/pip-24.0rc1-py3-none-any.whl", ()),
        ("https://i.example/p/pip-24.0.tar.gz", ()),
        ("https://i.example/p/pipx-1.0-py3-none-any.whl", ()),
    ],
)
def test_released_wheels_of_pip_are_told_from_the_rest(
    environment: ModuleType, url: str, version: tuple[int, ...]
) -> None:
    assert environment.wheel_version(url) == version


def test_withdrawn_wheels_are_passed_over(environment: ModuleType) -> None:
    links = environment.Links("https://i.example/simple/pip/")
    links.feed(
        '<a href="../../p/pip-24.0-py3-none-any.whl#sha256=aa">24.0</a>'
        '<a href="../../p/pip-25.0-py3-none-any.whl" data-yanked="">25.0</a>'
        '<a href="../../p/pip-24.0.tar.gz">source</a>'
    )
    assert links.found == ["https://i.example/p/pip-24.0-py3-none-any.whl#sha256=aa"]


def test_the_index_is_the_one_that_pip_would_ask(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    assert environment.configured_index() == "https://mirror.example/simple"
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "pip.conf").write_text("[global]\nindex-url = https://own.example/simple\n")
    assert environment.configured_index() == "https://own.example/simple"
    (tmp_path / "pip" / "pip.conf").unlink()
    monkeypatch.setenv("HOME", str(tmp_path))
    if not Path("/etc/pip.conf").exists():
        with pytest.raises(environment.CannotInstall, match="PIP_INDEX_URL"):
            environment.configured_index()


def test_without_any_way_it_says_what_was_tried(tmp_path: Path) -> None:
    """A Python without site packages, whose index cannot be reached."""
    program = (
        "import runpy, sys\n"
        "sys.modules['ensurepip'] = None\n"
        f"sys.argv = ['environment', {str(tmp_path / 'env')!r}]\n"
        f"module = runpy.run_path({str(SCRIPT)!r})\n"
        "module['main'].__globals__['succeeds'] = lambda command, folder=None: False\n"
        "sys.exit(module['main']())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env=os.environ | {"PIP_INDEX_URL": "http://127.0.0.1:1/simple"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "python3-venv" in done.stderr
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
