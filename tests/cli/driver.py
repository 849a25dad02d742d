"""Running ``swarmctl`` in tests: within this process for breadth, as a process for truth."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from swarmd.cli.root import root

ME = pwd.getpwuid(os.geteuid()).pw_name
"""Who owns what these tests make."""

COMMAND = [sys.executable, "-c", "from swarmd.cli.main import main; main()"]
"""As the entry point does it."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came out."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The envelope."""
        return json.loads(self.out)

    @property
    def data(self) -> Any:
        """What a successful envelope holds."""
        assert self.json["success"] is True, self
        assert self.json["error"] is None
        return self.json["data"]


def ctl(
    *words: object, env: Mapping[str, str | None] | None = None, stdin: str | bytes = ""
) -> Ran:
    """Run it within this process."""
    result = CliRunner().invoke(
        root,
        [str(word) for word in words],
        input=stdin,
        env={"COLUMNS": None, "NO_COLOR": None, **(env or {})},
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    out = result.stdout_bytes.decode("utf-8", "replace")
    return Ran(result.exit_code, out, result.stderr)


def clean_env(home: Path, **more: str) -> dict[str, str]:
    """An environment in which nothing of this machine's swarmd is found."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SWARMD_")}
    unwanted = ("COLUMNS", "NO_COLOR", "SSH_CONNECTION", "XDG_RUNTIME_DIR", "DISPLAY")
    for name in (*unwanted, "PYTHONUNBUFFERED"):
        kept.pop(name, None)
    return {**kept, "HOME": str(home), **more}


def process(*words: object, env: Mapping[str, str], stdin: bytes = b"", timeout: float = 60) -> Ran:
    """Run it as a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)],
        input=stdin,
        env=dict(env),
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def names(ran: Ran) -> list[str]:
    """The first word of each line."""
    return [line.split()[0] for line in ran.out.splitlines()]
