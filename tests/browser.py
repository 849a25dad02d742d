"""A real browser for tests: Chromium of the system, driven by playwright-core from npm."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support import CHECKOUT, code_server_directory, require

PLAYWRIGHT = "playwright-core@1.65.1"
SCRIPTS = CHECKOUT / "tests" / "e2e" / "browser"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def node() -> Path:
    """The node of the managed code-server."""
    from swarmd.setup import require_installed

    return Path(require_installed(code_server_directory()).command[0])


def playwright() -> Path:
    """A folder below the checkout with playwright-core in it; installed if it is missing."""
    folder = CHECKOUT / ".run" / "browser"
    if not (folder / "node_modules" / "playwright-core" / "package.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        npm = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]
        done = subprocess.run(
            [node(), npm, "install", "--prefix", folder, *quiet, PLAYWRIGHT],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        require("browser", done.returncode == 0, f"{PLAYWRIGHT} cannot be had: {done.stderr}")
    return folder


def chromium() -> str:
    """The browser."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    require("browser", found, f"none of {', '.join(NAMES)} is on PATH")
    assert found is not None
    return found


def visit(folder: Path, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Log in to each instance with one browser profile; what was seen of each."""
    seen: list[dict[str, Any]] = drive("workbench", folder, instances=instances)
    return seen


def drive(script: str, folder: Path, **wanted: Any) -> Any:
    """Run one of the scripts beside this suite in a browser; what it answers."""
    request = {
        "playwright": str(playwright()),
        "chromium": chromium(),
        "profile": str(folder / "profile"),
        "picture": str(folder / "picture.png"),
        **wanted,
    }
    done = subprocess.run(
        [node(), SCRIPTS / f"{script}.mjs"], input=json.dumps(request), capture_output=True,
        text=True, check=False, cwd=folder, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
