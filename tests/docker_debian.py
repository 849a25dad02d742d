"""A root file system with a Debian of this host's release and the managed code-server.

Debian comes from where this host's own packages come from, by debootstrap.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from swarmd.setup import InstalledServer
from tests.support import require

_PACKAGES = "git,ca-certificates,procps,sudo"
_UNNEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man")
_PIECE = 1 << 20


def release() -> tuple[str, str]:
    """The code name of this host's release, and a mirror of it; skips where there is none."""
    text = Path("/etc/os-release").read_text()
    told = dict(re.findall(r'^(\w+)="?([^"\n]*)', text, re.MULTILINE))
    suite = told.get("VERSION_CODENAME", "")
    for mirror, suites in _sources():
        if suite and suite in suites.split():
            return suite, mirror
    require("docker", found=False, reason="no apt source of this host's release to debootstrap")
    raise AssertionError


def _sources() -> Iterator[tuple[str, str]]:
    """The mirrors that apt uses, each with its suites, in both of its formats."""
    folder = Path("/etc/apt")
    for path in sorted(folder.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            fields = dict(re.findall(r"^(\w+): *(.*)$", stanza, re.MULTILINE))
            if "URIs" in fields and fields.get("Enabled") != "no":
                yield fields["URIs"].split()[0], fields.get("Suites", "")
    for path in (folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))):
        text = path.read_text() if path.is_file() else ""
        yield from re.findall(r"^deb\s+(?:\[.*?\]\s+)?(\S+)\s+(\S+)", text, re.MULTILINE)


def require_debootstrap() -> None:
    """Skip, or fail if required, where a Debian cannot be made."""
    require("docker", os.geteuid() == 0, "only root can make a Debian with debootstrap")
    require("docker", shutil.which("debootstrap"), "there is no debootstrap")


def stream(server_dir: Path, server: InstalledServer, user: str, user_id: int) -> Iterator[bytes]:
    """The tar of it, piece by piece; what it takes on disk is removed at the end.

    Args:
        server_dir: SERVER, as the setup made it.
        server: What is installed there.
        user: The name of the account that it has besides root.
        user_id: Its uid and gid.
    """
    suite, mirror = release()
    entry = [Path(part).relative_to(server_dir.absolute()) for part in server.command]
    tree = entry[0].parts[0]
    with tempfile.TemporaryDirectory(prefix="swarmd-test-debian-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        _bootstrap(root, suite, mirror)
        _account(root, user, user_id)
        command = " ".join(f"/opt/{part}" for part in entry)
        program = root / "usr/bin/code-server"
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        program.chmod(0o755)
        yield from _tar(
            ["-C", str(root), ".", "-C", str(server_dir), tree],
            f"--transform=s,^{re.escape(tree)},opt/{tree},S",  # S: targets of links stay
        )


def _bootstrap(root: Path, suite: str, mirror: str) -> None:
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", suite, str(root)]
    told = subprocess.run(
        [*command, mirror], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    last = "; ".join((told.stdout + told.stderr).strip().splitlines()[-3:])
    require("docker", told.returncode == 0, f"debootstrap failed: {last}")
    for unneeded in _UNNEEDED:
        shutil.rmtree(root / unneeded)
        (root / unneeded).mkdir()
    for file in (root / "etc/resolv.conf", root / "etc/hostname"):
        file.unlink(missing_ok=True)  # of this host; the engine makes them


def _account(root: Path, user: str, user_id: int) -> None:
    with (root / "etc/passwd").open("a") as file:
        file.write(f"{user}:x:{user_id}:{user_id}::/home/{user}:/bin/bash\n")
    with (root / "etc/group").open("a") as file:
        file.write(f"{user}:x:{user_id}:\n")
    with (root / "etc/shadow").open("a") as file:
        file.write(f"{user}:*:19000:0:99999:7:::\n")  # no password, but not locked: sudo looks
    rule = root / "etc/sudoers.d" / user
    rule.write_text(f"{user} ALL=(ALL) NOPASSWD:ALL\n")
    rule.chmod(0o440)
    project = root / "home" / user / "project"
    project.mkdir(parents=True)
    for folder in (project, project.parent):
        os.chown(folder, user_id, user_id)


def _tar(names: list[str], *options: str) -> Iterator[bytes]:
    command = ["tar", "--create", "--numeric-owner", "--one-file-system", *options, *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        while piece := writer.stdout.read(_PIECE):
            yield piece
    assert writer.returncode == 0, f"tar ended with {writer.returncode}"
